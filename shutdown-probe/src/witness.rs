//! Drives the engine: gives it inputs and time, and carries out what it asks for.
//!
//! The same driver serves the live kernel ([`crate::live`]) and recordings
//! ([`crate::recording`]): what differs is who answers for the [`Kernel`] and who the [`Audience`] is.

use shutdown_probe_core::command::{Count, Labels};
use shutdown_probe_core::identity::{ContainerId, KernelInstant};
use shutdown_probe_core::input::Counters;
use shutdown_probe_core::report::Termination;
use shutdown_probe_core::{Command, Engine, Input, Settings};

/// What the engine can ask of the kernel side.
pub trait Kernel {
    /// Ns since boot, suspend included.
    fn now(&self) -> KernelInstant;
    /// Lets it send this container's records until then; 0: falls silent.
    fn narrate_until(&mut self, container: ContainerId, until: KernelInstant);
    /// What the container's counters grew by since narration began, if it is known.
    fn counters(&mut self, container: ContainerId) -> Option<Counters>;
    /// Frees what is kept for the container.
    fn forget(&mut self, container: ContainerId);
}

/// Who learns what was observed.
pub trait Audience {
    /// The engine was given this.
    fn heard(&mut self, input: &Input);
    /// A termination as it stands now.
    fn report(&mut self, termination: Termination);
    /// Something to count.
    fn count(&mut self, labels: Labels, count: Count);
}

/// The engine with those it works for.
#[derive(Debug)]
pub struct Witness<K, A> {
    engine: Engine,
    /// The kernel side.
    pub kernel: K,
    /// Who is told.
    pub audience: A,
}

impl<K: Kernel, A: Audience> Witness<K, A> {
    /// A witness that has seen nothing yet.
    pub fn new(settings: Settings, kernel: K, audience: A) -> Self {
        Self { engine: Engine::new(settings), kernel, audience }
    }

    /// Takes one input.
    pub fn take(&mut self, input: Input) {
        self.give(input);
        self.carry_out();
    }

    /// Takes several.
    pub fn take_all(&mut self, inputs: impl IntoIterator<Item = Input>) {
        inputs.into_iter().for_each(|input| self.take(input));
    }

    /// Lets time pass until `now`, at each moment the engine waits for.
    ///
    /// The engine is told the moment it asked for rather than `now`, so that a recording replays the
    /// same way however late this was called.
    pub fn pass(&mut self, now: KernelInstant) {
        let mut last = None;
        while let Some(due) = self.engine.poll_timeout().filter(|&due| due <= now) {
            // An engine that waits for the same moment again would hold us here for ever.
            if last.is_some_and(|last| due <= last) {
                break;
            }
            self.engine.handle_timeout(due);
            self.carry_out();
            last = Some(due);
        }
    }

    /// The next moment the engine waits for.
    pub fn next_timeout(&self) -> Option<KernelInstant> {
        self.engine.poll_timeout()
    }

    /// The paths of the containers that are on their way to their end.
    pub fn ending(&self) -> impl Iterator<Item = &str> {
        self.engine.ending()
    }

    /// Has the last said that can be: nobody observes any more.
    pub fn conclude(&mut self) {
        self.engine.conclude();
        self.carry_out();
    }

    fn give(&mut self, input: Input) {
        self.audience.heard(&input);
        self.engine.handle(input);
    }

    fn carry_out(&mut self) {
        while let Some(command) = self.engine.next_command() {
            match command {
                Command::Narrate { container, until } => self.kernel.narrate_until(container, until),
                Command::Silence { container } => {
                    self.kernel.narrate_until(container, KernelInstant::default());
                }
                Command::ReadCounters { container } => {
                    if let Some(grown) = self.kernel.counters(container) {
                        let at = self.kernel.now();
                        self.give(Input::Counters { at, container, grown });
                    }
                }
                Command::Forget { container } => self.kernel.forget(container),
                Command::Report(termination) => self.audience.report(*termination),
                Command::Count { labels, count } => self.audience.count(labels, count),
            }
        }
    }
}
