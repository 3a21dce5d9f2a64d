//! `watch`: terminations on the terminal as they happen.

use super::api::{Api, Wanted};
use super::{print, print_json};
use crate::cli::WatchArgs;
use crate::config::Observe;
use crate::exit::{Exit, Failure, OrExit};
use crate::live;
use crate::output::console::{Paint, Progress};
use crate::session;
use crate::witness::Audience;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use shutdown_probe_core::Input;
use shutdown_probe_core::command::{Count, Labels};
use shutdown_probe_core::report::{State, Termination};
use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

/// How often a daemon is asked.
const PERIOD: Duration = Duration::from_millis(500);
/// How far back it is asked: far more than the longest time between two questions.
const SINCE: &str = "5m";
const LIMIT: u16 = 1_000;

/// Shows terminations until Ctrl-C.
pub fn run(args: WatchArgs, out: &mut impl Write) -> Result<Exit, Failure> {
    let progress = Progress::new(Paint::stdout());
    let screen = Screen { out, json: args.json, progress, failure: None };
    match &args.server {
        Some(url) => ask(Api::new(url)?, screen),
        None => {
            let observe = Observe::check(args.observe)?;
            live::check(&observe)?;
            eprintln!("watching; Ctrl-C ends it");
            let (_, ended) = session::observe(&observe, screen, None, Screen::check)?;
            ended.map(|()| Exit::Success)
        }
    }
}

/// Asks a daemon again and again, until its first failure or Ctrl-C.
fn ask<W: Write>(api: Api, mut screen: Screen<'_, W>) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .or_exit(Exit::Internal, || "cannot start the runtime")?;
    let stop = {
        let _context = runtime.enter();
        session::stop_on_signal()?
    };
    let api = Arc::new(api);
    let outcome = runtime.block_on(async {
        tokio::select! {
            () = stop => Ok(Exit::Success),
            failure = follow(&api, &mut screen) => Err(failure),
        }
    });
    // A question that is still open is nobody's any more.
    runtime.shutdown_background();
    outcome
}

async fn follow<W: Write>(api: &Arc<Api>, screen: &mut Screen<'_, W>) -> Failure {
    let mut seen = None;
    loop {
        let turn = match terminations(api).await {
            Ok(terminations) => {
                if seen.is_none() {
                    eprintln!("watching; Ctrl-C ends it");
                }
                screen.show_news(&mut seen, terminations)
            }
            Err(failure) => Err(failure),
        };
        if let Err(failure) = turn {
            return failure;
        }
        tokio::time::sleep(PERIOD).await;
    }
}

/// Oldest first.
async fn terminations(api: &Arc<Api>) -> Result<Vec<Termination>, Failure> {
    let api = Arc::clone(api);
    let asked = tokio::task::spawn_blocking(move || {
        api.terminations(&Wanted { since: Some(SINCE), limit: LIMIT, ..Wanted::default() })
    });
    let mut terminations = asked.await.or_exit(Exit::Internal, || "a question panicked")??.terminations;
    terminations.reverse();
    Ok(terminations)
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
    /// Shows what differs from what was seen; what was over before the first look is passed over.
    fn show_news(
        &mut self,
        seen: &mut Option<HashMap<String, Termination>>,
        terminations: Vec<Termination>,
    ) -> Result<(), Failure> {
        for termination in &terminations {
            match seen {
                None if termination.state == State::Complete => self.progress.skip(&termination.id),
                Some(seen) if seen.get(&termination.id) == Some(termination) => {}
                _ => self.show(termination),
            }
        }
        *seen = Some(terminations.into_iter().map(|it| (it.id.clone(), it)).collect());
        self.check()
    }

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

    /// What went wrong in writing; a reader that is gone ends a watch that has nothing to say, too.
    fn check(&mut self) -> Result<(), Failure> {
        if self.failure.is_none() && has_no_reader() {
            self.failure = Some(Failure::cannot_write(io::ErrorKind::BrokenPipe.into()));
        }
        self.failure.take().map_or(Ok(()), Err)
    }
}

/// Whether standard output is a pipe whose other end is closed.
fn has_no_reader() -> bool {
    let stdout = io::stdout();
    let mut wanted = [PollFd::new(&stdout, PollFlags::empty())];
    let answer = poll(&mut wanted, Some(&Timespec::default()));
    answer.is_ok() && wanted[0].revents().contains(PollFlags::ERR)
}

impl<W: Write> Audience for Screen<'_, W> {
    fn heard(&mut self, _: &Input) {}

    fn report(&mut self, termination: Termination) {
        self.show(&termination);
    }

    fn count(&mut self, _: Labels, _: Count) {}
}
