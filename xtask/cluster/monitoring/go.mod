// The definitions of PodMonitor, ServiceMonitor and PrometheusRule, as the Prometheus operator installs them.
module monitoring

go 1.24

require github.com/prometheus-operator/prometheus-operator v0.82.0
