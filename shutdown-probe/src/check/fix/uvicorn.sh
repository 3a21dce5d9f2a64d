# SIGTERM is graceful: requests in flight are finished, for this long.
exec uvicorn app:application --timeout-graceful-shutdown 25
