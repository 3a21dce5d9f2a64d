//! What a guest does.

use super::matrix::{Expected, Kernel};
use super::protocol::{Plan, Step};
use crate::build::Profile;
use crate::cargo::Executable;
use crate::context::Context;
use anyhow::Result;
use clap::ValueEnum;
use std::path::{Path, PathBuf};

/// The steps that every plan may have.
pub const DOCTOR: &str = "doctor";
pub const REFUSAL: &str = "run";
pub const ZOO: &str = "zoo";
/// The test that leaves the list of programs, see [`PROGRAMS_VARIABLE`].
pub const PROGRAMS_TEST: &str = "kernel_probe";
/// Where in it.
const PROGRAMS_MODULE: &str = "programs::";

/// The step that leaves the part of the kernel's BTF that the probe looks at.
pub const BTF: &str = "btf";

/// Where that test writes the list, if this says it.
pub const PROGRAMS_VARIABLE: &str = "SHUTDOWN_PROBE_PROGRAMS";
const PROGRAMS_FILE: &str = "/tmp/programs";
const BTF_FILE: &str = "/tmp/btf";

/// A step that hangs. An emulated processor is 10 to 20 times slower than the host's.
const LIMIT_SECONDS: u64 = 420;

/// Cases of the zoo that need no other server than its own: every fate, every way to end, every answer of
/// HTTP/1. Storms are left out: they take what the machine gives, and an emulated one gives little.
pub const CASES: [&str; 72] = [
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
    "stream-cut",
    "length-cut",
    "continue",
    "pipelined",
    "trailers",
    "chunks",
    "head",
    "no-body",
    "close-delimited",
    "said-close",
    "request-bytewise",
    "response-bytewise",
    "large-heads",
    "odd-heads",
    "http10",
    "pipelined-three",
    "pipelined-post",
    "continue-body",
    "early-hints",
    "expectation-failed",
    "answered-early",
    "drained-in-pieces",
    "websocket-traffic",
    "websocket-closing",
    "websocket-quiet",
    "upgrade-declined",
    "line-protocol",
    "hostile-requests",
    "hostile-responses",
    "hostile-upgrade",
];

/// How much of it a guest does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Extent {
    /// doctor's answers, and what the verifier walks through
    Load,
    /// These and the kernel tests
    Tests,
    #[default]
    #[value(skip)]
    All,
}

/// What is run. All of it is optimised, for an emulated processor is slow.
#[derive(Debug)]
pub struct Programs {
    pub daemon: PathBuf,
    pub zoo: Option<PathBuf>,
    pub tests: Vec<Executable>,
    pub extent: Extent,
}

impl Programs {
    /// `tests`: those of the extent.
    pub fn new(context: &Context, extent: Extent, tests: Vec<Executable>) -> Self {
        let zoo = (extent == Extent::All).then(|| context.workspace.zoo());
        Self { zoo, tests, extent, ..Self::only_daemon(context) }
    }

    pub fn only_daemon(context: &Context) -> Self {
        Self {
            daemon: context.workspace.daemon(Profile::Release),
            zoo: None,
            tests: Vec::new(),
            extent: Extent::Load,
        }
    }

    pub fn paths(&self) -> Vec<PathBuf> {
        let tests = self.tests.iter().map(|test| &test.path);
        std::iter::once(&self.daemon).chain(&self.zoo).chain(tests).cloned().collect()
    }
}

/// What the guest of this kernel is to do.
pub fn plan(context: &Context, programs: &Programs, kernel: &Kernel) -> Result<Plan> {
    let root = context.workspace.root();
    let step = Template { path: context.search_path.value()?.to_string_lossy().into_owned(), root };
    let ip = context.search_path.find("ip").unwrap_or_default();
    let mut steps = vec![
        step.of("loopback", &ip, &["link", "set", "lo", "up"]),
        step.of(DOCTOR, &programs.daemon, &["doctor", "--json"]),
        step.of_btf(&programs.daemon),
    ];
    match kernel.expected {
        Expected::Carries => {
            steps.extend(programs.tests.iter().map(|test| step.of_test(test, context, programs.extent)));
            steps.extend(programs.zoo.as_deref().map(|zoo| step.of_zoo(zoo)));
        }
        Expected::Refuses(_) => {
            let arguments = ["run", "--standalone", "--listen", "127.0.0.1:0"];
            steps.push(step.of(REFUSAL, &programs.daemon, &arguments));
        }
    }
    if kernel.preempts_hooks {
        let chrt = context.search_path.find("chrt").unwrap_or_default();
        steps.iter_mut().for_each(|step| step.run_by(&chrt, &["--fifo", "1"]));
    }
    Ok(Plan { steps })
}

/// What it is to do where only its BTF is wanted.
pub fn btf_plan(context: &Context, daemon: &Path) -> Result<Plan> {
    let path = context.search_path.value()?.to_string_lossy().into_owned();
    Ok(Plan { steps: vec![Template { path, root: context.workspace.root() }.of_btf(daemon)] })
}

impl Step {
    /// Has another program run it.
    fn run_by(&mut self, program: &Path, arguments: &[&str]) {
        let own = std::mem::replace(&mut self.program, program.to_owned());
        let all = arguments.iter().map(ToString::to_string).chain([own.display().to_string()]);
        self.arguments.splice(0..0, all);
    }
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

    fn of_test(&self, test: &Executable, context: &Context, extent: Extent) -> Step {
        let mut step = self.of(&test.name, &test.path, &["--include-ignored", "--test-threads=1"]);
        step.directory = context.workspace.daemon_crate();
        if test.name == PROGRAMS_TEST {
            step.variables.push((PROGRAMS_VARIABLE.to_owned(), PROGRAMS_FILE.to_owned()));
            step.leaves = Some(PROGRAMS_FILE.into());
            step.arguments.extend((extent == Extent::Load).then(|| PROGRAMS_MODULE.to_owned()));
        }
        step
    }

    fn of_btf(&self, daemon: &Path) -> Step {
        let script = format!("exec '{}' generate btf > {BTF_FILE}", daemon.display());
        let mut step = self.of(BTF, Path::new("/bin/sh"), &["-c", &script]);
        step.leaves = Some(BTF_FILE.into());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_run_by_another_program() {
        let template = Template { path: "/bin".into(), root: Path::new("/") };
        let mut step = template.of("one", Path::new("/bin/ip"), &["link"]);
        step.run_by(Path::new("/bin/chrt"), &["--fifo", "1"]);
        assert_eq!(step.program, Path::new("/bin/chrt"));
        assert_eq!(step.arguments, ["--fifo", "1", "/bin/ip", "link"]);
    }
}
