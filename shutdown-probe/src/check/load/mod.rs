//! The load: clients that speak HTTP/1.1 and remember what they saw.
//!
//! Invariant: what a client saw is the truth of a run; nothing here knows what the probe says.

mod clients;
mod connection;
mod learn;
mod log;
mod response;

pub use clients::Crowd;
pub use connection::{Request, Seen, exchange_once};
pub use learn::{Cost, learn};
pub use log::{Exchange, Kind};
