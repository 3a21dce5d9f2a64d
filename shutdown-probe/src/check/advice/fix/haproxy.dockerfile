# SIGTERM is HAProxy's hard stop; as PID 1 without -W it even ignores it.
# SIGUSR1 finishes what is in flight.
STOPSIGNAL SIGUSR1
