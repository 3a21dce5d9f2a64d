# SIGTERM is graceful: workers finish what they have, for this long.
exec gunicorn app:application --graceful-timeout 25 --keep-alive 5
