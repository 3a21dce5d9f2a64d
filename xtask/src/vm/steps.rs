//! What a guest does.

use super::matrix::Expected;
use super::protocol::{Plan, Step};
use crate::build::Profile;
use crate::cargo::Executable;
use crate::context::Context;
use anyhow::Result;
use std::path::{Path, PathBuf};

/// The steps that every plan may have.
pub const DOCTOR: &str = "doctor";
pub const REFUSAL: &str = "run";
pub const ZOO: &str = "zoo";
/// The test that leaves the list of programs, see [`PROGRAMS_VARIABLE`].
pub const PROGRAMS_TEST: &str = "kernel_probe";

/// Where that test writes the list, if this says it.
const PROGRAMS_VARIABLE: &str = "SHUTDOWN_PROBE_PROGRAMS";
const PROGRAMS_FILE: &str = "/tmp/programs";

/// A step that hangs. An emulated processor is 10 to 20 times slower than the host's.
const LIMIT_SECONDS: u64 = 420;

/// Cases of the zoo that need no other server than its own: every fate, every way to end. Storms are left out:
/// they take what the machine gives, and an emulated one gives little.
pub const CASES: [&str; 42] = [
    "drain",
    "exit",
    "slow-drain",
    "wait-for-idle",
    "wait-for-idle-left",
    "keepalive-race",
    "keepalive-race-gone",
    "clients-gave-up",
    "health-checks",
    "crowd",
    "ipv6",
    "dual-stack",
    "never-accepted",
    "never-read",
    "unread-behind",
    "upload",
    "half-a-head",
    "half-closed",
    "stream-drained",
    "undelivered",
    "slow-reader",
    "sigkill",
    "sigkill-pid1",
    "crash-abort",
    "crash-exit",
    "crash-fault",
    "finish-under-load",
    "finish-idle",
    "brief",
    "oom",
    "prefork-drain",
    "prefork-exit-pid1",
    "master-leaves",
    "master-leaves-pid1",
    "neighbour",
    "exec-helper",
    "restart-in-place",
    "twins",
    "reuse-port",
    "socket-activation",
    "nobody-listened",
    "nested",
];

/// What is run. All of it is optimised, for an emulated processor is slow.
#[derive(Debug)]
pub struct Programs {
    pub daemon: PathBuf,
    pub zoo: PathBuf,
    pub tests: Vec<Executable>,
}

impl Programs {
    pub fn new(context: &Context, tests: Vec<Executable>) -> Self {
        Self { daemon: context.workspace.daemon(Profile::Release), zoo: context.workspace.zoo(), tests }
    }

    pub fn paths(&self) -> Vec<PathBuf> {
        let tests = self.tests.iter().map(|test| test.path.clone());
        [&self.daemon, &self.zoo].into_iter().cloned().chain(tests).collect()
    }
}

/// What a guest of this kind is to do.
pub fn plan(context: &Context, programs: &Programs, expected: Expected) -> Result<Plan> {
    let root = context.workspace.root();
    let step = Template { path: context.search_path.value()?.to_string_lossy().into_owned(), root };
    let ip = context.search_path.find("ip").unwrap_or_default();
    let mut steps = vec![
        step.of("loopback", &ip, &["link", "set", "lo", "up"]),
        step.of(DOCTOR, &programs.daemon, &["doctor"]),
    ];
    match expected {
        Expected::Carries => {
            steps.extend(programs.tests.iter().map(|test| step.of_test(test, context)));
            steps.push(step.of_zoo(&programs.zoo));
        }
        Expected::Refuses(_) => {
            let arguments = ["run", "--standalone", "--listen", "127.0.0.1:0"];
            steps.push(step.of(REFUSAL, &programs.daemon, &arguments));
        }
    }
    Ok(Plan { steps })
}

struct Template<'a> {
    path: String,
    root: &'a Path,
}

impl Template<'_> {
    fn of(&self, name: &str, program: &Path, arguments: &[&str]) -> Step {
        let variables = [("PATH", self.path.as_str()), ("HOME", "/root"), ("RUST_BACKTRACE", "1")];
        Step {
            name: name.to_owned(),
            program: program.to_owned(),
            arguments: arguments.iter().map(ToString::to_string).collect(),
            variables: variables.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            directory: self.root.to_owned(),
            limit_seconds: LIMIT_SECONDS,
            leaves: None,
        }
    }

    fn of_test(&self, test: &Executable, context: &Context) -> Step {
        let mut step = self.of(&test.name, &test.path, &["--include-ignored", "--test-threads=1"]);
        step.directory = context.workspace.daemon_crate();
        if test.name == PROGRAMS_TEST {
            step.variables.push((PROGRAMS_VARIABLE.to_owned(), PROGRAMS_FILE.to_owned()));
            step.leaves = Some(PROGRAMS_FILE.into());
        }
        step
    }

    fn of_zoo(&self, zoo: &Path) -> Step {
        let mut arguments = vec!["run"];
        for case in CASES {
            arguments.extend(["--case", case]);
        }
        self.of(ZOO, zoo, &arguments)
    }
}
