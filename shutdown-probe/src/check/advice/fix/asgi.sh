# `module:app` is your ASGI application.
exec uvicorn module:app --host 0.0.0.0 --port {port} --timeout-graceful-shutdown {drain}
