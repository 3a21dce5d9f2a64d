//! The probe, attached by the command itself, on a thread of its own that keeps no privileges.

use crate::config::Observe;
use crate::exit::{Exit, Failure, OrExit};
use crate::live::Live;
use crate::session;
use crate::witness::Audience;
use shutdown_probe_core::Input;
use shutdown_probe_core::command::{Count, Labels};
use shutdown_probe_core::report::{State, Termination};
use std::collections::HashMap;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How long a termination may take to be complete beyond its linger.
const SLACK: Duration = Duration::from_secs(5);

/// The latest report of each container, by its name.
type Reports = HashMap<String, Termination>;

/// The attached probe.
#[derive(Debug)]
pub struct Observer {
    reports: watch::Receiver<Reports>,
    linger: Duration,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
    /// What it cannot see here, in words.
    pub blind_spots: Vec<String>,
}

impl Observer {
    /// Attaches the probe.
    ///
    /// # Errors
    /// What the kernel lacks or refuses.
    pub fn attach(observe: Observe) -> Result<Self, Failure> {
        let (sender, reports) = watch::channel(Reports::new());
        let (tell, told) = mpsc::channel();
        let stop = CancellationToken::new();
        let linger = observe.engine.linger;
        let token = stop.clone();
        let thread = thread::Builder::new()
            .name("probe".into())
            .spawn(move || observe_until(&observe, Desk(sender), &token, &tell))
            .or_exit(Exit::NotMeasured, || "cannot start a thread")?;
        let attached = told.recv().or_exit(Exit::NotMeasured, || "the probe's thread is gone")?;
        Ok(Self { reports, linger, stop, thread: Some(thread), blind_spots: attached? })
    }

    /// What is known of this container's end so far.
    pub fn latest(&self, container: &str) -> Option<Termination> {
        self.reports.borrow().get(container).cloned()
    }

    /// What is known of this container's end once its linger is over; what there is, if that never comes.
    pub async fn complete(&self, container: &str) -> Option<Termination> {
        let mut reports = self.reports.clone();
        let is_complete = |reports: &Reports| {
            reports.get(container).is_some_and(|termination| termination.state == State::Complete)
        };
        let _ = timeout(self.linger + SLACK, reports.wait_for(is_complete)).await;
        self.latest(container)
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed already.
            let _ = thread.join();
        }
    }
}

type Attached = Result<Vec<String>, Failure>;

fn observe_until(observe: &Observe, desk: Desk, stop: &CancellationToken, tell: &mpsc::Sender<Attached>) {
    match attach(observe, desk) {
        Ok((runtime, mut live)) => {
            let blind = live.probes().into_iter().filter_map(|probe| Some((probe.probe, probe.reason?)));
            let _ = tell.send(Ok(blind.map(|(probe, reason)| format!("probe {probe}: {reason}")).collect()));
            if let Err(failure) = runtime.block_on(live.run(stop, Duration::ZERO, |_, _| Ok(()))) {
                eprintln!("shutdown-probe: the probe has failed: {failure}");
            }
        }
        Err(failure) => {
            let _ = tell.send(Err(failure));
        }
    }
}

fn attach(observe: &Observe, desk: Desk) -> Result<(Runtime, Live<Desk>), Failure> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .or_exit(Exit::Internal, || "cannot start a runtime")?;
    let context = runtime.enter();
    let live = Live::attach(observe, desk)?;
    drop(context);
    session::give_up_privileges(&live)?;
    Ok((runtime, live))
}

/// Where reports are laid out.
struct Desk(watch::Sender<Reports>);

impl Audience for Desk {
    fn heard(&mut self, _: &Input) {}

    fn report(&mut self, termination: Termination) {
        self.0.send_modify(|reports| {
            reports.insert(termination.container.name.clone(), termination);
        });
    }

    fn count(&mut self, _: Labels, _: Count) {}
}
