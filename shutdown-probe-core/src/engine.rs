//! The engine's front door. (Being written.)

use crate::identity::KernelInstant;
use crate::{Command, Input};
use core::time::Duration;
use std::collections::VecDeque;

/// What can be set.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How long after the last exit late packets still count.
    pub linger: Duration,
    /// The grace period, where it is known for all containers alike.
    pub grace: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { linger: Duration::from_secs(10), grace: None }
    }
}

/// The engine.
#[derive(Debug)]
pub struct Engine {
    commands: VecDeque<Command>,
}

impl Engine {
    /// An engine that knows nothing yet.
    pub fn new(_settings: Settings) -> Self {
        Self { commands: VecDeque::new() }
    }

    /// Takes one input.
    pub fn handle(&mut self, _input: Input) {}

    /// Takes the passing of time.
    pub fn handle_timeout(&mut self, _now: KernelInstant) {}

    /// When [`Self::handle_timeout`] wants to be called next, if at all.
    pub fn poll_timeout(&self) -> Option<KernelInstant> {
        None
    }

    /// The next thing to do. Call until `None` after each input and timeout.
    pub fn next_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }
}
