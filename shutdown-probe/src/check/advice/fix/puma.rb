# config/puma.rb: SIGTERM is graceful; less than the grace period
force_shutdown_after {drain}
