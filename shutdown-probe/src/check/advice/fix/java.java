        // `server` is the HttpServer: it closes the listener and waits for what is in flight.
        Runtime.getRuntime().addShutdownHook(new Thread(() -> server.stop({drain})));
