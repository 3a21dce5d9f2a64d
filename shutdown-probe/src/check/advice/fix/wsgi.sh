# `module:app` is your WSGI application.
exec gunicorn module:app --bind 0.0.0.0:{port} --threads 8 --graceful-timeout {drain}
