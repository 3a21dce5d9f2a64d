//! The labels that say whose number it is, and what each says.

use super::OTHERS;
use clap::ValueEnum;
use serde::Deserialize;
use shutdown_probe_core::command::Labels;

/// A label that says whose number it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum OwnLabel {
    /// The pod's namespace.
    Namespace,
    /// The kind of the topmost owner.
    WorkloadKind,
    /// Its name.
    Workload,
    /// The container's name.
    Container,
    /// The pod's name: a set of series for each pod.
    Pod,
}

impl OwnLabel {
    /// Those that are used where nobody asks for others.
    pub const DEFAULT: &[Self] = &[Self::Namespace, Self::WorkloadKind, Self::Workload, Self::Container];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Namespace => "namespace",
            Self::WorkloadKind => "workload_kind",
            Self::Workload => "workload",
            Self::Container => "container",
            Self::Pod => "pod",
        }
    }

    /// What it says of this container.
    pub(super) fn value(self, labels: &Labels) -> &str {
        match self {
            Self::Namespace => &labels.namespace,
            Self::WorkloadKind => &labels.workload_kind,
            Self::Workload => &labels.workload,
            Self::Container => &labels.container,
            Self::Pod => &labels.pod,
        }
    }

    /// What it says of those for which there is no room.
    pub(super) const fn of_others(self) -> &'static str {
        match self {
            Self::Container | Self::Pod => OTHERS,
            Self::Namespace | Self::WorkloadKind | Self::Workload => "",
        }
    }
}
