        // `server` is the HttpServer: closes the listener, waits for what is in flight, 20 s at most.
        Runtime.getRuntime().addShutdownHook(new Thread(() -> server.stop(20)));
