# SIGTERM is Apache's fast stop. SIGWINCH finishes what is in flight.
STOPSIGNAL SIGWINCH
