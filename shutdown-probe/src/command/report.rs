//! `report`: what the daemon saw of late.

use super::api::{Api, Wanted};
use super::{print, print_json};
use crate::cli::ReportArgs;
use crate::exit::{Exit, Failure};
use crate::output::console::{list, story};
use std::io::Write;

/// Prints a table, or one termination.
pub fn run(args: &ReportArgs, out: &mut impl Write) -> Result<Exit, Failure> {
    let api = Api::new(&args.server)?;
    match &args.id {
        Some(id) => {
            let termination = api.termination(id)?;
            if args.json { print_json(out, &termination) } else { print(out, &story(&termination)) }
        }
        None => {
            let answer = api.terminations(&wanted(args))?;
            if args.json { print_json(out, &answer) } else { print(out, &list(&answer.terminations)) }
        }
    }?;
    Ok(Exit::Success)
}

fn wanted(args: &ReportArgs) -> Wanted<'_> {
    Wanted {
        since: args.since.as_deref(),
        namespace: args.namespace.as_deref(),
        workload: args.workload.as_deref(),
        limit: args.limit,
    }
}
