//! What can be typed after `check`, and the plan that follows from it.

use crate::config::{Span, StopSignal};
use crate::exit::{Exit, Failure};
use clap::{Args, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// The least time that is left between stop signal and SIGKILL, as the kubelet leaves it after a long preStop.
const GRACE_LEAST: Duration = Duration::from_secs(2);

/// The arguments of `check`.
#[derive(Args, Clone, Debug)]
pub struct CheckArgs {
    /// The signal that asks the service to stop
    #[arg(long, value_name = "SIGNAL", default_value = "SIGTERM", help_heading = "How it is stopped")]
    pub signal: StopSignal,
    /// From the pod's deletion to SIGKILL, the preStop included (terminationGracePeriodSeconds)
    #[arg(long, value_name = "DURATION", default_value = "30s", help_heading = "How it is stopped")]
    pub grace: Span,
    /// How long the preStop hook sleeps before the stop signal
    #[arg(long, value_name = "DURATION", default_value = "0s", help_heading = "How it is stopped")]
    pub pre_stop: Span,
    /// How long new connections still come after the pod's deletion: the time that proxies take to learn of it
    #[arg(long, value_name = "DURATION", default_value = "500ms", help_heading = "How it is stopped")]
    pub propagation_delay: Span,

    /// What to ask for; better a path that does real work, such as waiting for a database
    #[arg(long, value_name = "PATH", default_value = "/", help_heading = "The load")]
    pub path: String,
    /// A header to send, such as 'Host: shop.example'
    #[arg(long = "header", value_name = "HEADER", help_heading = "The load")]
    pub headers: Vec<String>,
    /// How many requests to have in flight when the stop signal comes
    #[arg(long, value_name = "N", default_value_t = 5, help_heading = "The load")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub requests_in_flight: u16,
    /// How many idle keep-alive connections to hold
    #[arg(long, value_name = "N", default_value_t = 3, help_heading = "The load")]
    #[arg(value_parser = clap::value_parser!(u16).range(0..=1000))]
    pub idle_connections: u16,
    /// How many new connections come each second, a request on each [default: 20, less for a slow service]
    #[arg(long, value_name = "N", help_heading = "The load")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub requests_per_second: Option<u16>,
    /// How many long responses, such as event streams, to hold
    #[arg(long, value_name = "N", default_value_t = 0, requires = "stream_path", help_heading = "The load")]
    #[arg(value_parser = clap::value_parser!(u16).range(0..=1000))]
    pub streams: u16,
    /// Where a long response is to be had
    #[arg(long, value_name = "PATH", help_heading = "The load")]
    pub stream_path: Option<String>,
    /// Run this instead of the load of our own, by sh(1); it finds $URL, $HOST and $PORT
    #[arg(long, value_name = "COMMAND", help_heading = "The load")]
    pub load_command: Option<String>,

    /// The port that serves [default: the one that answers HTTP]
    #[arg(long, value_name = "PORT", help_heading = "The service")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// How long it may take until it answers
    #[arg(long, value_name = "DURATION", default_value = "30s", help_heading = "The service")]
    pub ready_timeout: Span,
    /// A variable of its environment, besides those of ours
    #[arg(long = "env", value_name = "NAME=VALUE", help_heading = "The service")]
    pub environment: Vec<String>,
    /// Whose network it has: the host's, or one of its own with nothing but a loopback
    #[arg(long, value_name = "WHOSE", default_value = "host", help_heading = "The service")]
    pub network: Network,
    /// Do not make it PID 1 of a PID namespace, as a container would
    #[arg(long, help_heading = "The service")]
    pub no_pid_namespace: bool,
    /// Show what it prints
    #[arg(long, help_heading = "The service")]
    pub show_output: bool,

    /// How often to stop it [default: until two runs in a row agree, five at most]
    #[arg(long, value_name = "N", help_heading = "The verdict")]
    #[arg(value_parser = clap::value_parser!(u8).range(1..=50))]
    pub runs: Option<u8>,
    /// Print JSON
    #[arg(long, help_heading = "The verdict")]
    pub json: bool,
    /// Also write a JUnit report to this file
    #[arg(long, value_name = "FILE", help_heading = "The verdict")]
    pub junit: Option<PathBuf>,
    /// No progress on standard error
    #[arg(short, long, help_heading = "The verdict")]
    pub quiet: bool,

    /// The service and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

/// The arguments of `guard`.
#[derive(Args, Debug)]
pub struct GuardArgs {
    /// The cgroup's directory
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
}

/// Whose network the service has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Network {
    /// The network that we are in ourselves.
    Host,
    /// A network namespace of its own, with a loopback.
    Own,
}

/// What will be done: checked.
#[derive(Clone, Debug)]
pub struct Plan {
    /// As it was typed.
    pub args: CheckArgs,
    /// The stop signal.
    pub signal: u32,
    /// From the deletion to the stop signal.
    pub pre_stop: Duration,
    /// From the stop signal to SIGKILL.
    pub grace_after_stop: Duration,
    /// From the deletion to the last new connection.
    pub propagation: Duration,
    /// Headers as they go over the wire, each with its CRLF.
    pub headers: String,
    /// Variables for the service.
    pub environment: Vec<(String, String)>,
}

impl Plan {
    /// Checks what was typed.
    ///
    /// # Errors
    /// A sentence that names the option.
    pub fn check(args: CheckArgs) -> Result<Self, Failure> {
        let (grace, pre_stop) = (args.grace.0, args.pre_stop.0);
        if grace.is_zero() || pre_stop >= grace {
            return Err(wrong(format!(
                "--pre-stop {pre_stop:?} must be shorter than --grace {grace:?}: the grace period covers both"
            )));
        }
        if grace > Duration::from_secs(3600) || args.propagation_delay.0 > Duration::from_secs(600) {
            return Err(wrong("--grace may be one hour at most, --propagation-delay ten minutes".into()));
        }
        for path in args.stream_path.iter().chain([&args.path]) {
            check_path(path)?;
        }
        Ok(Self {
            signal: args.signal.0,
            pre_stop,
            grace_after_stop: (grace - pre_stop).max(GRACE_LEAST.min(grace)),
            propagation: args.propagation_delay.0,
            headers: args.headers.iter().map(|header| header_line(header)).collect::<Result<_, _>>()?,
            environment: args.environment.iter().map(|one| variable(one)).collect::<Result<_, _>>()?,
            args,
        })
    }

    /// The service as one would type it.
    pub fn command_line(&self) -> String {
        let words = self.args.command.iter().map(|word| quoted(&word.to_string_lossy()));
        words.collect::<Vec<_>>().join(" ")
    }
}

fn check_path(path: &str) -> Result<(), Failure> {
    if path.starts_with('/') && path.chars().all(|c| c.is_ascii_graphic()) {
        Ok(())
    } else {
        Err(wrong(format!(
            "{path:?} is no path: it begins with / and has neither spaces nor control characters"
        )))
    }
}

fn header_line(header: &str) -> Result<String, Failure> {
    let is_name = |name: &str| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c))
    };
    match header.split_once(':') {
        Some((name, value)) if is_name(name) && !value.chars().any(char::is_control) => {
            Ok(format!("{name}: {}\r\n", value.trim()))
        }
        _ => Err(wrong(format!("--header {header:?} is no header; write 'Name: value'"))),
    }
}

fn variable(text: &str) -> Result<(String, String), Failure> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(wrong(format!("--env {text:?} is no variable; write NAME=VALUE"))),
    }
}

/// A word as one would type it for a shell.
pub fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+?&".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

fn wrong(message: String) -> Failure {
    Failure::new(Exit::NotMeasured, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser;

    fn plan(arguments: &[&str]) -> Result<Plan, Failure> {
        let words = ["shutdown-probe", "check"].iter().chain(arguments).chain(&["--", "node", "a b"]);
        match Cli::try_parse_from(words).map(|cli| cli.command) {
            Ok(Command::Check(args)) => Plan::check(*args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_grace_period_covers_the_pre_stop() {
        let plan = plan(&["--grace", "30s", "--pre-stop", "5s"]).expect("sound");
        assert_eq!(plan.grace_after_stop, Duration::from_secs(25));
        assert_eq!(plan.command_line(), "node 'a b'");
        let short = plan_of("10s", "9s").expect("sound");
        assert_eq!(short.grace_after_stop, GRACE_LEAST, "the kubelet leaves two seconds");
        assert!(plan_of("5s", "5s").is_err());
    }

    fn plan_of(grace: &str, pre_stop: &str) -> Result<Plan, Failure> {
        plan(&["--grace", grace, "--pre-stop", pre_stop])
    }

    #[test]
    fn nothing_is_smuggled_into_the_request() {
        for wrong in ["x", "X: a\r\nY: b", ": a", "a b: c"] {
            assert!(plan(&["--header", wrong]).is_err(), "{wrong:?}");
        }
        assert_eq!(plan(&["--header", "Host:  shop"]).expect("sound").headers, "Host: shop\r\n");
        for wrong in ["", "x", "/a b", "/a\r\n"] {
            assert!(plan(&["--path", wrong]).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn variables_have_names() {
        assert!(plan(&["--env", "=x"]).is_err() && plan(&["--env", "PORT"]).is_err());
        let plan = plan(&["--env", "A=b=c"]).expect("sound");
        assert_eq!(plan.environment, [("A".to_owned(), "b=c".to_owned())]);
    }
}
