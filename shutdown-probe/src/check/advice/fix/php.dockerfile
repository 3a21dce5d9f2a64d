# PHP's built-in server is for development; Apache finishes what is in flight, on SIGWINCH.
FROM php:apache
STOPSIGNAL SIGWINCH
