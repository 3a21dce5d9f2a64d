//! `report --prometheus`: what a whole cluster lost, workload by workload, from the Prometheus that scrapes its daemons.
//!
//! It deliberately asks no daemon and no Kubernetes: whatever speaks the API of Prometheus will do, with the recording
//! rules or without.

mod answer;
mod client;
mod markdown;
mod options;
mod questions;
mod rollouts;
mod scorecard;
mod table;
mod words;

pub use options::{FleetOptions, Format, Header};

use crate::admin::Since;
use crate::cli::ReportArgs;
use crate::exit::{Exit, Failure, OrExit};
use crate::output::console::{Paint, patiently};
use client::{Client, PATIENCE};
use questions::{Observed, Period, Subject};
use scorecard::Scorecard;
use std::io::Write;
use std::path::Path;

/// The variable that has the bearer token.
const TOKEN: &str = "SHUTDOWN_PROBE_PROMETHEUS_TOKEN";
const WEEK: u64 = 7 * 24 * 3600;
/// A token is no book.
const TOKEN_MOST: u64 = 64 << 10;

/// Asks, adds up and prints.
///
/// # Errors
/// [`Exit::Usage`] for what was typed, [`Exit::Unavailable`] where Prometheus does not answer, [`Exit::NoInput`] where
/// it knows nothing of any daemon.
pub fn report(args: &ReportArgs, out: &mut impl Write) -> Result<Exit, Failure> {
    let options = &args.fleet;
    let url = options.prometheus.as_deref().unwrap_or_default();
    let client = Client::new(url, headers(options)?, PATIENCE)?;
    let asking = format!("waiting for {}", client.base());
    let now = patiently(&asking, || client.now())?;
    let seconds = window(args.since.as_deref(), now)?;
    let period = Period::new(now, seconds);
    let subject = Subject { namespace: args.namespace.clone(), workload: args.workload.clone() };
    let observed = patiently(&asking, || Observed::ask(&client, &subject, &period))?;
    let card = Scorecard::of(&observed, &period, &subject, args.limit.into());
    if card.is_blind() {
        return Err(nothing_known(client.base(), &card));
    }
    let format = if args.json { Format::Json } else { options.output.unwrap_or_default() };
    let text = match format {
        Format::Json => {
            serde_json::to_string(&card).or_exit(Exit::Internal, || "no JSON can be made of this")? + "\n"
        }
        Format::Markdown => markdown::markdown(&card),
        Format::Table => table::table(&card, Paint::stdout()),
    };
    out.write_all(text.as_bytes()).map_err(Failure::cannot_write)?;
    Ok(Exit::Success)
}

fn headers(options: &FleetOptions) -> Result<Vec<Header>, Failure> {
    let mut headers = options.prometheus_header.clone();
    let token = match &options.prometheus_token_file {
        Some(path) => Some(token_in(path)?),
        None => std::env::var(TOKEN).ok().filter(|token| !token.is_empty()),
    };
    if let Some(token) = token {
        let header = format!("Authorization: Bearer {}", token.trim());
        // Its error would be about a header that nobody has typed.
        let header =
            header.parse().map_err(|_| Failure::new(Exit::Usage, "the bearer token is no single line"))?;
        headers.push(header);
    }
    Ok(headers)
}

fn token_in(path: &Path) -> Result<String, Failure> {
    let context = || format!("the token in {}", path.display());
    let size = std::fs::metadata(path).or_exit(Exit::NoInput, context)?.len();
    if size > TOKEN_MOST {
        return Err(Failure::new(Exit::Usage, format!("{} is too long for a token", path.display())));
    }
    std::fs::read_to_string(path).or_exit(Exit::NoInput, context)
}

/// How long the window is, in seconds. It ends now, by the clock of Prometheus.
fn window(since: Option<&str>, now: u64) -> Result<u64, Failure> {
    let usage = |message: String| Failure::new(Exit::Usage, message);
    let since: Since = since.unwrap_or("7d").parse().map_err(usage)?;
    let seconds = match since {
        Since::Ago(span) => span.0.as_secs(),
        Since::At(at) => u64::try_from(at.as_second()).map_or(WEEK, |at| now.saturating_sub(at)),
    };
    if seconds == 0 {
        return Err(usage("--since is not in the past, by the clock of Prometheus".into()));
    }
    Ok(seconds)
}

fn nothing_known(base: &str, card: &Scorecard) -> Failure {
    let mut message = format!(
        "{base} has no shutdown_probe_build_info of this time: does it scrape the daemons? See whether \
         up{{job=~\".*shutdown-probe.*\"}} is there, and the PodMonitor, its labels and the NetworkPolicy \
         (docs/install.md, 4); with several tenants, give --prometheus-header 'X-Scope-OrgID: ...'"
    );
    for warning in &card.warnings {
        message.push_str(&format!("\nPrometheus warns: {warning}"));
    }
    Failure::new(Exit::NoInput, message)
}

#[cfg(test)]
mod tests;
