# SIGTERM is graceful: requests in flight are finished, for this long.
exec {command} --timeout-graceful-shutdown {drain}
