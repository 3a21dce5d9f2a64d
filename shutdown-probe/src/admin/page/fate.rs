//! How a fate is shown: in words, by a colour, and by a mark, for colour alone tells nobody enough.

use super::text::words;
use maud::{Markup, html};
use shutdown_probe_common::fate::Fate;

/// What fates have in common for whoever looks at a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Lost, and may have been executed.
    Unsafe,
    /// Lost, and can be sent again.
    Safe,
    /// Nobody can tell.
    Unknown,
    /// Finished in the shutdown.
    Drained,
    /// Closed with nothing to lose.
    Idle,
    /// The client left first.
    Left,
}

impl Kind {
    /// All of them, worst first.
    pub const ALL: [Self; 6] =
        [Self::Unsafe, Self::Safe, Self::Unknown, Self::Drained, Self::Idle, Self::Left];

    /// The kind of a fate.
    pub const fn of(fate: Fate) -> Self {
        match fate {
            _ if fate.is_severed() && fate.is_retry_safe() => Self::Safe,
            _ if fate.is_severed() => Self::Unsafe,
            Fate::OutboundUnanswered => Self::Unsafe,
            Fate::NotMeasured => Self::Unknown,
            Fate::Drained => Self::Drained,
            Fate::PeerClosed | Fate::PeerAborted => Self::Left,
            _ => Self::Idle,
        }
    }

    /// The class of what is drawn for it.
    pub const fn class(self) -> &'static str {
        match self {
            Self::Unsafe => "unsafe",
            Self::Safe => "safe",
            Self::Unknown => "unknown",
            Self::Drained => "drained",
            Self::Idle => "idle",
            Self::Left => "left",
        }
    }

    /// What it means.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Unsafe => "lost, not safe to retry: it may have been executed",
            Self::Safe => "lost, safe to retry",
            Self::Unknown => "not measured: nobody can tell",
            Self::Drained => "drained: answered in full",
            Self::Idle => "closed with nothing outstanding",
            Self::Left => "the client left first",
        }
    }

    /// The same in short, where it is a loss or a doubt.
    pub const fn verdict(self) -> Option<&'static str> {
        match self {
            Self::Unsafe => Some("lost, not safe to retry"),
            Self::Safe => Some("lost, safe to retry"),
            Self::Unknown => Some("nobody can tell"),
            Self::Drained | Self::Idle | Self::Left => None,
        }
    }

    /// The mark at the end of a connection, drawn around a point.
    pub const fn mark(self) -> &'static str {
        match self {
            Self::Unsafe => "m-4-4 8 8m0-8-8 8",
            Self::Safe => "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0",
            Self::Unknown => "m-3-2c0-4 6-4 6-.5c0 2-3 2-3 4.5m0 2v.1",
            Self::Drained => "m-3.5.5 2.5 2.5 5-6",
            Self::Idle => "m0-4v8",
            Self::Left => "m-2-4 4 4-4 4",
        }
    }

    /// What the kind looks like, for a legend.
    pub fn sample(self) -> Markup {
        html! {
            svg.sample viewBox="0 0 34 12" width="34" height="12" aria-hidden="true" {
                g class=(self.class()) {
                    path.bar d="M0 4h26v4h-26z" {}
                    path.end d={ "M28 6" (self.mark()) } {}
                }
            }
        }
    }
}

/// The fate of this name.
pub fn named(name: &str) -> Option<Fate> {
    Fate::ALL.into_iter().find(|fate| fate.as_str() == name)
}

/// What became of the connections, in words.
pub const fn meaning(fate: Fate) -> &'static str {
    match fate {
        Fate::UnansweredRequest => "read and never answered",
        Fate::TruncatedResponse => "the answer was cut short",
        Fate::UndeliveredResponse => "the answer was lost on its way",
        Fate::UnreadRequest => "sent and never read",
        Fate::NeverAccepted => "connected and never accepted",
        Fate::RequestAfterClose => "sent just as the connection was closed",
        Fate::Refused => "turned away: nobody listened any more",
        Fate::Drained => "answered in full during the shutdown",
        Fate::ClosedIdle => "closed with no request outstanding",
        Fate::PeerClosed => "the client had finished first",
        Fate::PeerAborted => "the client had given up first",
        Fate::NotMeasured => "nobody can tell what was owed",
        Fate::OutboundUnanswered => "the container's own requests to others, never answered",
        Fate::OutboundClosed => "the container's own connections, nothing outstanding",
    }
}

/// Its name, for reading.
pub fn label(fate: Fate) -> String {
    words(fate.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_agree_with_what_is_severed_and_safe() {
        for fate in Fate::ALL {
            let kind = Kind::of(fate);
            assert_eq!(kind == Kind::Safe, fate.is_severed() && fate.is_retry_safe(), "{fate:?}");
            let lost = fate.is_severed() || fate == Fate::OutboundUnanswered;
            assert_eq!(matches!(kind, Kind::Safe | Kind::Unsafe), lost, "{fate:?}");
            assert_eq!(named(fate.as_str()), Some(fate));
        }
        assert_eq!(named("<b>"), None);
    }
}
