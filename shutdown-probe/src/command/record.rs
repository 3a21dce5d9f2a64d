//! `record`: all that is observed, to a file.

use super::print;
use crate::cli::RecordArgs;
use crate::config::Observe;
use crate::exit::{Exit, Failure};
use crate::kernel;
use crate::live;
use crate::output::console::StatusLine;
use crate::output::console::escape::escape;
use crate::recording::{Header, Recorder};
use crate::session;
use crate::witness::Audience;
use shutdown_probe_core::Input;
use shutdown_probe_core::command::{Count, Labels};
use shutdown_probe_core::report::Termination;
use std::fs;
use std::io::Write;
use std::time::{Duration, Instant};

/// How often it is said how much there is so far.
const PERIOD: Duration = Duration::from_secs(1);

/// Records until Ctrl-C, the end of the duration, or a write error.
pub fn run(args: RecordArgs, out: &mut impl Write) -> Result<Exit, Failure> {
    let observe = Observe::check(args.observe)?;
    live::check(&observe)?;
    if fs::metadata(&args.file).is_ok_and(|file| file.len() > 0) {
        // What it holds is not given up for a recording that cannot be.
        live::check_privileges()?;
    }
    let recorder = Recorder::create(&args.file, &Header::new(&observe.engine, kernel::release()))?;
    let duration = args.duration.map(|span| span.0);
    eprintln!("recording; Ctrl-C ends it");
    let (mut line, mut said) = (StatusLine::on_stderr(), Instant::now());
    let tape = Tape { recorder, heard: 0 };
    let observed = session::observe(&observe, tape, duration, |tape| {
        if said.elapsed() >= PERIOD {
            said = Instant::now();
            line.show(&format!("{} inputs", tape.heard));
        }
        // Why it has failed is told when it is finished, below.
        if tape.recorder.has_failed() {
            Err(Failure::new(Exit::CannotWrite, "the recording has failed"))
        } else {
            Ok(())
        }
    });
    line.clear();
    let (tape, ended) = observed?;
    let written = tape.recorder.finish();
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
struct Tape {
    recorder: Recorder,
    heard: u64,
}

impl Audience for Tape {
    fn heard(&mut self, input: &Input) {
        self.heard += 1;
        self.recorder.take(input);
    }

    fn report(&mut self, _: Termination) {}

    fn count(&mut self, _: Labels, _: Count) {}
}
