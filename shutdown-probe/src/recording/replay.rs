//! Feeds a recording to the engine, moving time by the inputs' own.

use super::Reader;
use super::reader::Skipped;
use crate::witness::{Audience, Kernel, Witness};
use shutdown_probe_core::Input;
use shutdown_probe_core::command::{Count, Labels};
use shutdown_probe_core::identity::{ContainerId, KernelInstant};
use shutdown_probe_core::input::Counters;
use shutdown_probe_core::report::Termination;
use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufRead};
use std::time::Duration;

/// How far an input may lie behind an earlier one without a word: each CPU writes its own into the ring.
const DISORDER: Duration = Duration::from_millis(100);

/// What a recording came to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The terminations, in the order in which they were first reported.
    pub terminations: Vec<Termination>,
    /// Inputs that were used.
    pub inputs: u64,
    /// Lines that were skipped, by [kind](super::Problem::kind).
    pub skipped: BTreeMap<&'static str, u64>,
    /// Inputs that lay behind earlier ones. They were used.
    pub disordered: u64,
}

/// Replays a recording to its end, and time until nothing more is waited for.
///
/// `complain` is given a sentence about each line that is skipped or out of order.
///
/// # Errors
/// As for reading the file.
pub fn replay(mut reader: Reader<impl BufRead>, mut complain: impl FnMut(String)) -> io::Result<Outcome> {
    let settings = reader.header().settings();
    let mut witness = Witness::new(settings, Past::default(), Reports::default());
    let mut outcome = Outcome::default();
    while let Some(line) = reader.next_input()? {
        match line {
            Ok(input) => {
                outcome.inputs += 1;
                if let Some(behind) = take(&mut witness, input) {
                    outcome.disordered += 1;
                    let number = reader.line_number();
                    complain(format!("line {number}: {behind:?} earlier than what stands before it"));
                }
            }
            Err(skipped) => {
                *outcome.skipped.entry(skipped.problem.kind()).or_default() += 1;
                complain(Skipped::to_string(&skipped));
            }
        }
    }
    run_out(&mut witness);
    outcome.terminations = witness.audience.terminations;
    Ok(outcome)
}

/// Lets time pass until the input, and gives it; says how far it lies behind if it is too far.
fn take(witness: &mut Witness<Past, Reports>, input: Input) -> Option<Duration> {
    let at = moment(&input);
    if let Some(at) = at {
        witness.kernel.now = witness.kernel.now.max(at);
        witness.pass(witness.kernel.now);
    }
    witness.take(input);
    at.map(|at| witness.kernel.now.since(at)).filter(|behind| *behind > DISORDER)
}

/// Lets time pass for as long as the engine waits for something.
fn run_out(witness: &mut Witness<Past, Reports>) {
    while let Some(due) = witness.next_timeout() {
        witness.kernel.now = witness.kernel.now.max(due);
        witness.pass(witness.kernel.now);
        if witness.next_timeout() == Some(due) {
            break;
        }
    }
}

/// A kernel side of which only the recording tells.
#[derive(Default)]
struct Past {
    now: KernelInstant,
}

impl Kernel for Past {
    fn now(&self) -> KernelInstant {
        self.now
    }

    fn narrate_until(&mut self, _: ContainerId, _: KernelInstant) {}

    /// The answers that were given stand in the recording.
    fn counters(&mut self, _: ContainerId) -> Option<Counters> {
        None
    }

    fn forget(&mut self, _: ContainerId) {}
}

/// The last report of each termination.
#[derive(Default)]
struct Reports {
    terminations: Vec<Termination>,
    places: HashMap<String, usize>,
}

impl Audience for Reports {
    fn heard(&mut self, _: &Input) {}

    fn report(&mut self, termination: Termination) {
        match self.places.get(&termination.id) {
            Some(&place) => self.terminations[place] = termination,
            None => {
                self.places.insert(termination.id.clone(), self.terminations.len());
                self.terminations.push(termination);
            }
        }
    }

    fn count(&mut self, _: Labels, _: Count) {}
}

/// When an input happened.
fn moment(input: &Input) -> Option<KernelInstant> {
    match input {
        Input::Clock { .. } => None,
        Input::ContainerAdded { at, .. }
        | Input::ContainerRemoved { at, .. }
        | Input::ContainerPopulated { at, .. }
        | Input::ProcessEntered { at, .. }
        | Input::OomVictim { at, .. }
        | Input::SignalDelivered { at, .. }
        | Input::ConnectionSettled { at, .. }
        | Input::ConnectionStranded { at, .. }
        | Input::Refused { at, .. }
        | Input::Listener { at, .. }
        | Input::Counters { at, .. }
        | Input::Pod { at, .. }
        | Input::PodRemoved { at, .. }
        | Input::NodeAddresses { at, .. }
        | Input::ServerVersion { at, .. }
        | Input::Endpoint { at, .. }
        | Input::RecordsLost { at, .. } => Some(*at),
        Input::ProcessExited(exited) => Some(exited.at),
        Input::Signal(signal) => Some(signal.at),
        Input::ConnectionOpened(connection)
        | Input::ConnectionEnded(connection)
        | Input::ConnectionRevised { connection, .. } => Some(connection.at),
    }
}
