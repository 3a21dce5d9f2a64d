//! An observation on a terminal: probes attached by the command itself, until Ctrl-C.

use crate::config::Observe;
use crate::exit::{Exit, Failure, OrExit};
use crate::live::Live;
use crate::privileges;
use crate::witness::Audience;
use std::future::pending;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Attaches, observes until Ctrl-C, SIGTERM or the end of `duration`, and gives the audience back. `after` is called
/// after each turn; its error ends the observation.
///
/// # Errors
/// That of `after`, with the audience; and what prevents the observation.
pub fn observe<A: Audience>(
    observe: &Observe,
    audience: A,
    duration: Option<Duration>,
    mut after: impl FnMut(&mut A) -> Result<(), Failure>,
) -> Result<(A, Result<(), Failure>), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .or_exit(Exit::Internal, || "cannot start the runtime")?;
    let (mut live, stop) = {
        let _context = runtime.enter();
        let live = Live::attach(observe, audience)?;
        (live, stop_on_signal()?)
    };
    for probe in live.probes().iter().filter(|probe| probe.reason.is_some()) {
        eprintln!("probe {} does not run: {}", probe.probe, probe.reason.as_deref().unwrap_or_default());
    }
    give_up_privileges(&live)?;
    let outcome = runtime.block_on(async {
        let token = CancellationToken::new();
        let end = async {
            tokio::select! {
                () = stop => {}
                () = sleep(duration) => {}
            }
            token.cancel();
            pending::<()>().await;
        };
        tokio::select! {
            outcome = live.run(&token, Duration::ZERO, |audience, _| after(audience)) => outcome,
            () = end => Ok(()),
        }
    });
    Ok((live.into_audience(), outcome))
}

async fn sleep(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => pending().await,
    }
}

/// Ready when one of the signals comes that end the program. They are caught from now on.
///
/// # Errors
/// [`Exit::Internal`] where the system has no room for a handler.
pub fn stop_on_signal() -> Result<impl Future<Output = ()>, Failure> {
    let catch = |kind| signal(kind).or_exit(Exit::Internal, || "cannot catch signals");
    let (mut terminate, mut interrupt) = (catch(SignalKind::terminate())?, catch(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Gives up what attaching took, as far as the kernel side still obeys without.
///
/// # Errors
/// [`Exit::Internal`] where the kernel does not let go of privileges.
pub fn give_up_privileges<A: Audience>(live: &Live<A>) -> Result<privileges::Remaining, Failure> {
    let refused = || "cannot give up capabilities";
    let obeys = privileges::rehearse(|| live.still_obeys()).or_exit(Exit::Internal, refused)?;
    let kept: &[_] = if obeys { &[] } else { &[privileges::MAP_ACCESS] };
    privileges::give_up(kept).or_exit(Exit::Internal, refused)
}
