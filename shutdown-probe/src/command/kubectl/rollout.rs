//! One rollout of a workload: the pods of one revision that it replaced.

use crate::output::console::escape::escape;
use shutdown_probe_core::report::{State, Termination};
use std::collections::BTreeSet;

/// Keeps the last rollout of those that are given, newest first.
pub fn keep_last(terminations: &mut Vec<Termination>) {
    let last = terminations.first().map(|newest| revision(newest).map(str::to_owned));
    terminations.retain(|it| last.as_ref().is_some_and(|last| revision(it) == last.as_deref()));
}

/// What a rollout came to, in a sentence.
pub fn summary(terminations: &[Termination]) -> String {
    let Some(first) = terminations.first() else { return String::new() };
    let workload = first.container.workload.as_ref();
    let name = workload.map_or_else(String::new, |it| format!("{} {}", it.kind, it.name));
    let of_revision = revision(first).map_or_else(String::new, |it| format!(", revision {it}"));
    let pods: BTreeSet<_> =
        terminations.iter().filter_map(|it| Some(&it.container.pod.as_ref()?.uid)).collect();
    let sum = |of: fn(&Termination) -> u64| terminations.iter().map(of).sum::<u64>();
    let (severed, unsafe_ones) = (sum(|it| it.severed_total), sum(|it| it.retry_unsafe_total));
    let drained = sum(|it| it.drained_total);
    let is_over = terminations.iter().all(|it| it.state == State::Complete);
    let state = if is_over { "" } else { " so far" };
    let text = format!(
        "Rollout of {name}{of_revision}: {} pods replaced{state}, {severed} connections severed \
         ({unsafe_ones} where a retry is not safe), {drained} drained",
        pods.len()
    );
    format!("{}\n\n", escape(&text))
}

fn revision(termination: &Termination) -> Option<&str> {
    termination.container.workload.as_ref()?.revision.as_deref()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::sample;
    use shutdown_probe_core::report::{Container, Pod, Workload};

    fn of(pod: &str, revision: Option<&str>) -> Termination {
        let revision = revision.map(str::to_owned);
        let container = Container {
            pod: Some(Pod { namespace: "shop".into(), name: pod.into(), uid: pod.into() }),
            workload: Some(Workload { kind: "Deployment".into(), name: "web".into(), revision }),
            ..Container::default()
        };
        Termination { container, ..sample::termination() }
    }

    #[test]
    fn the_last_rollout_is_that_of_the_newest_pod() {
        let mut all = vec![of("d", Some("3")), of("c", Some("3")), of("b", Some("2")), of("a", None)];
        keep_last(&mut all);
        assert_eq!(all, [of("d", Some("3")), of("c", Some("3"))]);
        let mut none = Vec::new();
        keep_last(&mut none);
        assert!(none.is_empty());
    }

    #[test]
    fn a_rollout_is_summed_up() {
        let two = [of("d", Some("3")), of("c", Some("3"))];
        assert_eq!(
            summary(&two),
            "Rollout of Deployment web, revision 3: 2 pods replaced, 6 connections severed (6 where a retry is not \
             safe), 10 drained\n\n"
        );
    }
}
