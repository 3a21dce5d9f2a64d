//! The closed set of what can become of a connection.

/// What became of a connection. Its discriminant is the index into
/// [`Counters::fates`](crate::container::Counters::fates) and the byte on the wire.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fate {
    /// The server had read request bytes and written nothing since.
    UnansweredRequest = 0,
    /// A response was begun and not finished. Needs framing.
    TruncatedResponse = 1,
    /// A finished response's bytes were never acknowledged, then reset.
    UndeliveredResponse = 2,
    /// Request bytes lay in the receive buffer, never read.
    UnreadRequest = 3,
    /// The kernel completed the handshake, nobody accepted, the listener closed.
    NeverAccepted = 4,
    /// The client's bytes crossed our FIN.
    RequestAfterClose = 5,
    /// A connection attempt was answered by RST.
    Refused = 6,
    /// Ended after its last response was complete, written since the termination began.
    Drained = 7,
    /// No request outstanding.
    ClosedIdle = 8,
    /// The client finished first, by FIN.
    PeerClosed = 9,
    /// The client gave up first, by RST.
    PeerAborted = 10,
    /// The probe cannot know. Never counted as any of the others.
    NotMeasured = 11,
    /// The container's own request to somebody else was still unanswered.
    OutboundUnanswered = 12,
    /// The container's own connection, with nothing outstanding.
    OutboundClosed = 13,
}

impl Fate {
    /// How many there are.
    pub const COUNT: usize = 14;

    /// Every fate, in the order of its discriminant.
    pub const ALL: [Self; Self::COUNT] = [
        Self::UnansweredRequest,
        Self::TruncatedResponse,
        Self::UndeliveredResponse,
        Self::UnreadRequest,
        Self::NeverAccepted,
        Self::RequestAfterClose,
        Self::Refused,
        Self::Drained,
        Self::ClosedIdle,
        Self::PeerClosed,
        Self::PeerAborted,
        Self::NotMeasured,
        Self::OutboundUnanswered,
        Self::OutboundClosed,
    ];

    /// The fate of this wire byte, if it is one.
    pub const fn from_wire(byte: u8) -> Option<Self> {
        if (byte as usize) < Self::COUNT { Some(Self::ALL[byte as usize]) } else { None }
    }

    /// The name used in JSON, metrics and documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnansweredRequest => "unanswered_request",
            Self::TruncatedResponse => "truncated_response",
            Self::UndeliveredResponse => "undelivered_response",
            Self::UnreadRequest => "unread_request",
            Self::NeverAccepted => "never_accepted",
            Self::RequestAfterClose => "request_after_close",
            Self::Refused => "refused",
            Self::Drained => "drained",
            Self::ClosedIdle => "closed_idle",
            Self::PeerClosed => "peer_closed",
            Self::PeerAborted => "peer_aborted",
            Self::NotMeasured => "not_measured",
            Self::OutboundUnanswered => "outbound_unanswered",
            Self::OutboundClosed => "outbound_closed",
        }
    }

    /// Whether the server let it go with nothing left to do, as far as is known at that moment.
    pub const fn ended_well(self) -> bool {
        matches!(self, Self::Drained | Self::ClosedIdle)
    }

    /// Whether the shutdown cost the client something.
    pub const fn is_severed(self) -> bool {
        self.was_in_servers_hands()
            || matches!(self, Self::NeverAccepted | Self::RequestAfterClose | Self::Refused)
    }

    /// Whether the server process itself held what was lost, so that the way it ended is the cause.
    pub const fn was_in_servers_hands(self) -> bool {
        matches!(
            self,
            Self::UnansweredRequest
                | Self::TruncatedResponse
                | Self::UndeliveredResponse
                | Self::UnreadRequest
        )
    }

    /// Whether sending the request again cannot execute it twice: the server never read it.
    pub const fn is_retry_safe(self) -> bool {
        matches!(self, Self::UnreadRequest | Self::NeverAccepted | Self::RequestAfterClose | Self::Refused)
    }
}
