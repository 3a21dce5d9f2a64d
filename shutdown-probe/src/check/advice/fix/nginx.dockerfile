# SIGTERM is nginx's fast stop. SIGQUIT finishes what is in flight.
STOPSIGNAL SIGQUIT
