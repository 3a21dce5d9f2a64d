//! One termination: the facts, as they come in. What follows from them is in [`verdict`].
//!
//! A termination is *suspected* when something looks like an end, and *confirmed* once it is one: the
//! main process or PID 1 was meant, or the container lost its last process. A suspicion that comes to
//! nothing lapses without a word: a helper or a worker was killed, the container lives on.

mod clients;
mod counts;
mod delivery;
mod ledger;
mod measure;
mod origin;
mod render;
mod routing;
mod timeline;
mod verdict;

use crate::cause::Cause;
use crate::identity::{KernelInstant, ProcessId};
use crate::input::{Handler, ProcessExited, Sender, Signal};
use crate::kubernetes::source::Source;
use crate::signal::SIGKILL;
use delivery::Deliveries;
use ledger::Ledger;
use origin::Probes;
use routing::Routing;
use shutdown_probe_common::fate::Fate;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;
use timeline::Timeline;

pub(crate) use origin::Origin;
pub(crate) use render::Frame;
pub(crate) use verdict::Subject;

/// A second stop signal so soon after the first is the same act, sent to a whole group.
const SAME_ACT: Duration = Duration::from_millis(100);
/// A handler that re-raises within this time has done nothing else.
const AT_ONCE: Duration = Duration::from_millis(500);
/// One that has let go of a connection meanwhile, and took longer than this, has drained: a worker does not close its
/// master's listener.
const AT_ONCE_LETTING_GO: Duration = Duration::from_millis(50);
/// A deletion that is heard of so soon after the stop signal is what sent it.
const HEARD_LATE: Duration = Duration::from_secs(2);
/// How many processes are remembered by identity.
const PROCESSES: usize = 4_096;

/// The first stop signal that a process got, from whomever, and what became of it.
#[derive(Debug)]
struct Received {
    signal: Signal,
    /// The process took it.
    delivered: bool,
    /// It sent the same signal to itself afterwards, for the default action.
    reraised: bool,
    /// It did so at once, before a listener was closed: it did not drain, it wants the default action.
    wants_default_action: bool,
    /// It has closed a connection by its will since.
    let_go: bool,
}

/// The stop signal from outside with which it all began.
#[derive(Debug)]
struct Stop {
    at: KernelInstant,
    target: ProcessId,
    /// A listener was open when it came.
    listening: bool,
    /// How old the container was, where its birth was seen.
    age: Option<Duration>,
}

/// The SIGKILL that something outside sent.
#[derive(Debug)]
struct Kill {
    at: KernelInstant,
    target: ProcessId,
    handler: Handler,
    oom: bool,
}

/// The facts of one termination.
#[derive(Debug)]
pub(crate) struct Termination {
    pub began_at: KernelInstant,
    pub confirmed: bool,
    /// When the container lost its last process.
    pub empty_at: Option<KernelInstant>,
    /// When it got a first process again.
    pub restarted_at: Option<KernelInstant>,
    /// Something changed since the last report.
    pub changed: bool,
    stop: Option<Stop>,
    kill: Option<Kill>,
    /// When the deletion of its pod began.
    announced: Option<KernelInstant>,
    /// Connections opened between that and the first act of the shutdown.
    opened_announced: u64,
    last_arrival_at: Option<KernelInstant>,
    routing: Routing,
    late_by_source: BTreeMap<Source, u64>,
    probes: Probes,
    exits: Vec<ProcessExited>,
    principal_exit: Option<usize>,
    received: BTreeMap<ProcessId, Received>,
    /// Processes that opened listeners.
    listening: BTreeSet<ProcessId>,
    /// Processes that read from connections.
    reading: BTreeSet<ProcessId>,
    /// The process closed a listener or a connection by its will, after the stop signal.
    acted: bool,
    listener_closed: bool,
    listener_opened: bool,
    ledger: Ledger,
    deliveries: Deliveries,
    late: Vec<(Duration, Option<Source>)>,
    late_total: u64,
    last_late: Option<Duration>,
    timeline: Timeline,
    lost_of_this: u64,
    lost_somewhere: u64,
    /// The observation ended in its linger.
    linger_was_cut: bool,
    /// The cause under which losses in the server's hands were counted: it stays.
    pinned_cause: Option<Cause>,
    counted: BTreeMap<Fate, u64>,
    counted_own_causes: BTreeMap<(Fate, Cause), u64>,
    counted_streams: u64,
    counted_stop_signal: bool,
    counted_kill: bool,
}

impl Termination {
    pub fn suspect(began_at: KernelInstant) -> Self {
        Self {
            began_at,
            confirmed: false,
            empty_at: None,
            restarted_at: None,
            changed: true,
            stop: None,
            kill: None,
            announced: None,
            opened_announced: 0,
            last_arrival_at: None,
            routing: Routing::default(),
            late_by_source: BTreeMap::new(),
            probes: Probes::default(),
            exits: Vec::new(),
            principal_exit: None,
            received: BTreeMap::new(),
            listening: BTreeSet::new(),
            reading: BTreeSet::new(),
            acted: false,
            listener_closed: false,
            listener_opened: false,
            ledger: Ledger::default(),
            deliveries: Deliveries::default(),
            late: Vec::new(),
            late_total: 0,
            last_late: None,
            timeline: Timeline::default(),
            lost_of_this: 0,
            lost_somewhere: 0,
            linger_was_cut: false,
            pinned_cause: None,
            counted: BTreeMap::new(),
            counted_own_causes: BTreeMap::new(),
            counted_streams: 0,
            counted_stop_signal: false,
            counted_kill: false,
        }
    }

    /// The end is real.
    pub fn confirm(&mut self) {
        self.changed |= !self.confirmed;
        self.confirmed = true;
    }

    /// Its pod is to go, since then. No stop signal need have been sent.
    pub fn announce(&mut self, at: KernelInstant) {
        let ended_at = self.empty_at.or_else(|| self.principal_exit_at());
        if ended_at.is_some_and(|ended| ended < at) {
            return;
        }
        self.confirm();
        // The kubelet may hear of it before us, and be faster.
        let at = self
            .stop
            .as_ref()
            .map(|stop| stop.at)
            .filter(|&stop| stop <= at && at.since(stop) < HEARD_LATE)
            .unwrap_or(at);
        let stopped_before = self.stop.as_ref().is_some_and(|stop| stop.at < at);
        if self.announced.is_none() && !stopped_before && self.restarted_at.is_none() {
            self.changed = true;
            self.announced = Some(at);
            self.timeline.announced(at);
        }
    }

    /// Whether the shutdown itself has begun: before that, what ends is everyday business.
    fn is_shutting_down(&self) -> bool {
        self.announced.is_none()
            || self.stop.is_some()
            || self.kill.is_some()
            || self.listener_closed
            || self.cause_is_known()
    }

    /// When it was asked to end; when it began, if nobody asked.
    pub fn asked_at(&self) -> KernelInstant {
        let stop = self.stop.as_ref().map(|stop| stop.at);
        stop.or(self.kill.as_ref().map(|kill| kill.at)).unwrap_or(self.began_at)
    }

    /// Whether anything was severed so far.
    pub fn has_losses(&self) -> bool {
        self.ledger.sum(Fate::is_severed) > 0
    }

    /// Whether a stop signal or SIGKILL from outside is part of it.
    pub fn was_asked_for(&self) -> bool {
        self.stop.is_some() || self.kill.is_some()
    }

    /// These processes had opened listeners when it began.
    pub fn note_listening(&mut self, processes: impl IntoIterator<Item = ProcessId>) {
        self.listening.extend(processes);
    }

    /// A signal was sent to a process of the container.
    pub fn signal(&mut self, signal: Signal, listening: bool, age: Option<Duration>) {
        let from_outside = matches!(signal.sender, Sender::Outside | Sender::Kernel);
        if signal.signal == SIGKILL {
            if from_outside {
                self.killed(&signal);
            }
            return;
        }
        if from_outside {
            self.stopped(&signal, listening, age);
        }
        self.receive(signal);
    }

    fn stopped(&mut self, signal: &Signal, listening: bool, age: Option<Duration>) {
        self.changed = true;
        let Some(stop) = &mut self.stop else {
            self.timeline.stopped(signal);
            self.stop = Some(Stop { at: signal.at, target: signal.target, listening, age });
            return;
        };
        // One act that reaches a whole group: the main process is the one that was meant.
        let same_act = signal.at.since(stop.at) < SAME_ACT;
        if same_act && (signal.to_main || signal.to_init) {
            stop.target = signal.target;
        } else if !same_act {
            self.timeline.stopped(signal);
        }
    }

    fn receive(&mut self, signal: Signal) {
        let Some(received) = self.received.get_mut(&signal.target) else {
            if self.received.len() < PROCESSES {
                let first = Received {
                    signal,
                    delivered: false,
                    reraised: false,
                    wants_default_action: false,
                    let_go: false,
                };
                self.received.insert(first.signal.target, first);
            }
            return;
        };
        // Whoever wants the default action installs it first; a master may signal its whole group, itself included.
        let by_itself = signal.sender == Sender::Inside && signal.sender_process == Some(signal.target);
        let asks_for_default = signal.signal == received.signal.signal && signal.handler == Handler::Default;
        let limit = if received.let_go { AT_ONCE_LETTING_GO } else { AT_ONCE };
        let at_once = signal.at.since(received.signal.at) < limit;
        if by_itself && asks_for_default && !received.reraised {
            received.reraised = true;
            received.wants_default_action = at_once && !self.listener_closed;
            self.timeline.reraised(&signal);
        }
    }

    fn killed(&mut self, signal: &Signal) {
        // What comes again, or after the container is empty, adds nothing.
        if self.kill.is_some() || self.empty_at.is_some() {
            return;
        }
        self.changed = true;
        self.timeline.killed(signal);
        self.kill = Some(Kill { at: signal.at, target: signal.target, handler: signal.handler, oom: false });
    }

    /// The OOM killer chose a process of the container.
    pub fn oom(&mut self, at: KernelInstant, process: ProcessId) {
        self.changed = true;
        self.timeline.oom(at, process);
        let kill =
            self.kill.get_or_insert(Kill { at, target: process, handler: Handler::Default, oom: true });
        // The kernel kills first and names its victim then.
        kill.oom |= kill.target.tgid == process.tgid;
    }

    /// A process took a stop signal.
    pub fn delivered(&mut self, process: ProcessId, signal: u32) {
        if let Some(received) = self.received.get_mut(&process)
            && received.signal.signal == signal
        {
            received.delivered = true;
        }
    }

    /// A process ended.
    pub fn exited(&mut self, exit: ProcessExited, is_main: bool) {
        if self.exits.len() >= PROCESSES || self.exits.iter().any(|known| known.process == exit.process) {
            return;
        }
        self.changed = true;
        let is_target = self.stop.as_ref().is_some_and(|stop| stop.target == exit.process);
        let rank = |exit: &ProcessExited, is_main: bool, is_target: bool| {
            u8::from(exit.is_init) * 4 + u8::from(is_main) * 2 + u8::from(is_target)
        };
        let new = rank(&exit, is_main, is_target);
        let held = self.principal_exit.map_or(0, |index| {
            let held = &self.exits[index];
            rank(held, held.is_main, self.stop.as_ref().is_some_and(|stop| stop.target == held.process))
        });
        if new > 0 || is_target {
            self.timeline.exited(&exit);
        }
        // A main process that had ended well was the first step of this one.
        let was_a_step = self.principal().is_some_and(|held| held.is_main && held.code == Some(0));
        if new > held || (new == held && was_a_step) {
            self.principal_exit = Some(self.exits.len());
        }
        self.exits.push(ProcessExited { is_main, ..exit });
    }

    /// The container lost its last process.
    pub fn emptied(&mut self, at: KernelInstant) {
        if self.empty_at.is_none() {
            self.empty_at = Some(at);
            self.changed = true;
            self.timeline.emptied(at);
            if self.principal_exit.is_none() && !self.exits.is_empty() {
                self.principal_exit = Some(self.exits.len() - 1);
            }
        }
    }

    /// A listener was opened or closed.
    pub fn listener(
        &mut self,
        at: KernelInstant,
        process: ProcessId,
        local: SocketAddr,
        open: bool,
        by_death: bool,
    ) {
        if self.restarted_at.is_some() {
            return;
        }
        self.changed = true;
        self.timeline.listener(at, local, open, by_death);
        if open {
            self.listener_opened = true;
            self.note_listening([process]);
        } else if !by_death && (self.stop.is_some() || self.announced.is_some()) {
            self.acted = true;
            self.listener_closed = true;
        }
    }

    /// Late clients may still come, and nobody is there to see them.
    pub fn cut_linger(&mut self) {
        self.linger_was_cut = true;
    }

    /// Records of some container were lost while it went on: they may have been of this one.
    pub fn lost_somewhere(&mut self, count: u64) {
        self.lost_somewhere = self.lost_somewhere.saturating_add(count);
        self.changed |= count > 0;
    }

    /// Records that were, or may have been, about this container.
    fn lost_records(&self) -> u64 {
        self.lost_of_this.saturating_add(self.lost_somewhere)
    }

    /// The kernel side's counters since it began.
    pub fn counters(&mut self, grown: &crate::input::Counters) {
        self.changed |= grown.lost > self.lost_of_this;
        self.lost_of_this = self.lost_of_this.max(grown.lost);
        if self.lost_records() > 0 {
            self.late_total = self.late_total.max(grown.opened);
            self.changed |= self.ledger.raise_to(grown);
        }
    }

    /// From when late arrivals and the grace period count.
    fn reference(&self) -> KernelInstant {
        self.stop.as_ref().map_or(self.began_at, |stop| stop.at)
    }

    fn principal(&self) -> Option<&ProcessExited> {
        self.principal_exit.and_then(|index| self.exits.get(index))
    }

    /// How the first of its processes to end did so.
    pub fn first_exit(&self) -> Option<&ProcessExited> {
        self.exits.first()
    }

    /// When its main process ended.
    pub fn principal_exit_at(&self) -> Option<KernelInstant> {
        self.principal().map(|exit| exit.at)
    }

    /// Whether the cause can be told: the process has ended.
    pub fn cause_is_known(&self) -> bool {
        self.empty_at.is_some() || self.principal_exit.is_some()
    }
}
