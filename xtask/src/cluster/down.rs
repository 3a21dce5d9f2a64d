//! Stopping the cluster and undoing its traces, as root.

use super::component::Component;
use super::containerd::ctr;
use super::layout::Layout;
use super::network;
use super::state::State;
use crate::command::probe;
use anyhow::{Context as _, Result};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Stops what runs of it. Where there is none, nothing is done.
pub fn run() -> Result<()> {
    let layout = Layout::of_this_machine();
    match State::read(&layout)? {
        Some(state) => {
            undo(&layout, state)?;
            println!("it is down");
        }
        None => println!("there is no cluster"),
    }
    Ok(())
}

/// Nothing of the cluster's state is to survive, so nothing has to end gently. The runtime goes last: it is what can
/// end the containers.
pub fn undo(layout: &Layout, mut state: State) -> Result<()> {
    let is_runtime = |component: &Component| component.name == "containerd";
    for component in state.components.iter_mut().rev().filter(|component| !is_runtime(component)) {
        component.kill()?;
    }
    end_containers(layout);
    for component in state.components.iter_mut().filter(|component| is_runtime(component)) {
        component.kill()?;
    }
    unmount(layout.home())?;
    // Its rules are many, and it knows them.
    let _rules = probe(Command::new(state.programs.join("kube-proxy")).arg("--cleanup"));
    network::unmake(&state.kernel);
    remove_cgroups(Path::new("/sys/fs/cgroup"));
    remove_links(Path::new("/var/log/containers"), layout.home())?;
    fs::remove_dir_all(layout.home()).with_context(|| layout.home().display().to_string())
}

fn end_containers(layout: &Layout) {
    let tasks = probe(ctr(layout).args(["tasks", "list", "--quiet"])).unwrap_or_default();
    for task in tasks.lines() {
        // One that has ended meanwhile is gone, as it should be.
        let _gone = probe(ctr(layout).args(["tasks", "delete", "--force", task]));
    }
}

/// Root file systems, volumes and network namespaces: the last mounted goes first.
fn unmount(home: &Path) -> Result<()> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").context("/proc/self/mountinfo")?;
    for place in mounts.lines().rev().filter_map(|line| line.split(' ').nth(4)) {
        if Path::new(place).starts_with(home) {
            let _gone = probe(Command::new("umount").args(["--lazy", place]));
        }
    }
    Ok(())
}

/// The pods' cgroups in each hierarchy, the innermost first. One with processes stays, as the kernel has it.
fn remove_cgroups(root: &Path) {
    let hierarchies = fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path());
    for pods in hierarchies.chain([root.to_owned()]).map(|hierarchy| hierarchy.join("kubepods")) {
        remove_tree(&pods);
    }
}

fn remove_tree(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path());
        }
    }
    let _populated = fs::remove_dir(directory);
}

/// The kubelet's links to logs that are gone.
fn remove_links(directory: &Path, home: &Path) -> Result<()> {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if fs::read_link(&path).is_ok_and(|target| target.starts_with(home)) {
            fs::remove_file(&path).with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}
