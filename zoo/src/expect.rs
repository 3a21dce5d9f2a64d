//! What a case says the daemon is to find about one run. What follows from the clients' records is
//! not said here; the counts are, so that a scene that was not played as designed is noticed.

use crate::truth::Construction;
use shutdown_probe_common::fate::Fate;

/// Why a shutdown severed connections: those of the contract's closed set that the zoo can bring about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the contract names them and says what they mean")]
pub enum Cause {
    StopSignalKilledProcess,
    ExitedWithoutDrain,
    IgnoredStopSignal,
    StopSignalNotForwarded,
    SignalBeforeReady,
    GraceExceeded,
    WaitedOnIdleConnections,
    KilledWithoutStopSignal,
    Crashed,
    ListenerClosedWhileRouted,
    AcceptQueueDropped,
    KeepaliveRace,
    StreamWithoutGoaway,
    NetworkWithdrawn,
    Clean,
}

impl Cause {
    /// Its name in JSON and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StopSignalKilledProcess => "stop_signal_killed_process",
            Self::ExitedWithoutDrain => "exited_without_drain",
            Self::IgnoredStopSignal => "ignored_stop_signal",
            Self::StopSignalNotForwarded => "stop_signal_not_forwarded",
            Self::SignalBeforeReady => "signal_before_ready",
            Self::GraceExceeded => "grace_exceeded",
            Self::WaitedOnIdleConnections => "waited_on_idle_connections",
            Self::KilledWithoutStopSignal => "killed_without_stop_signal",
            Self::Crashed => "crashed",
            Self::ListenerClosedWhileRouted => "listener_closed_while_routed",
            Self::AcceptQueueDropped => "accept_queue_dropped",
            Self::KeepaliveRace => "keepalive_race",
            Self::StreamWithoutGoaway => "stream_without_goaway",
            Self::NetworkWithdrawn => "network_withdrawn",
            Self::Clean => "clean",
        }
    }
}

/// What became of the stop signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Disposition {
    Handled,
    Default,
    Ignored,
    Blocked,
}

impl Disposition {
    /// Its name in JSON and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Handled => "handled",
            Self::Default => "default",
            Self::Ignored => "ignored",
            Self::Blocked => "blocked",
        }
    }
}

/// What the daemon is to find about one run.
#[derive(Clone, Debug)]
pub struct Expected {
    /// One of these is the primary cause; more than one only where the contract leaves it open.
    pub causes: Vec<Cause>,
    /// What became of the stop signal, where that is certain.
    pub disposition: Option<Disposition>,
    /// The trigger, where it does not follow from how the run ended.
    pub trigger: Option<&'static str>,
    /// How many connections the scene is designed to sever, by fate.
    pub severed: Vec<(Fate, usize)>,
    /// How many it is designed to drain.
    pub drained: usize,
    /// What the records cannot show.
    pub construction: Construction,
}

impl Expected {
    /// This cause, and nothing severed or drained.
    pub fn new(cause: Cause) -> Self {
        Self {
            causes: vec![cause],
            disposition: None,
            trigger: None,
            severed: Vec::new(),
            drained: 0,
            construction: Construction::PLAIN,
        }
    }

    /// The contract leaves it open whether this is the cause.
    pub fn or(mut self, cause: Cause) -> Self {
        self.causes.push(cause);
        self
    }

    /// So many connections end so; the fate must be one of the severed.
    pub fn severed(mut self, fate: Fate, count: usize) -> Self {
        self.severed.push((fate, count));
        self
    }

    /// So many connections are drained.
    pub fn drained(mut self, count: usize) -> Self {
        self.drained = count;
        self
    }

    /// The stop signal was treated so.
    pub fn signal(mut self, disposition: Disposition) -> Self {
        self.disposition = Some(disposition);
        self
    }

    /// This began it.
    pub fn trigger(mut self, trigger: &'static str) -> Self {
        self.trigger = Some(trigger);
        self
    }

    /// Requests follow each other without pause: how many are lost is chance, which ones is not.
    pub fn racing(mut self) -> Self {
        self.construction.racing = true;
        self
    }

    /// The server's network goes with it: who gives up later waited for what could not come any more.
    pub fn network_goes(mut self) -> Self {
        self.construction.network_goes = true;
        self
    }

    /// The server says nothing of what it reads, and the scene makes sure that it has read everything.
    pub fn reads_unsaid(mut self) -> Self {
        self.construction.unread = Fate::UnansweredRequest;
        self
    }

    /// Requests that the server never read lie in its accept queue, or came before they could get there.
    pub fn unread_were_queued(mut self) -> Self {
        self.construction.unread = Fate::NeverAccepted;
        self
    }
}
