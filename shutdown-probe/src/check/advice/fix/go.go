	// `server` is the *http.Server; this takes the place of the last call in main.
	stop, done := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer done()
	go func() {
		if err := server.Serve(listener); err != http.ErrServerClosed { // or ListenAndServe()
			log.Fatal(err)
		}
	}()
	<-stop.Done()
	// Closes the listener and what is idle, waits for what is in flight: less than the grace period.
	limit, cancel := context.WithTimeout(context.Background(), {drain}*time.Second)
	defer cancel()
	if err := server.Shutdown(limit); err != nil {
		log.Print(err)
	}
