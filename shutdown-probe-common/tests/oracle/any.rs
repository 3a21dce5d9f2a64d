//! Any bytes: nothing panics, and how they are cut makes no difference.

use shutdown_probe_common::framing::{Direction, Framed, Framing, Hand, feed};

/// `data` is pieces: a byte for direction and length, then so many bytes. The first byte of all: begun late?
pub fn check(data: &[u8]) {
    let Some((first, mut rest)) = data.split_first() else { return };
    let mut whole = Framing::default();
    whole.begin(u32::MAX, 0, first & 1 != 0);
    let mut bytewise = whole;
    let mut pairwise = whole;
    let mut fed = [u32::MAX, 0];
    while let Some((head, tail)) = rest.split_first() {
        let outbound = head & 1 != 0;
        let direction = if outbound { Direction::Outbound } else { Direction::Inbound };
        let length = usize::from(head >> 1) * if head & 2 == 0 { 1 } else { 7 };
        let (piece, tail) = tail.split_at(length.min(tail.len()));
        rest = tail;
        feed(&mut whole, direction, piece);
        piece.iter().for_each(|byte| feed(&mut bytewise, direction, &[*byte]));
        piece.chunks(2).for_each(|pair| feed(&mut pairwise, direction, pair));
        assert_eq!(whole.is_followed(), bytewise.is_followed());
        assert_eq!(whole.is_followed(), pairwise.is_followed());
        let mut framed = Framed::default();
        whole.frame(&mut framed);
        if !whole.is_followed() {
            assert_eq!(framed.in_hand(), Hand::Unknown);
            return;
        }
        assert_eq!(whole, bytewise);
        assert_eq!(whole, pairwise);
        fed[usize::from(outbound)] = fed[usize::from(outbound)].wrapping_add(piece.len() as u32);
        assert_eq!([whole.next(Direction::Inbound), whole.next(Direction::Outbound)], fed);
        assert!(framed.expected == 0 || framed.expected > framed.begun);
    }
}
