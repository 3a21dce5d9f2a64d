//! `watch`: terminations on the terminal as they happen.

use super::api::{Api, Wanted};
use super::{print, print_json};
use crate::cli::WatchArgs;
use crate::config::Observe;
use crate::exit::{Exit, Failure};
use crate::live;
use crate::output::console::Progress;
use crate::session;
use crate::witness::Audience;
use shutdown_probe_core::Input;
use shutdown_probe_core::command::{Count, Labels};
use shutdown_probe_core::report::{State, Termination};
use std::collections::HashMap;
use std::io::Write;
use std::time::Duration;

/// How often a daemon is asked.
const PERIOD: Duration = Duration::from_millis(500);
/// How far back it is asked: far more than the longest time between two questions.
const SINCE: &str = "5m";
const LIMIT: u16 = 1_000;

/// Shows terminations until Ctrl-C.
pub fn run(args: WatchArgs, out: &mut impl Write) -> Result<Exit, Failure> {
    let screen = Screen { out, json: args.json, progress: Progress::default(), failure: None };
    match &args.server {
        Some(url) => ask(&Api::new(url)?, screen),
        None => {
            let observe = Observe::check(args.observe)?;
            live::check(&observe)?;
            eprintln!("watching; Ctrl-C ends it");
            let (_, ended) = session::observe(&observe, screen, None, Screen::check)?;
            ended.map(|()| Exit::Success)
        }
    }
}

/// Asks a daemon again and again; ends with its first failure, or Ctrl-C.
fn ask<W: Write>(api: &Api, mut screen: Screen<'_, W>) -> Result<Exit, Failure> {
    let mut seen: HashMap<String, Termination> = HashMap::new();
    let mut is_first = true;
    loop {
        let mut terminations =
            api.terminations(&Wanted { since: Some(SINCE), limit: LIMIT, ..Wanted::default() })?.terminations;
        terminations.reverse();
        seen.retain(|id, _| terminations.iter().any(|termination| termination.id == *id));
        for termination in terminations {
            if is_first && termination.state == State::Complete {
                screen.progress.skip(&termination.id);
            } else if seen.get(&termination.id) != Some(&termination) {
                screen.show(&termination);
            }
            seen.insert(termination.id.clone(), termination);
        }
        screen.check()?;
        is_first = false;
        std::thread::sleep(PERIOD);
    }
}

/// Where terminations are shown.
struct Screen<'a, W> {
    out: &'a mut W,
    json: bool,
    progress: Progress,
    /// The first error in writing.
    failure: Option<Failure>,
}

impl<W: Write> Screen<'_, W> {
    fn show(&mut self, termination: &Termination) {
        let written = if self.json {
            print_json(self.out, termination)
        } else {
            print(self.out, &self.progress.tell(termination))
        };
        let flushed = written.and_then(|()| self.out.flush().map_err(Failure::cannot_write));
        if let Err(failure) = flushed {
            self.failure.get_or_insert(failure);
        }
    }

    fn check(&mut self) -> Result<(), Failure> {
        self.failure.take().map_or(Ok(()), Err)
    }
}

impl<W: Write> Audience for Screen<'_, W> {
    fn heard(&mut self, _: &Input) {}

    fn report(&mut self, termination: Termination) {
        self.show(&termination);
    }

    fn count(&mut self, _: Labels, _: Count) {}
}
