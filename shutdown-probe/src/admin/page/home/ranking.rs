//! Workloads by what their shutdowns cost, worst first.

use crate::admin::page::asked::address;
use crate::admin::page::text::{Shown, count, words};
use maud::{Markup, html};
use shutdown_probe_core::cause::Cause;
use shutdown_probe_core::report::{Container, Termination};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many are listed.
const LISTED: usize = 20;

/// Whose losses are added up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Workload {
    Kubernetes {
        namespace: String,
        kind: String,
        name: String,
    },
    /// Without Kubernetes: a container's name.
    Container(String),
}

impl Workload {
    fn of(container: &Container) -> Self {
        match (&container.pod, &container.workload) {
            (Some(pod), Some(workload)) => Self::Kubernetes {
                namespace: pod.namespace.clone(),
                kind: workload.kind.clone(),
                name: workload.name.clone(),
            },
            (Some(pod), None) => Self::Kubernetes {
                namespace: pod.namespace.clone(),
                kind: "Pod".to_owned(),
                name: pod.name.clone(),
            },
            (None, _) if container.name.is_empty() => Self::Container(container.cgroup.clone()),
            (None, _) => Self::Container(container.name.clone()),
        }
    }
}

/// What the shutdowns of one workload cost.
#[derive(Debug, Default)]
struct Record {
    severed: u64,
    retry_unsafe: u64,
    terminations: u64,
    harmful: u64,
    /// Losses by cause; where nothing was lost, the causes are counted themselves.
    causes: BTreeMap<Cause, (u64, u64)>,
    /// The newest recommendation, in seconds.
    pre_stop: Option<u64>,
    /// The cgroup that all of them had, if it is one.
    cgroup: Option<String>,
}

impl Record {
    /// Takes a termination older than those before.
    fn add(&mut self, termination: &Termination) {
        let cgroup = &termination.container.cgroup;
        self.cgroup = match self.terminations {
            0 => Some(cgroup.clone()),
            _ => self.cgroup.take().filter(|known| known == cgroup),
        };
        self.severed += termination.severed_total;
        self.retry_unsafe += termination.retry_unsafe_total;
        self.terminations += 1;
        self.harmful += u64::from(termination.severed_total > 0);
        let cause = self.causes.entry(termination.cause).or_default();
        *cause = (cause.0 + termination.severed_total, cause.1 + 1);
        let recommended = termination.recommendation.as_ref().map(|it| it.pre_stop_seconds);
        self.pre_stop = self.pre_stop.or(recommended);
    }

    /// The cause of most losses; of most terminations, where nothing was lost.
    fn main_cause(&self) -> Option<Cause> {
        self.causes.iter().max_by_key(|(_, weight)| **weight).map(|(cause, _)| *cause)
    }
}

/// From terminations that come newest first.
fn ranked(terminations: &[Arc<Termination>]) -> Vec<(Workload, Record)> {
    let mut records: BTreeMap<Workload, Record> = BTreeMap::new();
    for termination in terminations {
        records.entry(Workload::of(&termination.container)).or_default().add(termination);
    }
    let mut ranked: Vec<_> = records.into_iter().collect();
    ranked.sort_by_key(|(_, record)| {
        std::cmp::Reverse((record.severed, record.retry_unsafe, record.terminations))
    });
    ranked
}

/// The table.
pub fn section(terminations: &[Arc<Termination>]) -> Markup {
    let ranked = ranked(terminations);
    let more = ranked.len().saturating_sub(LISTED) as u64;
    html! {
        section aria-labelledby="workloads" {
            h2 id="workloads" { "Workloads by losses" }
            div.scroll tabindex="0" role="group" aria-labelledby="workloads" { table {
                thead { tr {
                    th scope="col" { "Workload" }
                    th.number scope="col" { "Severed" }
                    th.number scope="col" { "Not safe to retry" }
                    th.number scope="col" { "Terminations" }
                    th scope="col" { "Main cause" }
                    th scope="col" { "Recommended preStop" }
                } }
                tbody { @for (workload, record) in ranked.iter().take(LISTED) { (row(workload, record)) } }
            } }
            @if more > 0 { p.note { "and " (count(more, "workload")) " with fewer losses" } }
        }
    }
}

fn row(workload: &Workload, record: &Record) -> Markup {
    html! {
        tr {
            th scope="row" { (linked(workload, record)) }
            td.number.lost[record.severed > 0] { (record.severed) }
            td.number.lost[record.retry_unsafe > 0] { (record.retry_unsafe) }
            td.number {
                (record.terminations)
                @if record.harmful > 0 { " " span.note { "(" (record.harmful) " with losses)" } }
            }
            td { (record.main_cause().map_or_else(String::new, |cause| words(cause.as_str()))) }
            td { @match record.pre_stop {
                Some(0) => "none needed",
                Some(seconds) => { (seconds) " s" },
                None => span.note { "not known yet" },
            } }
        }
    }
}

fn linked(workload: &Workload, record: &Record) -> Markup {
    match (workload, &record.cgroup) {
        (Workload::Kubernetes { namespace, kind, name }, _) => {
            let field = if kind == "Pod" { "pod" } else { "workload" };
            html! {
                a href=(address([("namespace", namespace.as_str()), (field, name)])) {
                    (Shown(namespace)) "/" (Shown(name))
                }
                " " span.note { (Shown(kind)) }
            }
        }
        (Workload::Container(name), Some(cgroup)) => {
            html! { a href=(address([("cgroup", cgroup.as_str())])) { (Shown(name)) } }
        }
        (Workload::Container(name), None) => html! { (Shown(name)) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::sample;
    use shutdown_probe_core::report::{Pod, Recommendation, Workload as Owner};

    fn of(namespace: &str, workload: &str, severed_total: u64, cause: Cause) -> Arc<Termination> {
        let container = Container {
            pod: Some(Pod { namespace: namespace.into(), name: "web-1".into(), uid: "u".into() }),
            workload: Some(Owner { kind: "Deployment".into(), name: workload.into(), revision: None }),
            ..Container::default()
        };
        Arc::new(Termination { container, severed_total, cause, ..sample::termination() })
    }

    #[test]
    fn most_losses_come_first_under_the_cause_of_most_of_them() {
        let terminations = [
            of("shop", "web", 1, Cause::KeepaliveRace),
            of("shop", "cart", 9, Cause::GraceExceeded),
            of("shop", "web", 11, Cause::ExitedWithoutDrain),
            of("shop", "web", 0, Cause::Clean),
            of("other", "web", 0, Cause::Clean),
        ];
        let ranked = ranked(&terminations);
        let found: Vec<_> = ranked
            .iter()
            .map(|(workload, record)| match workload {
                Workload::Kubernetes { namespace, name, .. } => {
                    (namespace.as_str(), name.as_str(), record.severed, record.main_cause())
                }
                Workload::Container(_) => panic!("all have pods"),
            })
            .collect();
        assert_eq!(
            found,
            [
                ("shop", "web", 12, Some(Cause::ExitedWithoutDrain)),
                ("shop", "cart", 9, Some(Cause::GraceExceeded)),
                ("other", "web", 0, Some(Cause::Clean)),
            ]
        );
    }

    #[test]
    fn the_newest_recommendation_holds() {
        let with = |seconds: Option<u64>| {
            let recommendation = seconds.map(|pre_stop_seconds| Recommendation {
                pre_stop_seconds,
                terminations: 3,
                reason: String::new(),
            });
            Arc::new(Termination { recommendation, ..sample::termination() })
        };
        assert_eq!(ranked(&[with(None), with(Some(5)), with(Some(9))])[0].1.pre_stop, Some(5));
    }

    #[test]
    fn without_kubernetes_a_name_leads_to_its_only_cgroup() {
        let one = Arc::new(sample::termination());
        let mut other = sample::termination();
        other.container.cgroup = "/elsewhere".into();
        let page = section(std::slice::from_ref(&one)).into_string();
        assert!(page.contains("href=\"./?cgroup=%2Fsystem.slice%2Fweb.service\""), "{page}");
        let page = section(&[one, Arc::new(other)]).into_string();
        assert!(!page.contains("href"), "{page}");
    }
}
