//! `check` inside a container, made by runc as a pipeline's runner makes one: with namespaces of its own.
//!
//! The container's files are this machine's, bound one directory at a time in the container's own mount namespace.

use crate::gate::check;
use crate::servers;
use serde_json::{Value, json};
use shutdown_probe::probe::Hierarchy;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

/// What `docker run --privileged` gives, as far as it matters.
const PRIVILEGED: [&str; 12] = [
    "CAP_SYS_ADMIN",
    "CAP_BPF",
    "CAP_PERFMON",
    "CAP_NET_ADMIN",
    "CAP_SYS_PTRACE",
    "CAP_KILL",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_SETUID",
    "CAP_SETGID",
    "CAP_SETPCAP",
];
/// These are the container's own.
const OWN: [&str; 4] = ["proc", "sys", "dev", "run"];

/// Runs `check` of a service that drains in a container; `edit` changes what runc is told.
fn inside(edit: impl FnOnce(&mut Value)) -> Output {
    let bundle = tempfile::tempdir().expect("a directory");
    let spec = Command::new("runc").arg("spec").current_dir(&bundle).status().expect("runc(8)");
    assert!(spec.success());
    let path = bundle.path().join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).expect("a spec")).expect("JSON");
    let rootfs = bundle.path().join("rootfs");
    let files = bind_files(&rootfs);
    let kept = config["mounts"].as_array().expect("mounts").iter();
    let kept = kept.filter(|mount| mount["destination"] != "/sys/fs/cgroup").cloned();
    config["mounts"] = kept.chain(files).collect();
    config["root"]["readonly"] = false.into();
    set_process(&mut config["process"]);
    for capabilities in ["bounding", "effective", "permitted"] {
        config["process"]["capabilities"][capabilities] = json!(PRIVILEGED);
    }
    config["linux"]["maskedPaths"] = json!([]);
    config["linux"]["readonlyPaths"] = json!([]);
    edit(&mut config);
    fs::write(path, config.to_string()).expect("written");
    run(&bundle)
}

fn run(bundle: &TempDir) -> Output {
    let name = format!("kernel-check-{}", bundle.path().file_name().expect("a name").to_string_lossy());
    let name = name.replace('.', "");
    Command::new("runc").args(["run", &name]).current_dir(bundle).output().expect("runc(8)")
}

fn set_process(process: &mut Value) {
    let node = servers::node("drain");
    let check = check(&["--runs", "1", "--quiet", "--path", "/?ms=200", "--pre-stop", "600ms"], &node);
    let words = [check.get_program()].into_iter().chain(check.get_args());
    process["args"] = words.map(|word| word.to_str().expect("UTF-8")).collect();
    process["terminal"] = false.into();
    let path = ("PATH".to_owned(), std::env::var("PATH").expect("a PATH"));
    let environment = node.environment().chain([path]);
    process["env"] = environment.map(|(name, value)| format!("{name}={value}")).collect();
}

/// The machine's directories, as mounts; its links are made again.
fn bind_files(rootfs: &Path) -> Vec<Value> {
    fs::create_dir(rootfs).expect("a directory");
    let mut mounts = Vec::new();
    for entry in fs::read_dir("/").expect("the root").flatten() {
        let (source, target) = (entry.path(), rootfs.join(entry.file_name()));
        let is_own = OWN.iter().any(|own| entry.file_name() == *own);
        match entry.file_type().expect("a type") {
            _ if is_own => {}
            kind if kind.is_symlink() => {
                symlink(fs::read_link(&source).expect("a link"), target).expect("a link")
            }
            kind if kind.is_dir() => mounts.push(bind(&source, "rw")),
            _ => {}
        }
    }
    mounts
}

fn bind(path: &Path, access: &str) -> Value {
    json!({"destination": path, "source": path, "type": "bind", "options": ["rbind", access]})
}

fn mount(config: &mut Value, mount: Value) {
    config["mounts"].as_array_mut().expect("mounts").push(mount);
}

/// `-v /sys/fs/cgroup:/sys/fs/cgroup:rw --cgroupns=host`.
fn share_cgroups(config: &mut Value, access: &str) {
    let hierarchy = Hierarchy::find().expect("cgroup v2").mount().to_owned();
    let mut shared = bind(Path::new("/sys/fs/cgroup"), access);
    // Below a tmpfs of other hierarchies, only its own is to be had as it is.
    if hierarchy != Path::new("/sys/fs/cgroup") {
        mount(config, shared);
        shared = bind(&hierarchy, access);
    }
    mount(config, shared);
    let namespaces = config["linux"]["namespaces"].as_array_mut().expect("namespaces");
    namespaces.retain(|namespace| namespace["type"] != "cgroup");
}

#[test]
fn it_measures_as_it_does_outside() {
    let output = inside(|config| share_cgroups(config, "rw"));
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("5 requests"), "{output:?}");
}

/// Each gets exit code 2 and a sentence that says how to start the container.
#[test]
fn what_the_container_lacks_is_named() {
    let said = |output: Output, words: &[&str]| {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        words.iter().for_each(|word| assert!(text.contains(word), "{word:?} is not in {text}"));
    };
    let read_only = inside(|config| share_cgroups(config, "ro"));
    said(read_only, &["docker run --privileged --cgroupns=host -v /sys/fs/cgroup:/sys/fs/cgroup:rw"]);
    let without = inside(|_| ());
    said(without, &["cannot make a cgroup for the service", "-v /sys/fs/cgroup:/sys/fs/cgroup:rw"]);
    let unprivileged = inside(|config| {
        share_cgroups(config, "rw");
        for capabilities in ["bounding", "effective", "permitted"] {
            config["process"]["capabilities"][capabilities] = json!(["CAP_KILL"]);
        }
    });
    said(unprivileged, &["CAP_SYS_ADMIN", "CAP_BPF", "--privileged"]);
}
