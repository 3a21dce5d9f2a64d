	// `server` is the *http.Server; this takes the place of the last call in main.
	stop, done := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer done()
	go func() {
		if err := server.Serve(listener); err != http.ErrServerClosed { // or ListenAndServe()
			log.Fatal(err)
		}
	}()
	<-stop.Done()
	// Less than the grace period: closes the listener, waits for what is in flight, closes what is idle.
	limit, cancel := context.WithTimeout(context.Background(), 25*time.Second)
	defer cancel()
	if err := server.Shutdown(limit); err != nil {
		log.Print(err)
	}
