# SIGTERM is lighttpd's fast stop. SIGINT finishes what is in flight.
STOPSIGNAL SIGINT
