//! Why a shutdown severed connections: the closed set, and the order in which a primary one is chosen.

use crate::closed_set::closed_set;
use shutdown_probe_common::fate::Fate;

closed_set! {
    /// Why a shutdown severed connections.
    Cause {
        /// No handler: the stop signal's default action ended the process.
        StopSignalKilledProcess = "stop_signal_killed_process",
        /// It exited by itself while requests were in flight.
        ExitedWithoutDrain = "exited_without_drain",
        /// The stop signal did nothing; SIGKILL came.
        IgnoredStopSignal = "ignored_stop_signal",
        /// The process that serves never got the signal.
        StopSignalNotForwarded = "stop_signal_not_forwarded",
        /// The signal came before the handler was installed.
        SignalBeforeReady = "signal_before_ready",
        /// Handled, and still working when SIGKILL came.
        GraceExceeded = "grace_exceeded",
        /// Only idle connections held the drain up until SIGKILL.
        WaitedOnIdleConnections = "waited_on_idle_connections",
        /// SIGKILL came before the deadline.
        GraceCutShort = "grace_cut_short",
        /// SIGKILL came first.
        KilledWithoutStopSignal = "killed_without_stop_signal",
        /// It ended by itself.
        Crashed = "crashed",
        /// Attempts were refused while clients still came.
        ListenerClosedWhileRouted = "listener_closed_while_routed",
        /// Completed handshakes were never accepted.
        AcceptQueueDropped = "accept_queue_dropped",
        /// An idle connection was closed just as the client used it.
        KeepaliveRace = "keepalive_race",
        /// Long-lived work was cut with no GOAWAY.
        StreamWithoutGoaway = "stream_without_goaway",
        /// The pod's proxy ended before the application.
        SidecarGoneFirst = "sidecar_gone_first",
        /// The pod's network was removed first.
        NetworkWithdrawn = "network_withdrawn",
        /// Nothing was severed.
        Clean = "clean",
    }
}

impl Cause {
    /// Whether it is reported even where luck kept it harmless.
    pub const fn holds_without_loss(self) -> bool {
        matches!(
            self,
            Self::StopSignalKilledProcess
                | Self::IgnoredStopSignal
                | Self::StopSignalNotForwarded
                | Self::SignalBeforeReady
                | Self::GraceExceeded
                | Self::WaitedOnIdleConnections
        )
    }

    /// The cause of a loss that was in nobody's hands. `None`: the way the process ended is the cause.
    pub const fn of_connection(fate: Fate) -> Option<Self> {
        match fate {
            Fate::Refused => Some(Self::ListenerClosedWhileRouted),
            Fate::NeverAccepted => Some(Self::AcceptQueueDropped),
            Fate::RequestAfterClose => Some(Self::KeepaliveRace),
            _ => None,
        }
    }
}
