    # At the end of main(), in place of the wait there. `server` is what listen() returned.
    import signal

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    server.stop()  # no new connections
    # Whoever asks again on an open connection is told that it is the last answer.
    server.conn_params.no_keep_alive = True
    # Longer than the slowest request, less than the grace period.
    await asyncio.sleep({finish})
