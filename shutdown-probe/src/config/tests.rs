//! Bounds and precedence; the command line and the environment are tested on the real binary.

use super::*;

fn file(text: &str) -> Result<File, toml::de::Error> {
    toml::from_str(text)
}

#[test]
fn nothing_given_is_the_default() {
    assert_eq!(Observe::check(ObserveOptions::default()).expect("valid"), Observe::default());
    assert_eq!(Serve::check(ServeOptions::default()).expect("valid"), Serve::default());
    assert_eq!(Log::check(LogOptions::default()), Log::default());
}

#[test]
fn a_flag_goes_before_the_file_and_the_file_before_the_default() {
    let file = file("[observe]\nlinger = '3s'\ngrace = '20s'\n[serve]\nkeep = 7\n").expect("valid");
    let flags = ObserveOptions { linger: Some(Span(Duration::from_secs(1))), ..Default::default() };
    let observe = Observe::check(flags.or(file.observe)).expect("valid");
    assert_eq!(observe.engine.linger, Duration::from_secs(1));
    assert_eq!(observe.engine.grace, Some(Duration::from_secs(20)));
    assert_eq!(observe.stop_signals, [2, 3, 15]);
    assert_eq!(Serve::check(ServeOptions::default().or(file.serve)).expect("valid").keep, 7);
}

#[test]
fn the_file_takes_every_option() {
    let file = file(
        r#"
        standalone = true
        [observe]
        watch-cgroup = "/sys/fs/cgroup/system.slice"
        linger = "5s"
        grace = "30s"
        stop-signals = ["SIGTERM", "37"]
        ring-bytes = "1MiB"
        [serve]
        listen = "[::1]:9999"
        keep = 10
        journal = true
        series-expiry = "10m"
        record = "/var/tmp/all.jsonl"
        [kubernetes]
        node-name = "node-a"
        kubeconfig = "/etc/kubernetes/probe.conf"
        events = false
        metric-labels = ["namespace", "pod"]
        cluster-cidr = ["10.244.0.0/16", "fd00::/8"]
        [log]
        level = "debug"
        format = "json"
        "#,
    )
    .expect("valid");
    assert_eq!(file.standalone, Some(true));
    let observe = Observe::check(file.observe).expect("valid");
    assert_eq!((observe.stop_signals.as_slice(), observe.ring_bytes), ([15, 37].as_slice(), 1 << 20));
    let kubernetes = Kubernetes::check(file.kubernetes).expect("valid");
    assert_eq!((kubernetes.link.node.as_str(), kubernetes.link.events), ("node-a", false));
    assert_eq!(
        (kubernetes.metric_labels.len(), kubernetes.cluster_networks.map(|it| it.len())),
        (2, Some(2))
    );
    let serve = Serve::check(file.serve).expect("valid");
    assert_eq!(serve.listen.to_string(), "[::1]:9999");
    assert_eq!(serve.series_expiry, Duration::from_secs(600));
    assert_eq!(Log::check(file.log), Log { level: LogLevel::Debug, format: LogFormat::Json });
}

#[test]
fn a_wrong_file_names_the_line() {
    for (text, said) in [
        ("standalnoe = true", "unknown field `standalnoe`"),
        ("[observe]\nlinger = '10'", "\"10\" is no duration"),
        ("[serve]\nkeep = -1", "invalid value"),
        ("[observe", "line 1"),
        ("[log]\nlevel = 'loud'", "unknown variant `loud`"),
    ] {
        let error = file(text).expect_err("wrong").to_string();
        assert!(error.contains(said) && error.contains("line"), "{text:?} said {error}");
    }
}

#[test]
fn bounds_are_kept_and_named() {
    let observe = |change: fn(&mut ObserveOptions)| {
        let mut options = ObserveOptions::default();
        change(&mut options);
        Observe::check(options)
    };
    for (outcome, said) in [
        (observe(|o| o.linger = Some(Span(Duration::from_secs(601)))), "--linger"),
        (observe(|o| o.grace = Some(Span(Duration::ZERO))), "--grace"),
        (observe(|o| o.stop_signals = Some(vec![])), "--stop-signals"),
        (observe(|o| o.ring_bytes = Some(ByteSize(5000))), "--ring-bytes"),
        (observe(|o| o.ring_bytes = Some(ByteSize(1 << 40))), "--ring-bytes"),
        (observe(|o| o.ring_bytes = Some(ByteSize(0))), "--ring-bytes"),
    ] {
        let failure = outcome.expect_err("out of bounds");
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.to_string().contains(said), "{failure}");
    }
    let keep = ServeOptions { keep: Some(0), ..Default::default() };
    assert!(Serve::check(keep).expect_err("out of bounds").to_string().contains("--keep"));
}
