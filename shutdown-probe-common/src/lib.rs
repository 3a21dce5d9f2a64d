//! The wire between the kernel side and user space, and the one rule both share.
//!
//! - [`framing`]: what the bytes of a connection mean.
//! - [`record`]: what the kernel side says through the ring buffer, one file a record.
//! - [`container`]: what it keeps for each container, exact whatever becomes of the records.
//! - [`connection`]: what it keeps for each socket, and [`connection::Evidence::judge`], the rule
//!   that turns what is known of a connection's end into its [`fate::Fate`].
//!
//! Invariant: no payload, no pointers and no allocation cross this wire.
#![no_std]

pub mod connection;
pub mod container;
pub mod fate;
pub mod framing;
pub mod kfunc;
pub mod loss;
pub mod record;
