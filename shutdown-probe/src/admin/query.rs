//! The parameters of `/api/v1/terminations`, which the page shares.

use crate::config::Span;
use jiff::Timestamp;
use serde::Deserialize;
use shutdown_probe_core::cause::Cause;
use shutdown_probe_core::report::{State, Termination};
use shutdown_probe_core::trigger::Trigger;
use std::str::FromStr;

/// The most it can be asked for: each may list a thousand connections.
const LIMIT_MOST: usize = 1_000;

/// Which terminations are asked for. All that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Query {
    namespace: Option<String>,
    pod: Option<String>,
    workload: Option<String>,
    /// Of the workload, as the report has it.
    revision: Option<String>,
    /// This cgroup, or one below it.
    cgroup: Option<String>,
    /// Its primary cause, or one of the others.
    cause: Option<Cause>,
    trigger: Option<Trigger>,
    /// Something was severed; false: nothing was.
    severed: Option<bool>,
    since: Option<Since>,
    limit: Option<usize>,
    /// Of the pages of that many, from 1.
    page: Option<usize>,
}

/// A part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// How many come before it.
    pub skip: usize,
    /// How many it has at most.
    pub limit: usize,
}

/// A moment: a date, or so long ago.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub enum Since {
    /// At this time.
    At(Timestamp),
    /// So long before now.
    Ago(Span),
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(at) = text.parse() {
            return Ok(Self::At(at));
        }
        let neither =
            |_| format!("{text:?} is neither a date such as 2026-09-21T14:00:00Z nor a duration such as 10m");
        text.parse().map(Self::Ago).map_err(neither)
    }
}

impl TryFrom<String> for Since {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl Since {
    /// Seconds since the Unix epoch.
    fn seconds(self, now: Timestamp) -> f64 {
        match self {
            Self::At(at) => at.as_duration().as_secs_f64(),
            Self::Ago(span) => now.as_duration().as_secs_f64() - span.0.as_secs_f64(),
        }
    }
}

impl Query {
    /// Which of those that fit are asked for: this many, unless it says how many.
    ///
    /// # Errors
    /// A sentence for the client, where it asks for none or too many.
    pub fn window(&self, usual: usize) -> Result<Window, String> {
        let limit = self.limit.unwrap_or(usual);
        if !(1..=LIMIT_MOST).contains(&limit) {
            return Err(format!("limit {limit} is not between 1 and {LIMIT_MOST}"));
        }
        match self.page.unwrap_or(1).checked_sub(1) {
            Some(before) => Ok(Window { skip: before.saturating_mul(limit), limit }),
            None => Err("pages are counted from 1".to_owned()),
        }
    }

    /// Whether this termination is asked for.
    pub fn fits(&self, termination: &Termination, now: Timestamp) -> bool {
        let container = &termination.container;
        let (pod, workload) = (container.pod.as_ref(), container.workload.as_ref());
        is(&self.namespace, pod.map(|pod| pod.namespace.as_str()))
            && is(&self.pod, pod.map(|pod| pod.name.as_str()))
            && is(&self.workload, workload.map(|workload| workload.name.as_str()))
            && is(&self.revision, workload.and_then(|workload| workload.revision.as_deref()))
            && self.cgroup.as_ref().is_none_or(|asked| is_within(&container.cgroup, asked))
            && self.cause.is_none_or(|asked| has_cause(termination, asked))
            && self.trigger.is_none_or(|asked| termination.trigger == asked)
            && self.severed.is_none_or(|asked| (termination.severed_total > 0) == asked)
            && self.since.is_none_or(|since| lasted_until(termination, since.seconds(now)))
    }
}

fn is(asked: &Option<String>, found: Option<&str>) -> bool {
    asked.as_deref().is_none_or(|asked| found == Some(asked))
}

fn has_cause(termination: &Termination, asked: Cause) -> bool {
    termination.cause == asked || termination.other_causes.contains(&asked)
}

fn is_within(path: &str, asked: &str) -> bool {
    let asked = asked.trim_end_matches('/');
    path.strip_prefix(asked).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether it is not over, or began or ended at this time or later.
fn lasted_until(termination: &Termination, seconds: f64) -> bool {
    let exit = termination.exit.as_ref().map(|exit| exit.at);
    termination.state == State::InProgress
        || termination.began_at >= seconds
        || exit.is_some_and(|exit| exit >= seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::sample;
    use shutdown_probe_core::report::{Container, Pod, Workload};
    use std::time::Duration;

    fn now() -> Timestamp {
        Timestamp::from_second(1_790_000_060).expect("a date")
    }

    fn fits(change: impl FnOnce(&mut Query), termination: &Termination) -> bool {
        let mut query = Query::default();
        change(&mut query);
        query.fits(termination, now())
    }

    #[test]
    fn dates_and_durations_are_moments() {
        assert_eq!("10m".parse(), Ok(Since::Ago(Span(Duration::from_secs(600)))));
        let same = ["2026-09-21T14:00:00Z", "2026-09-21T16:00:00+02:00"].map(|text| text.parse::<Since>());
        assert_eq!(same[0], same[1]);
        for wrong in ["", "yesterday", "10", "-5m", "2026-13-01T00:00:00Z"] {
            assert!(wrong.parse::<Since>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn since_means_what_had_not_ended_by_then() {
        let termination = sample::termination();
        let since = |seconds: u64| Some(Since::Ago(Span(Duration::from_secs(seconds))));
        assert!(fits(|q| q.since = since(61), &termination));
        assert!(!fits(|q| q.since = since(30), &termination));
        let running = Termination { state: State::InProgress, ..termination };
        assert!(fits(|q| q.since = since(30), &running));
    }

    #[test]
    fn a_cgroup_has_those_below_it_and_no_namesakes() {
        let termination = sample::termination();
        for asked in ["/system.slice/web.service", "/system.slice", "/system.slice/", "/", ""] {
            assert!(fits(|q| q.cgroup = Some(asked.into()), &termination), "{asked}");
        }
        for asked in ["/system", "/system.slice/web", "/other"] {
            assert!(!fits(|q| q.cgroup = Some(asked.into()), &termination), "{asked}");
        }
    }

    #[test]
    fn names_are_matched_whole_and_all_must_hold() {
        let container = Container {
            pod: Some(Pod { namespace: "shop".into(), name: "web-1".into(), uid: "u".into() }),
            workload: Some(Workload { kind: "Deployment".into(), name: "web".into(), revision: None }),
            ..Container::default()
        };
        let termination = Termination { container, ..sample::termination() };
        assert!(fits(|q| q.namespace = Some("shop".into()), &termination));
        assert!(!fits(|q| q.pod = Some("web".into()), &termination));
        let both = |q: &mut Query| (q.workload, q.namespace) = (Some("web".into()), Some("other".into()));
        assert!(!fits(both, &termination));
        assert!(!fits(|q| q.revision = Some("7".into()), &termination), "its revision is not known");
        assert!(
            !fits(|q| q.namespace = Some(String::new()), &sample::termination()),
            "no pod is no empty name"
        );
    }

    #[test]
    fn causes_are_found_beside_the_primary_one() {
        let other_causes = vec![Cause::ListenerClosedWhileRouted];
        let termination = Termination { other_causes, ..sample::termination() };
        for (cause, expected) in [
            (Cause::ExitedWithoutDrain, true),
            (Cause::ListenerClosedWhileRouted, true),
            (Cause::Clean, false),
        ] {
            assert_eq!(fits(|q| q.cause = Some(cause), &termination), expected, "{cause:?}");
        }
        assert!(fits(|q| q.trigger = Some(Trigger::ContainerStopped), &termination));
        assert!(!fits(|q| q.trigger = Some(Trigger::Rollout), &termination));
    }

    #[test]
    fn severed_or_not_or_both() {
        let severed = sample::termination();
        let clean = Termination { severed_total: 0, ..sample::termination() };
        assert!(fits(|q| q.severed = Some(true), &severed) && !fits(|q| q.severed = Some(true), &clean));
        assert!(fits(|q| q.severed = Some(false), &clean) && !fits(|q| q.severed = Some(false), &severed));
    }

    #[test]
    fn windows_have_bounds() {
        let window = |limit, page| Query { limit, page, ..Query::default() }.window(100);
        assert_eq!(window(None, None), Ok(Window { skip: 0, limit: 100 }));
        assert_eq!(window(Some(1_000), Some(3)), Ok(Window { skip: 2_000, limit: 1_000 }));
        assert_eq!(window(None, Some(usize::MAX)).map(|window| window.skip), Ok(usize::MAX));
        assert!(window(Some(0), None).is_err() && window(Some(1_001), None).is_err());
        assert!(window(None, Some(0)).is_err());
    }
}
