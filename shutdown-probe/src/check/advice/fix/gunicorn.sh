# SIGTERM is graceful: workers finish what they have, for this long.
exec {command} --graceful-timeout {drain}
