//! `record`: all that is observed, to a file.

use super::print;
use crate::cli::RecordArgs;
use crate::config::Observe;
use crate::exit::{Exit, Failure};
use crate::kernel;
use crate::live;
use crate::output::console::escape::escape;
use crate::recording::{Header, Recorder};
use crate::session;
use crate::witness::Audience;
use shutdown_probe_core::Input;
use shutdown_probe_core::command::{Count, Labels};
use shutdown_probe_core::report::Termination;
use std::io::Write;

/// Records until Ctrl-C, the end of the duration, or a write error.
pub fn run(args: RecordArgs, out: &mut impl Write) -> Result<Exit, Failure> {
    let observe = Observe::check(args.observe)?;
    live::check(&observe)?;
    let recorder = Recorder::create(&args.file, &Header::new(&observe.engine, kernel::release()))?;
    let duration = args.duration.map(|span| span.0);
    let (tape, ended) = session::observe(&observe, Tape(recorder), duration, |tape| {
        // Why it has failed is told when it is finished, below.
        if tape.0.has_failed() {
            Err(Failure::new(Exit::CannotWrite, "the recording has failed"))
        } else {
            Ok(())
        }
    })?;
    let written = tape.0.finish();
    let missed = written.missed;
    let inputs = written.outcome(&args.file)?;
    ended?;
    if missed > 0 {
        eprintln!("{missed} inputs are missing: the disk was too slow for them");
    }
    print(out, &format!("{inputs} inputs recorded in {}\n", escape(&args.file.to_string_lossy())))?;
    Ok(Exit::Success)
}

/// Keeps what is heard, and nothing of what follows from it.
struct Tape(Recorder);

impl Audience for Tape {
    fn heard(&mut self, input: &Input) {
        self.0.take(input);
    }

    fn report(&mut self, _: Termination) {}

    fn count(&mut self, _: Labels, _: Count) {}
}
