//! Numbers in, a scorecard out.

use super::*;

const HOUR: f64 = 3600.0;

fn series(labels: &[(&str, &str)], values: &[(f64, f64)]) -> Series {
    let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Series { labels: labels.collect(), values: values.to_vec() }
}

fn severed(workload: &str, cause: &str, retry_safe: &str, values: &[(f64, f64)]) -> Series {
    let labels = [
        ("namespace", "shop"),
        ("workload_kind", "Deployment"),
        ("workload", workload),
        ("container", "app"),
        ("cause", cause),
        ("evidence", "unanswered_request"),
        ("retry_safe", retry_safe),
    ];
    series(&labels, values)
}

/// Two days, and daemons in these hours of both windows: 96 in all.
fn period() -> Period {
    Period::new(96 * 3600, 48 * 3600)
}

fn daemons(hours: std::ops::RangeInclusive<u32>) -> Vec<Series> {
    vec![series(&[], &hours.map(|hour| (f64::from(hour) * HOUR, 3.0)).collect::<Vec<_>>())]
}

fn card(observed: &Observed) -> Scorecard {
    Scorecard::of(observed, &period(), &Subject::default(), 10)
}

#[test]
fn days_shares_and_trends_follow_from_the_pieces() {
    let observed = Observed {
        severed: vec![
            severed("web", "crashed", "false", &[(10.0 * HOUR, 4.0), (50.0 * HOUR, 6.0)]),
            severed("web", "grace_exceeded", "true", &[(90.0 * HOUR, 2.0)]),
            severed("api", "crashed", "false", &[(20.0 * HOUR, 9.0)]),
        ],
        daemons: daemons(1..=96),
        ..Observed::default()
    };
    let card = card(&observed);
    assert_eq!(card.daemons.scraped, 3);
    let [web, api] = &card.workloads[..] else { panic!("two workloads") };
    let expected = Losses {
        severed: 8,
        retry_unsafe: 6,
        retry_unsafe_share: Some(0.75),
        per_day: Some(4.0),
        previous: Some(4),
        trend: Some(1.0),
    };
    assert_eq!(web.losses, expected);
    assert_eq!((web.cause.as_deref(), web.causes["grace_exceeded"]), (Some("crashed"), 2));
    assert!(web.fix.as_deref().is_some_and(|fix| fix.starts_with("Fix the crash")));
    assert_eq!((api.losses.severed, api.losses.trend, api.cause.as_deref()), (0, Some(-1.0), None));
    assert_eq!((card.total.severed, card.total.previous), (8, Some(13)));
}

#[test]
fn what_was_not_observed_is_not_extrapolated() {
    let lost = severed("web", "crashed", "false", &[(90.0 * HOUR, 6.0)]);
    let observed =
        |hours| Observed { severed: vec![lost.clone()], daemons: daemons(hours), ..Observed::default() };
    let short = card(&observed(80..=96));
    let losses = &short.workloads[0].losses;
    assert_eq!((losses.per_day, losses.previous, losses.trend), (None, None, None));
    assert_eq!(short.observed_seconds, 17 * 3600);
    let longer = card(&observed(61..=96));
    assert_eq!(longer.workloads[0].losses.per_day, Some(4.0));
    assert!(card(&Observed::default()).is_blind());
}

#[test]
fn what_went_wrong_without_a_loss_is_named_with_the_trigger_s_own_fix() {
    let ended = |trigger: &str, cause: &str, count| {
        let mut one = severed("web", cause, "", &[(90.0 * HOUR, count)]);
        one.labels.insert("trigger".into(), trigger.into());
        one
    };
    let observed = Observed {
        terminations: vec![ended("rollout", "clean", 5.0), ended("rollout", "ignored_stop_signal", 1.0)],
        ..Observed::default()
    };
    let luck = &card(&observed).workloads[0];
    assert_eq!((luck.cause.as_deref(), luck.terminations), (Some("ignored_stop_signal"), 6));
    assert_eq!((luck.rollouts, luck.per_rollout), (1, Some(0.0)));
    let observed = Observed {
        severed: vec![severed("web", "killed_without_stop_signal", "false", &[(90.0 * HOUR, 1.0)])],
        terminations: vec![ended("oom_killed", "killed_without_stop_signal", 1.0)],
        ..Observed::default()
    };
    assert!(card(&observed).workloads[0].fix.as_deref().is_some_and(|fix| fix.contains("memory limit")));
}

#[test]
fn a_workload_is_found_by_its_name_and_a_nameless_one_by_its_container() {
    let mut nameless = severed("", "crashed", "false", &[(90.0 * HOUR, 1.0)]);
    nameless.labels.insert("container".into(), "web".into());
    let others = ["web", "web-canary"].map(|name| severed(name, "crashed", "false", &[(90.0 * HOUR, 2.0)]));
    let observed =
        Observed { severed: others.into_iter().chain([nameless]).collect(), ..Observed::default() };
    let subject = Subject { workload: Some("web".into()), namespace: None };
    let found = Scorecard::of(&observed, &period(), &subject, 1);
    assert_eq!((found.workloads.len(), found.left_off, found.total.severed), (1, 1, 3));
}
