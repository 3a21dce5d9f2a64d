//! Why the kubelet stopped a container of a pod that nobody deleted: it says so in Events. Of one container in its
//! `Killing`, of a whole pod in `Evicted`.

use super::clock::ServerClock;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use shutdown_probe_core::kubernetes::pod::{KubeletReason, Stopped};
use std::collections::HashMap;
use std::time::Duration;

/// How many are kept of each container.
const KEPT: usize = 8;
/// Two that are closer are one, read twice.
const SAME: Duration = Duration::from_millis(900);

/// The kubelet's words, in the middle of its message.
const WORDS: [(&str, KubeletReason); 2] = [
    ("failed liveness probe", KubeletReason::LivenessProbe),
    ("failed startup probe", KubeletReason::StartupProbe),
];

/// Which containers of a pod were stopped, and why, by container.
pub fn stopped(events: &[Event], clock: &ServerClock) -> HashMap<String, Vec<Stopped>> {
    let mut by_container: HashMap<String, Vec<Stopped>> = HashMap::new();
    for event in events {
        let Some((container, stopped)) = one(event, clock) else { continue };
        by_container.entry(container).or_default().push(stopped);
    }
    for stops in by_container.values_mut() {
        keep_newest(stops);
    }
    by_container
}

/// When the kubelet evicted a pod, as these Events say it.
pub fn evicted(events: &[Event], clock: &ServerClock) -> Vec<Stopped> {
    let evictions = events.iter().filter(|event| event.reason.as_deref() == Some("Evicted"));
    let one = |event| Some(Stopped { at: clock.ours(said_at(event)?), why: KubeletReason::Evicted });
    let mut stops: Vec<_> = evictions.filter_map(one).collect();
    keep_newest(&mut stops);
    stops
}

fn keep_newest(stops: &mut Vec<Stopped>) {
    stops.sort_by_key(|stopped| stopped.at);
    stops.drain(..stops.len().saturating_sub(KEPT));
}

fn said_at(event: &Event) -> Option<Timestamp> {
    let fine = event.event_time.as_ref().map(|time| time.0);
    fine.or(event.last_timestamp.as_ref().or(event.first_timestamp.as_ref()).map(|time| time.0))
}

/// Adds what is new. The kubelet repeats an Event by giving it another date: what was there before counts still.
pub fn add(known: &mut HashMap<String, Vec<Stopped>>, found: HashMap<String, Vec<Stopped>>) {
    for (container, stops) in found {
        let known = known.entry(container).or_default();
        // A date of whole seconds reads a little differently each time.
        let is_known = |stop: &Stopped, known: &[Stopped]| {
            known.iter().any(|it| it.why == stop.why && it.at.0.abs_diff(stop.at.0) < SAME.as_nanos() as u64)
        };
        for stop in stops {
            if !is_known(&stop, known) {
                known.push(stop);
            }
        }
        known.drain(..known.len().saturating_sub(KEPT));
    }
}

fn one(event: &Event, clock: &ServerClock) -> Option<(String, Stopped)> {
    if event.reason.as_deref() != Some("Killing") {
        return None;
    }
    let message = event.message.as_deref()?;
    let (_, why) = WORDS.into_iter().find(|(words, _)| message.contains(words))?;
    let path = event.involved_object.field_path.as_deref()?;
    let container = path.rsplit_once('{')?.1.strip_suffix('}')?;
    Some((container.to_owned(), Stopped { at: clock.ours(said_at(event)?), why }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use shutdown_probe_core::identity::KernelInstant;

    fn event(reason: &str, path: &str, message: &str) -> Event {
        serde_json::from_value(json!({
            "metadata": {}, "reason": reason, "message": message, "lastTimestamp": "2026-09-21T14:00:00Z",
            "involvedObject": {"fieldPath": path}
        }))
        .expect("an Event")
    }

    #[test]
    fn the_kubelets_words_are_understood() {
        let events = [
            event(
                "Killing",
                "spec.containers{app}",
                "Container app failed liveness probe, will be restarted",
            ),
            event(
                "Killing",
                "spec.initContainers{proxy}",
                "Container proxy failed startup probe, will be restarted",
            ),
            event("Killing", "spec.containers{app}", "Stopping container app"),
            event("Unhealthy", "spec.containers{app}", "Liveness probe failed: HTTP 500"),
            event("Killing", "", "Container app failed liveness probe, will be restarted"),
        ];
        let found = stopped(&events, &ServerClock::default());
        let why = |name: &str| found.get(name).map(|all| all.iter().map(|it| it.why).collect::<Vec<_>>());
        assert_eq!(why("app"), Some(vec![KubeletReason::LivenessProbe]));
        assert_eq!(why("proxy"), Some(vec![KubeletReason::StartupProbe]));
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn an_eviction_is_of_the_whole_pod() {
        let of = |reason: &str| {
            let stops =
                evicted(&[event(reason, "", "The node was low on resource")], &ServerClock::default());
            stops.iter().map(|stopped| stopped.why).collect::<Vec<_>>()
        };
        assert_eq!(of("Evicted"), [KubeletReason::Evicted]);
        assert_eq!(of("Killing"), []);
    }

    #[test]
    fn what_is_repeated_keeps_its_earlier_dates() {
        let stop = |second: u64, why| Stopped { at: KernelInstant(second * 1_000_000_000), why };
        let found =
            |second| HashMap::from([("app".to_owned(), vec![stop(second, KubeletReason::LivenessProbe)])]);
        let mut known = HashMap::new();
        for second in [100, 100, 105] {
            add(&mut known, found(second));
        }
        let expected = [stop(100, KubeletReason::LivenessProbe), stop(105, KubeletReason::LivenessProbe)];
        assert_eq!(known["app"], expected);
    }

    #[test]
    fn a_loop_of_restarts_has_a_bound() {
        let one = event("Killing", "spec.containers{app}", "Container app failed liveness probe");
        let found = stopped(&vec![one; 50], &ServerClock::default());
        assert_eq!(found["app"].len(), KEPT);
    }
}
