//! `report`: what the daemon saw of late. With `--prometheus` it is [`fleet`]'s.

use super::api::{Api, Wanted};
use super::{print, print_json};
use crate::cli::ReportArgs;
use crate::exit::{Exit, Failure};
use crate::fleet;
use crate::output::console::{Paint, list, patiently, story};
use std::io::Write;

/// Prints a table, or one termination.
pub fn run(args: &ReportArgs, out: &mut impl Write) -> Result<Exit, Failure> {
    if args.fleet.prometheus.is_some() {
        return fleet::report(args, out);
    }
    let api = Api::new(&args.server)?;
    let (paint, asking) = (Paint::stdout(), format!("waiting for {}", args.server));
    match &args.id {
        Some(id) => {
            let termination = patiently(&asking, || api.termination(id))?;
            if args.json { print_json(out, &termination) } else { print(out, &story(&termination, paint)) }
        }
        None => {
            let answer = patiently(&asking, || api.terminations(&wanted(args)))?;
            if args.json { print_json(out, &answer) } else { print(out, &list(&answer.terminations, paint)) }
        }
    }?;
    Ok(Exit::Success)
}

fn wanted(args: &ReportArgs) -> Wanted<'_> {
    Wanted {
        since: args.since.as_deref(),
        namespace: args.namespace.as_deref(),
        workload: args.workload.as_deref(),
        pod: args.pod.as_deref(),
        limit: args.limit,
    }
}
