//! What is offered for pipelines: it can be read, and does what it says.

use crate::gate::{Ended, Service, end};
use crate::servers;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

const CI: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/ci");

fn yaml(name: &str) -> Value {
    let text = fs::read_to_string(format!("{CI}/{name}")).expect("readable");
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn keys(value: &Value) -> BTreeSet<String> {
    value.as_object().expect("a mapping").keys().cloned().collect()
}

/// The words of this form in a text.
fn words<'a>(text: &'a str, prefix: &str) -> BTreeSet<String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let all = text.split(|c: char| !is_word(c));
    all.filter_map(|word: &'a str| Some(word.strip_prefix(prefix)?.to_owned())).collect()
}

#[test]
fn the_action_passes_each_input_to_its_script() {
    let action = yaml("github/action.yml");
    let step = &action["runs"]["steps"][0];
    let variables = &step["env"];
    let passed = words(&variables.to_string(), "inputs.");
    let directory = words(&step["working-directory"].to_string(), "inputs.");
    assert_eq!(passed.union(&directory).cloned().collect::<BTreeSet<_>>(), keys(&action["inputs"]));
    let script = fs::read_to_string(format!("{CI}/github/check.sh")).expect("readable");
    let read: BTreeSet<_> =
        words(&script, "CHECK_").into_iter().map(|name| format!("CHECK_{name}")).collect();
    assert_eq!(read, keys(variables));
    assert_eq!(step["run"], "\"$GITHUB_ACTION_PATH/check.sh\"");
    let example = yaml("github/example.yml");
    let steps = example["jobs"]["shutdown"]["steps"].as_array().expect("steps").clone();
    let ours =
        steps.iter().find(|step| step["uses"].to_string().contains("deploy/ci/github")).expect("our step");
    assert!(keys(&ours["with"]).is_subset(&keys(&action["inputs"])), "{ours}");
}

/// The script of the action, as a runner starts it.
fn action(service: &Service, command: &str, junit: &Path) -> Ended {
    let mut script = Command::new(format!("{CI}/github/check.sh"));
    script.envs(service.environment()).env("GITHUB_ACTIONS", "true").env("CHECK_COMMAND", command);
    script
        .env("CHECK_PATH", "/?ms=200")
        .env("CHECK_PRE_STOP", "600ms")
        .env("CHECK_OPTIONS", "--runs 1 --quiet");
    script.env("CHECK_JUNIT", junit).env("CHECK_PROGRAM", env!("CARGO_BIN_EXE_shutdown-probe"));
    end(script.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("bash(1)"))
}

#[test]
fn the_script_of_the_action_fails_and_passes_a_build() {
    let directory = tempfile::tempdir().expect("a directory");
    let junit = directory.path().join("shutdown.xml");
    let server = concat!(env!("CARGO_MANIFEST_DIR"), "/../zoo/servers/server.js");
    let failed = action(&servers::node("exit"), &format!("node {server} 'exit'"), &junit);
    assert_eq!(failed.code, Some(1), "{failed:?}");
    assert!(failed.err.contains("::error title=shutdown loses requests::"), "{failed:?}");
    assert!(fs::read_to_string(&junit).expect("a report").contains("exited_without_drain"));
    let passed = action(&servers::node("drain"), &format!("node {server} drain"), &junit);
    assert_eq!(passed.code, Some(0), "{passed:?}");
    assert!(passed.err.contains("::notice title=shuts down properly::"), "{passed:?}");
}

#[test]
fn the_job_for_gitlab_passes_a_fixed_service() {
    let job = yaml("gitlab/gitlab-ci.yml")["shutdown"].clone();
    assert_eq!(job["artifacts"]["reports"]["junit"], "shutdown.xml");
    let lines = job["script"].as_array().expect("lines").clone();
    let line = lines.iter().filter_map(Value::as_str).find(|line| line.starts_with("shutdown-probe "));
    let (service, directory) = servers::node_without_arguments();
    let directory = directory.path();
    let program = Path::new(env!("CARGO_BIN_EXE_shutdown-probe")).parent().expect("a directory");
    let path = format!("{}:{}", program.display(), std::env::var("PATH").expect("a PATH"));
    let mut shell = Command::new("sh");
    shell.args(["-ec", line.expect("the check")]).envs(service.environment()).env("PATH", path);
    let ended = end(shell
        .current_dir(directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("sh(1)"));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(fs::read_to_string(directory.join("shutdown.xml")).expect("a report").contains("failures=\"0\""));
}

#[test]
fn the_manifests_that_are_advised_can_be_read() {
    let ended = crate::gate::run(&["--runs", "1", "--json", "--quiet"], &servers::node("drain"));
    let said = ended.json();
    assert_eq!(said["cause"], "listener_closed_while_routed", "{said:#}");
    let code = said["fixes"][0]["code"].as_str().expect("a manifest");
    let manifest: Value = serde_saphyr::from_str(code).expect("YAML");
    let container = &manifest["spec"]["containers"][0];
    assert_eq!(container["lifecycle"]["preStop"]["sleep"]["seconds"], 5, "{manifest:#}");
    assert_eq!(manifest["spec"]["terminationGracePeriodSeconds"], 30, "{manifest:#}");
}
