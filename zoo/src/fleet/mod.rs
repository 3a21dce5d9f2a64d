//! The fleet: three daemons that watch a part of the machine each, real services that are stopped under real clients,
//! and one Prometheus that scrapes all of them. What it says must come to what the clients saw, exactly: in the
//! scorecard, in the records and alerts; and every query of every dashboard must have an answer.
//!
//! What is hard about it is played: one name on two daemons, a container that is gone before the first scrape, a daemon
//! that is restarted at its address, one that is found only when all is over, and series that have expired.

mod rules;
mod scene;
mod scorecard;
mod truth;

use crate::case::{self, Case};
use crate::cli::FleetArgs;
use crate::daemon::Daemon;
use crate::dashboard;
use crate::prometheus::Prometheus;
use crate::run::{self, Outcome};
use crate::stage::Shared;
use crate::truth::LINGER;
use anyhow::{Context as _, Result, ensure};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use truth::Truth;

/// On two daemons, under one name.
const ON_A: [&str; 4] = ["exit", "brief", "slow-drain", "http2-mixed"];
const ON_B: [&str; 1] = ["sigkill"];
const ON_C: [&str; 2] = ["node-drain-late", "node-no-handler-pid1"];
/// What the dashboards show: more than all of it.
const SHOWN: Duration = Duration::from_secs(600);
/// How long series of an ended container stay on the last one.
const EXPIRY: &str = "8s";

/// One daemon, and the part of the machine that it watches.
struct Member {
    shared: Shared,
    port: u16,
    daemon: Option<Daemon>,
    options: &'static [&'static str],
    log: PathBuf,
}

/// Plays and compares. The answer is whether nothing differs.
///
/// # Errors
/// What could not be played or asked.
pub fn run(options: &FleetArgs) -> Result<bool> {
    let cases = cases([&ON_A[..], &ON_B, &ON_C].concat().as_slice())?;
    let first = run::set_up(&cases)?;
    let program = options.daemon.clone().unwrap_or_else(|| run::daemon_beside(&first));
    let home = first.tools.home.join("fleet");
    std::fs::create_dir_all(&home).with_context(|| home.display().to_string())?;
    let rules = rules::prepare(&options.rules, &home)?;
    let questions = dashboard::questions(&options.dashboards)?;
    let mut truth = Truth::new();
    let mut prometheus = Prometheus::start(&options.prometheus, &home, &rules)?;
    let (b, c) = (first.beside("b")?, first.beside("c")?);
    let mut a = Member::start(first, &program, &home.join("a.log"), &["--grace", "1200ms"])?;
    let mut b = Member::start(b, &program, &home.join("b.log"), &[])?;
    prometheus.look_at(&[a.target(), b.target()])?;
    prometheus.wait_for("scrape of two daemons", "count(shutdown_probe_build_info) == 2", |found| {
        !found.is_empty()
    })?;
    a.play(&ON_A, &mut truth)?;
    b.play(&ON_B, &mut truth)?;
    truth::add(&mut truth, &run::play(&b.shared, scene::EXIT_IN_SIGHT))?;
    b.settle()?;
    scraped(&mut prometheus)?;
    first_event_is_seen(&prometheus, &b.target())?;
    b.restart(&program)?;
    truth::add(&mut truth, &run::play(&b.shared, scene::EXIT_IN_SIGHT))?;
    let mut c = Member::start(c, &program, &home.join("c.log"), &["--series-expiry", EXPIRY])?;
    c.play(&ON_C, &mut truth)?;
    a.settle()?;
    b.settle()?;
    c.settle()?;
    prometheus.look_at(&[a.target(), b.target(), c.target()])?;
    prometheus.wait_for("scrape of three daemons", "count(shutdown_probe_build_info) == 3", |found| {
        !found.is_empty()
    })?;
    scraped(&mut prometheus)?;
    let mut differences = ask_dashboards(&questions, &prometheus)?;
    println!("{}", scorecard::print(&program, &prometheus, &[])?);
    // The quarters of the fast hours are whole when one more has passed.
    let expired = format!(
        "count(shutdown_probe_severed_connections_total{{instance=\"{}\"}}) or vector(0)",
        c.target()
    );
    prometheus.wait_for("expiry", &expired, |found| found.iter().all(|it| it["value"][1] == "0"))?;
    std::thread::sleep(Duration::from_secs(17));
    differences.extend(scorecard::compare(&program, &prometheus, 3, &truth)?);
    differences.extend(rules::compare(&prometheus, &truth)?);
    for difference in &differences {
        println!("- {difference}");
    }
    println!("{} queries of dashboards, {} containers on 3 daemons", questions.len(), truth.len());
    println!(
        "{} passed, {} failed",
        usize::from(differences.is_empty()),
        usize::from(!differences.is_empty())
    );
    Ok(differences.is_empty())
}

fn cases(names: &[&str]) -> Result<Vec<Case>> {
    let all = case::all();
    let find = |name: &&str| all.iter().find(|case| case.name == *name).copied();
    names.iter().map(|name| find(name).with_context(|| format!("there is no case {name}"))).collect()
}

/// Waits for two more scrapes of everybody: whatever was counted before is in Prometheus then.
fn scraped(prometheus: &mut Prometheus) -> Result<()> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).context("the clock")?;
    let query = format!("min(timestamp(up)) > {}", now.as_secs_f64() + 1.0);
    prometheus.wait_for("two scrapes", &query, |found| !found.is_empty()).map(|_| ())
}

/// Who asks by hand sees the first event, too: known series have begun at 0 by then, with the container.
fn first_event_is_seen(prometheus: &Prometheus, target: &str) -> Result<()> {
    let series = format!(
        "shutdown_probe_severed_connections_total{{instance=\"{target}\",container=\"exit\",\
         cause=\"exited_without_drain\",evidence=\"unanswered_request\"}}"
    );
    let first =
        prometheus.query(&format!("min_over_time({series}[1m]) == 0 and increase({series}[1m]) > 2.5"))?;
    ensure!(!first.is_empty(), "increase() does not see the first event of {series}");
    Ok(())
}

/// Each has an answer, but for those that only a cluster can answer: these have none.
fn ask_dashboards(questions: &[dashboard::Question], prometheus: &Prometheus) -> Result<Vec<String>> {
    let mut differences = Vec::new();
    for question in questions {
        let answers = question.ask(prometheus, SHOWN)?;
        let place = format!("{}: {}", question.dashboard, question.place);
        match (answers, question.is_only_in_a_cluster()) {
            (0, false) => differences.push(format!("{place} has no data")),
            (1.., true) => {
                differences.push(format!("{place} has data without a cluster; it need not be an exception"))
            }
            (0, true) => println!("only in a cluster: {place}"),
            (1.., false) => {}
        }
    }
    Ok(differences)
}

impl Member {
    fn start(shared: Shared, program: &Path, log: &Path, options: &'static [&'static str]) -> Result<Self> {
        let port = shared.ports.server()?;
        let mut member = Self { shared, port, daemon: None, options, log: log.to_owned() };
        member.restart(program)?;
        Ok(member)
    }

    /// Ends it, if it runs, and starts it at the same address.
    fn restart(&mut self, program: &Path) -> Result<()> {
        self.daemon = None;
        let Shared { ground, interrupted, .. } = &self.shared;
        let daemon =
            Daemon::start_with(program, ground, self.port, self.log.clone(), interrupted, self.options)?;
        self.daemon = Some(daemon);
        Ok(())
    }

    fn target(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// One after another; adds what the clients saw.
    fn play(&self, names: &[&str], truth: &mut Truth) -> Result<()> {
        for case in cases(names)? {
            let outcome: Outcome = run::play(&self.shared, case);
            truth::add(truth, &outcome)?;
        }
        Ok(())
    }

    /// Waits until the daemon has completed everything.
    fn settle(&mut self) -> Result<()> {
        let daemon = self.daemon.as_mut().context("no daemon")?;
        let deadline = Instant::now() + LINGER + Duration::from_secs(20);
        loop {
            daemon.check()?;
            let terminations = daemon.api().terminations()?;
            if !terminations.is_empty() && terminations.iter().all(crate::api::Termination::is_complete) {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "{} has not completed its terminations", self.target());
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}
