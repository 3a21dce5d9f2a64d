//! Starting the cluster, as root.

use super::component::{self, Component};
use super::layout::{Layout, NODE, PAUSE};
use super::state::State;
use super::wait::{STARTED, until};
use super::{configuration, containerd, down, keys, network};
use crate::command::{self, probe};
use crate::context::Context;
use crate::image::{Archive, Image, Packing};
use crate::terminal::clock;
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// Starts it and returns once its node is ready. One that runs already is left alone.
pub fn run(context: &Context, programs: &Path) -> Result<()> {
    let layout = Layout::of_this_machine();
    match State::read(&layout)? {
        Some(state) if state.is_alive() => {
            println!("it is up already: export KUBECONFIG={}", layout.kubeconfig().display());
            return Ok(());
        }
        Some(state) => down::undo(&layout, state)?,
        None => {}
    }
    let begun = Instant::now();
    let started = start(context, &layout, programs);
    if let Err(error) = started {
        bail!(
            "{error:#}\nlogs are in {}; `cargo xtask cluster down` undoes what was done",
            layout.logs().display()
        );
    }
    println!("ready after {}: export KUBECONFIG={}", clock(begun.elapsed()), layout.kubeconfig().display());
    Ok(())
}

fn start(context: &Context, layout: &Layout, programs: &Path) -> Result<()> {
    for directory in layout.directories() {
        fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
    }
    fs::set_permissions(layout.keys(), fs::Permissions::from_mode(0o700)).context("protecting keys")?;
    let program = context.search_path.find("containerd").context("containerd has gone")?;
    let mut state = State {
        kernel: network::settings()?,
        components: component::all(layout, programs, &program),
        programs: programs.to_owned(),
    };
    state.write(layout)?;
    keys::make(layout)?;
    configuration::write(layout)?;
    network::make()?;
    launch(layout, &mut state, &["containerd", "etcd", "kube-apiserver"])?;
    launch(layout, &mut state, &["kube-controller-manager", "kube-scheduler"])?;
    await_running(layout, &state, "containerd", || containerd::answers(layout))?;
    load_pause(layout, programs)?;
    await_running(layout, &state, "the API server", || {
        kubectl(layout, programs, &["get", "--raw", "/readyz"])
    })?;
    launch(layout, &mut state, &["kubelet", "kube-proxy"])?;
    // No pod can be made before its namespace has its service account.
    await_running(layout, &state, "a service account", || {
        kubectl(layout, programs, &["get", "serviceaccount", "default"])
    })?;
    await_running(layout, &state, "the node", || {
        let node = format!("node/{NODE}");
        kubectl(layout, programs, &["wait", "--for=condition=Ready", &node, "--timeout=1s"])
    })?;
    hand_over(layout)
}

fn launch(layout: &Layout, state: &mut State, names: &[&str]) -> Result<()> {
    for name in names {
        state.component(name)?.start(layout)?;
        state.write(layout)?;
    }
    Ok(())
}

/// Waits for `condition`, but not if a program has died meanwhile.
fn await_running(
    layout: &Layout,
    state: &State,
    what: &str,
    mut condition: impl FnMut() -> bool,
) -> Result<()> {
    let mut dead = None;
    let started = |component: &&Component| component.was_started();
    until(STARTED, what, || {
        let mut all = state.components.iter().filter(started);
        dead = all.find(|component| !component.is_running());
        dead.is_some() || condition()
    })?;
    match dead {
        Some(component) => bail!("{} ended:\n{}", component.name, component.last_words(layout)),
        None => Ok(()),
    }
}

fn kubectl(layout: &Layout, programs: &Path, arguments: &[&str]) -> bool {
    let mut command = Command::new(programs.join("kubectl"));
    probe(command.arg("--kubeconfig").arg(layout.kubeconfig()).args(arguments)).is_some()
}

fn load_pause(layout: &Layout, programs: &Path) -> Result<()> {
    let mut files = Archive::default();
    files.program(Path::new("/pause"), &fs::read(programs.join("pause")).context("pause")?)?;
    let image = Image::new(PAUSE, files, ["/pause"]);
    let path = layout.file("pause.tar");
    fs::write(&path, image.pack(Packing::Plain)?).with_context(|| path.display().to_string())?;
    containerd::load(layout, &path)
}

/// Who typed sudo is to use the cluster as himself.
fn hand_over(layout: &Layout) -> Result<()> {
    let Some((user, group)) = std::env::var_os("SUDO_UID").zip(std::env::var_os("SUDO_GID")) else {
        return Ok(());
    };
    let mut owner = user;
    owner.push(":");
    owner.push(group);
    command::run(Command::new("chown").arg(owner).arg(layout.kubeconfig()))
}
