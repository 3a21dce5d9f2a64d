//! `replay`: a recording judged again.

use super::{print, print_json};
use crate::cli::ReplayArgs;
use crate::exit::{Exit, Failure, OrExit};
use crate::output::console::{Paint, escape::escape, patiently, story};
use crate::recording::{Outcome, Reader, replay};
use serde::Serialize;
use shutdown_probe_core::report::Termination;
use std::fs::File;
use std::io::{BufReader, Write};

/// How many lines are complained about one by one.
const COMPLAINTS: usize = 20;

#[derive(Serialize)]
struct Answer<'a> {
    terminations: &'a [Termination],
}

/// Prints the terminations; says on standard error what could not be used.
pub fn run(args: &ReplayArgs, out: &mut impl Write) -> Result<Exit, Failure> {
    let name = || format!("cannot read {}", args.file.display());
    let file = File::open(&args.file).or_exit(Exit::NoInput, name)?;
    let reader = Reader::open(BufReader::new(file))?;
    let mut complaints = Complaints::default();
    let outcome = patiently("replaying", || replay(reader, |complaint| complaints.take(complaint)));
    complaints.tell();
    let outcome = outcome.or_exit(Exit::Data, name)?;
    summarise(&outcome);
    if outcome.inputs == 0 && !outcome.skipped.is_empty() {
        return Err(Failure::new(Exit::Data, "no line of the recording can be used"));
    }
    print_outcome(args, out, &outcome)?;
    Ok(Exit::Success)
}

/// What could not be used, line by line.
#[derive(Default)]
struct Complaints {
    first: Vec<String>,
    more: usize,
}

impl Complaints {
    fn take(&mut self, complaint: String) {
        if self.first.len() < COMPLAINTS {
            self.first.push(complaint);
        } else {
            self.more += 1;
        }
    }

    fn tell(&self) {
        for complaint in &self.first {
            eprintln!("{}", escape(complaint));
        }
        if self.more > 0 {
            eprintln!("and {} more of such lines", self.more);
        }
    }
}

fn summarise(outcome: &Outcome) {
    for (kind, count) in &outcome.skipped {
        eprintln!("skipped: {count} {kind}");
    }
    if outcome.disordered > 0 {
        eprintln!("used though out of order: {}", outcome.disordered);
    }
}

fn print_outcome(args: &ReplayArgs, out: &mut impl Write, outcome: &Outcome) -> Result<(), Failure> {
    let terminations = &outcome.terminations;
    if args.json {
        return print_json(out, &Answer { terminations });
    }
    for termination in terminations {
        print(out, &format!("{}\n", story(termination, Paint::stdout())))?;
    }
    print(out, &format!("{} inputs, {} terminations\n", outcome.inputs, terminations.len()))
}
