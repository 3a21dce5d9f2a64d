//! What the host and the guest say to each other: the plan lies in the guest's file system, the messages come
//! one a line over a serial port of their own, where no kernel message can fall between.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Where the guest finds its plan.
pub const PLAN: &str = "/plan.json";
/// The guest's end of the line. The first port is its console.
pub const PORT: &str = "/dev/ttyS1";

/// What the guest does, in order.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct Plan {
    pub steps: Vec<Step>,
}

/// One program to run.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Step {
    pub name: String,
    pub program: PathBuf,
    pub arguments: Vec<String>,
    pub variables: Vec<(String, String)>,
    pub directory: PathBuf,
    pub limit_seconds: u64,
    /// A file that the program leaves; it comes back.
    pub leaves: Option<PathBuf>,
}

/// What the guest says.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// It is up.
    Booted { release: String },
    /// A step is over.
    Ran(Ran),
    /// All steps are over.
    Finished,
}

/// A step that is over.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Ran {
    pub step: String,
    pub outcome: Outcome,
    pub seconds: f64,
    /// The end of what it said, on either stream.
    pub said: String,
    /// The file that it was to leave, where it did.
    pub left: Option<Vec<u8>>,
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Exited(i32),
    Killed(i32),
    TimedOut,
    NotStarted(String),
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exited(status) => write!(f, "exit status {status}"),
            Self::Killed(signal) => write!(f, "killed by signal {signal}"),
            Self::TimedOut => f.write_str("out of time"),
            Self::NotStarted(why) => write!(f, "not started: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line() {
        let ran = Ran {
            step: "doctor".into(),
            outcome: Outcome::NotStarted("gone".into()),
            seconds: 0.5,
            said: "one\ntwo\n".into(),
            left: None,
        };
        for message in [Message::Booted { release: "6.1".into() }, Message::Ran(ran), Message::Finished] {
            let line = serde_json::to_string(&message).unwrap();
            assert!(!line.contains('\n'), "{line}");
            assert_eq!(serde_json::from_str::<Message>(&line).unwrap(), message);
        }
    }
}
