//! Takes records out of the ring.

use aya::maps::{MapData, RingBuf};
use std::os::fd::{AsRawFd, RawFd};

/// How many records are taken at once, at most.
const MOST: usize = 1 << 16;

/// The reading end of the ring. The kernel side does not wake it for each record: drain it on a
/// timer, and when its descriptor becomes readable, for then it is half full.
pub struct RecordReader {
    events: RingBuf<MapData>,
}

impl RecordReader {
    pub(super) fn new(events: RingBuf<MapData>) -> Self {
        Self { events }
    }

    /// Hands over what has come, in order, but no more than [`MOST`]: who writes faster than we read must not
    /// keep us for ever. Returns whether that was all.
    pub fn drain(&mut self, mut take: impl FnMut(&[u8])) -> bool {
        for _ in 0..MOST {
            let Some(record) = self.events.next() else { return true };
            take(&record);
        }
        false
    }
}

impl AsRawFd for RecordReader {
    fn as_raw_fd(&self) -> RawFd {
        self.events.as_raw_fd()
    }
}

impl std::fmt::Debug for RecordReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordReader").field("fd", &self.as_raw_fd()).finish()
    }
}
