    // In place of the last line of main; hyper and others have the like.
    axum::serve(listener, app)
        .with_graceful_shutdown({
            use tokio::signal::unix::{SignalKind, signal};
            let mut stop = signal(SignalKind::terminate())?;
            async move { _ = stop.recv().await }
        })
        .await
