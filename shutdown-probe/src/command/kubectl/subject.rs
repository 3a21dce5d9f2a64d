//! Whose terminations are asked for, as kubectl names things.
//!
//! It asks nobody: kinds that this program does not know are compared as they are typed.

use std::fmt;
use std::str::FromStr;

/// Whose terminations are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A pod, by name.
    Pod(String),
    /// A workload, by kind and name.
    Workload(Kind, String),
    /// A node, by name.
    Node(String),
    /// Everything.
    All,
}

/// The kind of a workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One that kubectl has other words for.
    Known(&'static str),
    /// A custom one, as it was typed, in small letters and without its group.
    Custom(String),
}

/// What kubectl calls workloads, in the singular.
const KINDS: &[(&[&str], &str)] = &[
    (&["deployment", "deploy"], "Deployment"),
    (&["statefulset", "sts"], "StatefulSet"),
    (&["daemonset", "ds"], "DaemonSet"),
    (&["replicaset", "rs"], "ReplicaSet"),
    (&["job"], "Job"),
    (&["cronjob", "cj"], "CronJob"),
    (&["rollout", "ro"], "Rollout"),
    (&["staticpod"], "StaticPod"),
];

impl FromStr for Subject {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((kind, name)) = text.split_once('/') else { return Ok(Self::Pod(text.to_owned())) };
        if kind.is_empty() || name.is_empty() || name.contains('/') {
            return Err(format!("{text:?} is no KIND/NAME, such as deployment/web"));
        }
        // statefulsets.apps, deployments.v1.apps
        let word = kind.split('.').next().unwrap_or(kind).to_ascii_lowercase();
        let name = name.to_owned();
        Ok(match word.as_str() {
            "pod" | "pods" | "po" => Self::Pod(name),
            "node" | "nodes" | "no" => Self::Node(name),
            _ => Self::Workload(Kind::of(&word), name),
        })
    }
}

impl Kind {
    fn of(word: &str) -> Self {
        let is_called = |names: &[&str]| names.iter().any(|name| is_singular_or_plural(name, word));
        match KINDS.iter().find(|(names, _)| is_called(names)) {
            Some((_, kind)) => Self::Known(kind),
            None => Self::Custom(word.to_owned()),
        }
    }

    /// Whether a workload of this kind is meant.
    pub fn is(&self, kind: &str) -> bool {
        match self {
            Self::Known(known) => *known == kind,
            Self::Custom(word) => is_singular_or_plural(&kind.to_ascii_lowercase(), word),
        }
    }
}

fn is_singular_or_plural(name: &str, word: &str) -> bool {
    word.strip_prefix(name).is_some_and(|rest| matches!(rest, "" | "s" | "es"))
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pod(name) => write!(f, "pod {name}"),
            Self::Workload(Kind::Known(kind), name) => write!(f, "{kind} {name}"),
            Self::Workload(Kind::Custom(kind), name) => write!(f, "{kind} {name}"),
            Self::Node(name) => write!(f, "node {name}"),
            Self::All => f.write_str("anything"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(kind: &'static str, name: &str) -> Subject {
        Subject::Workload(Kind::Known(kind), name.into())
    }

    #[test]
    fn subjects_are_named_as_kubectl_names_them() {
        for (text, subject) in [
            ("web-1", Subject::Pod("web-1".into())),
            ("pod/web-1", Subject::Pod("web-1".into())),
            ("no/node-a", Subject::Node("node-a".into())),
            ("deploy/web", workload("Deployment", "web")),
            ("deployments.apps/web", workload("Deployment", "web")),
            ("StatefulSet/db", workload("StatefulSet", "db")),
            ("sts/db", workload("StatefulSet", "db")),
            ("cj/nightly", workload("CronJob", "nightly")),
            ("job/once", workload("Job", "once")),
        ] {
            assert_eq!(text.parse(), Ok(subject), "{text}");
        }
        for text in ["pod/", "/web", "deployment/web/x", "/"] {
            assert!(text.parse::<Subject>().is_err(), "{text}");
        }
    }

    #[test]
    fn namesakes_of_another_kind_are_others() {
        assert!(Kind::of("sts").is("StatefulSet") && !Kind::of("sts").is("Deployment"));
        assert!(Kind::of("sparkapplications").is("SparkApplication"));
        assert!(Kind::of("redis").is("Redis") && Kind::of("redises").is("Redis"));
        assert!(!Kind::of("redis").is("RedisCluster"));
    }
}
