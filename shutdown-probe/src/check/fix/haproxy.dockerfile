# SIGTERM is HAProxy's hard stop. SIGUSR1 finishes what is in flight.
STOPSIGNAL SIGUSR1
