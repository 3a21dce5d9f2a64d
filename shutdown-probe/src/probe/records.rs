//! Takes records out of the ring.

use aya::maps::{MapData, RingBuf};
use std::os::fd::{AsRawFd, RawFd};

/// The reading end of the ring. The kernel side does not wake it for each record: drain it on a
/// timer, and when its descriptor becomes readable, for then it is half full.
pub struct RecordReader {
    events: RingBuf<MapData>,
}

impl RecordReader {
    pub(super) fn new(events: RingBuf<MapData>) -> Self {
        Self { events }
    }

    /// Hands over what has come, in order, and says how many records it was.
    pub fn drain(&mut self, mut take: impl FnMut(&[u8])) -> usize {
        let mut count = 0;
        while let Some(record) = self.events.next() {
            take(&record);
            count += 1;
        }
        count
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
