# SIGTERM is HAProxy's hard stop, and as PID 1 it ignores it. SIGUSR1 finishes what is in flight.
STOPSIGNAL SIGUSR1
