//! A container: a cgroup, and the servers that live in it one after another.

use super::run::Run;
use super::{RunId, Stage, table};
use crate::cgroup::Group;
use crate::memory;
use crate::process::{Process, Surroundings};
use crate::program::{Program, Ready};
use anyhow::{Context, Result};
use rustix::process::Signal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Instant;

/// A container.
#[derive(Debug)]
pub(super) struct Container {
    pub name: String,
    /// `None` once the runtime has removed it.
    pub group: Option<Group>,
    /// Whether the cgroup outlives its processes, as under a supervisor that restarts in place.
    pub keep: bool,
    pub runs: Vec<Run>,
}

impl Container {
    /// Kills whoever is left, reaps the main process and removes the cgroup.
    pub fn empty(&mut self, run: usize) -> Result<()> {
        if let Some(group) = &self.group {
            self.runs[run].rest_killed = group.kill()? > 0;
        }
        self.runs[run].gone = Some(Instant::now());
        self.runs[run].look()?;
        if !self.keep {
            self.group = None;
        }
        Ok(())
    }
}

impl Stage<'_> {
    /// Starts a program in a container of its own, and waits until it takes connections.
    pub fn start(&mut self, program: Program) -> Result<RunId> {
        let name = match self.containers.len() {
            0 => self.name.to_string(),
            count => format!("{}.{}", self.name, count + 1),
        };
        let group = Some(self.shared.ground.container(&name)?);
        self.containers.push(Container { name, group, keep: false, runs: Vec::new() });
        self.start_in(self.containers.len() - 1, program)
    }

    /// From now on the container's cgroup stays when its processes are gone.
    pub fn keep_cgroup(&mut self, server: RunId) {
        self.containers[server.container].keep = true;
    }

    /// Starts the next server in the same container.
    pub fn restart(&mut self, server: RunId, program: Program) -> Result<RunId> {
        self.start_in(server.container, program)
    }

    fn start_in(&mut self, container: usize, mut program: Program) -> Result<RunId> {
        let port = program.port.map_or_else(|| self.free_port(), Ok)?;
        let group = self.containers[container].group.as_ref().context("the container is gone")?;
        let limit = program.memory_limit.map(|bytes| memory::limit(group, bytes)).transpose()?.flatten();
        let mut entrances = vec![entrance(group, program.nested)?];
        entrances.extend(limit.as_ref().map(Group::entrance).transpose()?);
        let config = self.write_config(&mut program, port)?;
        let mut command = program.build(port, config.as_deref());
        command.env("GATES", &self.directory);
        let ready = program.ready;
        let address = SocketAddr::new(program.address, port);
        let network = program.network.clone();
        let certificate = program.certificate.take();
        let surroundings = Surroundings {
            entrances,
            as_init: program.as_init,
            network: program.network.take(),
            passed: program.passed.take(),
        };
        let process = Process::start(command, surroundings)?;
        self.containers[container].runs.push(Run::new(process, address, network, certificate, limit));
        let id = RunId { container, run: self.containers[container].runs.len() - 1 };
        self.await_ready(id, ready)?;
        Ok(id)
    }

    /// Waits until the server takes connections.
    pub fn await_ready(&mut self, server: RunId, ready: Ready) -> Result<()> {
        match ready {
            Ready::AtOnce => Ok(()),
            Ready::Says(text) => self.wait_for_line(server, text),
            Ready::Listens => self.wait_for("a listener", |stage| {
                let run = stage.run(server);
                table::is_listening(run.process.id(), run.address().port())
            }),
        }
    }

    /// Runs the zoo's own server outside every container, as the upstream of a proxy.
    pub fn start_upstream(&mut self) -> Result<u16> {
        let port = self.free_port()?;
        let mut command = Program::own(self.tools(), "").build(port, None);
        command.env("GATES", &self.directory);
        self.outside.push(Process::start(command, Surroundings::default())?);
        let upstream = self.outside.len() - 1;
        self.wait_for("the upstream", |stage| stage.outside[upstream].log.says("listening"))?;
        Ok(port)
    }

    /// Puts a second process into the container, as `exec` of a runtime does, and sends it a signal.
    pub fn exec_and_signal(&mut self, server: RunId, program: &Program, signal: Signal) -> Result<()> {
        self.exec(server, program, Some(signal))
    }

    fn exec(&mut self, server: RunId, program: &Program, signal: Option<Signal>) -> Result<()> {
        let group = self.containers[server.container].group.as_ref().context("the container is gone")?;
        let surroundings = Surroundings { entrances: vec![group.entrance()?], ..Surroundings::default() };
        let mut helper = Process::start(program.build(0, None), surroundings)?;
        if let Some(signal) = signal {
            helper.signal(signal)?;
        }
        self.wait_for("the end of the helper", |_| helper.try_wait().is_ok_and(|status| status.is_some()))
    }

    /// A process of the container sends its main process a signal.
    pub fn signal_from_inside(&mut self, server: RunId, signal: &str) -> Result<()> {
        let main = self.run(server).process.id().to_string();
        let kill = Program::command(&["kill", "-s", signal, &main], Ready::AtOnce);
        self.exec(server, &kill, None)
    }

    fn write_config(&self, program: &mut Program, port: u16) -> Result<Option<PathBuf>> {
        let Some(template) = program.template.take() else { return Ok(None) };
        let directory = &self.directory;
        program.values.push(("dir", directory.to_string_lossy().into_owned()));
        program.values.push(("port", port.to_string()));
        let text =
            std::fs::read_to_string(&template).with_context(|| format!("reading {}", template.display()))?;
        let path = directory.join(template.file_name().context("a template without a name")?);
        std::fs::write(&path, program.fill(text)).with_context(|| format!("writing {}", path.display()))?;
        Ok(Some(path))
    }
}

fn entrance(group: &Group, nested: Option<&str>) -> Result<std::fs::File> {
    let Some(name) = nested else { return group.entrance() };
    let path = group.path().join(name);
    std::fs::create_dir(&path).with_context(|| format!("making {}", path.display()))?;
    let file = path.join("cgroup.procs");
    std::fs::OpenOptions::new().write(true).open(&file).with_context(|| format!("opening {}", file.display()))
}
