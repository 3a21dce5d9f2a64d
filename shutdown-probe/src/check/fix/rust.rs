    // hyper and others have the like: axum stops accepting and finishes what is in flight.
    let mut stop = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    axum::serve(listener, app)
        .with_graceful_shutdown(async move { drop(stop.recv().await) })
        .await?;
