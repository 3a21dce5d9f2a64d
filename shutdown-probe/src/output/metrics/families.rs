//! The families of series, registered from the [table](super::table).

use super::table::{self, Kind, Spec};
use prometheus::core::Collector;
use prometheus::proto::Metric;
use prometheus::{GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry};
use std::collections::HashMap;

/// Every family, and the registry they are in.
pub struct Families {
    pub registry: Registry,
    pub terminations: IntCounterVec,
    pub severed: IntCounterVec,
    pub severed_streams: IntCounterVec,
    pub drained: IntCounterVec,
    pub stop_signals: IntCounterVec,
    pub kills: IntCounterVec,
    pub termination_duration: HistogramVec,
    pub grace_used: HistogramVec,
    pub late_connections: IntCounterVec,
    pub late_arrival: HistogramVec,
    pub recommended_pre_stop: GaugeVec,
    pub outbound_severed: IntCounterVec,
    pub not_measured: IntCounterVec,
    pub lost_records: IntCounterVec,
    pub recursion_misses: IntCounterVec,
    pub probe_status: IntGaugeVec,
    pub terminations_kept: IntGaugeVec,
    pub recording_errors: IntCounterVec,
    pub build_info: IntGaugeVec,
    pub kubernetes: Option<KubernetesFamilies>,
    own: Vec<&'static str>,
}

/// What only a Kubernetes API can tell.
pub struct KubernetesFamilies {
    pub endpoint_lag: HistogramVec,
    pub late_by_source: IntCounterVec,
}

impl Families {
    /// Registers what can be measured here. `own` are the labels that say whose number it is.
    ///
    /// # Errors
    /// A name or label that Prometheus does not take: a fault of the table.
    pub fn register(own: &[&'static str], in_kubernetes: bool) -> prometheus::Result<Self> {
        let registry = Registry::new();
        let counter = |spec: &Spec| add(&registry, IntCounterVec::new(options(spec), &spec.all_labels(own))?);
        let gauge = |spec: &Spec| add(&registry, IntGaugeVec::new(options(spec), &spec.all_labels(own))?);
        let histogram = |spec: &Spec| {
            let buckets = match spec.kind {
                Kind::Histogram(bounds) => bounds.to_vec(),
                Kind::Counter | Kind::Gauge => Vec::new(),
            };
            let options = HistogramOpts { common_opts: options(spec), buckets };
            add(&registry, HistogramVec::new(options, &spec.all_labels(own))?)
        };
        Ok(Self {
            terminations: counter(&table::TERMINATIONS)?,
            severed: counter(&table::SEVERED)?,
            severed_streams: counter(&table::SEVERED_STREAMS)?,
            drained: counter(&table::DRAINED)?,
            stop_signals: counter(&table::STOP_SIGNALS)?,
            kills: counter(&table::KILLS)?,
            termination_duration: histogram(&table::TERMINATION_DURATION)?,
            grace_used: histogram(&table::GRACE_USED)?,
            late_connections: counter(&table::LATE_CONNECTIONS)?,
            late_arrival: histogram(&table::LATE_ARRIVAL)?,
            recommended_pre_stop: {
                let spec = &table::RECOMMENDED_PRE_STOP;
                add(&registry, GaugeVec::new(options(spec), &spec.all_labels(own))?)?
            },
            outbound_severed: counter(&table::OUTBOUND_SEVERED)?,
            not_measured: counter(&table::NOT_MEASURED)?,
            lost_records: counter(&table::LOST_RECORDS)?,
            recursion_misses: counter(&table::RECURSION_MISSES)?,
            probe_status: gauge(&table::PROBE_STATUS)?,
            terminations_kept: gauge(&table::TERMINATIONS_KEPT)?,
            recording_errors: counter(&table::RECORDING_ERRORS)?,
            build_info: gauge(&table::BUILD_INFO)?,
            kubernetes: if in_kubernetes {
                let endpoint_lag = histogram(&table::ENDPOINT_LAG)?;
                Some(KubernetesFamilies { endpoint_lag, late_by_source: counter(&table::LATE_BY_SOURCE)? })
            } else {
                None
            },
            own: own.to_vec(),
            registry,
        })
    }

    /// What was lost so far, by the place where.
    pub fn lost(&self) -> Vec<(String, u64)> {
        let mut lost = Vec::new();
        for family in self.lost_records.collect() {
            for series in family.get_metric() {
                let place = labels_of(series).into_values().collect::<Vec<_>>().join(" ");
                lost.push((place, series.get_counter().get_value() as u64));
            }
        }
        lost
    }

    /// Removes every series of the container with these label values.
    pub fn remove_container(&self, values: &[String]) {
        let own: Vec<_> = self.own.iter().copied().zip(values.iter().map(String::as_str)).collect();
        let own = own.as_slice();
        if let Some(families) = &self.kubernetes {
            remove(&families.endpoint_lag, own, |labels| families.endpoint_lag.remove(labels));
            remove(&families.late_by_source, own, |labels| families.late_by_source.remove(labels));
        }
        for counters in [
            &self.terminations,
            &self.severed,
            &self.severed_streams,
            &self.drained,
            &self.stop_signals,
            &self.kills,
            &self.late_connections,
            &self.outbound_severed,
            &self.not_measured,
        ] {
            remove(counters, own, |labels| counters.remove(labels));
        }
        for histograms in [&self.termination_duration, &self.grace_used, &self.late_arrival] {
            remove(histograms, own, |labels| histograms.remove(labels));
        }
        remove(&self.recommended_pre_stop, own, |labels| self.recommended_pre_stop.remove(labels));
    }
}

fn options(spec: &Spec) -> Opts {
    Opts::new(spec.name, spec.help)
}

fn add<C: Collector + Clone + 'static>(registry: &Registry, family: C) -> prometheus::Result<C> {
    registry.register(Box::new(family.clone()))?;
    Ok(family)
}

/// Removes those series of the family that are this container's. Which ones there are is read from the family
/// itself, so that no second list can differ from it.
fn remove(
    family: &impl Collector,
    own: &[(&str, &str)],
    remove_one: impl Fn(&HashMap<&str, &str>) -> prometheus::Result<()>,
) {
    for family in family.collect() {
        for series in family.get_metric() {
            let labels = labels_of(series);
            if own.iter().all(|(name, value)| labels.get(name) == Some(value)) {
                // It was collected a moment ago and only this function removes: it is there.
                let _ = remove_one(&labels);
            }
        }
    }
}

fn labels_of(series: &Metric) -> HashMap<&str, &str> {
    series.get_label().iter().map(|pair| (pair.name(), pair.value())).collect()
}
