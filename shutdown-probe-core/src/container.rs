//! One container: who its main process is, where it listens, and its termination if it is in one.
//!
//! The first process that enters a container is its main process. One that enters while the main process
//! lives is an exec'd helper (a probe, `docker exec`): what befalls it or its children is no termination.

use crate::command::Labels;
use crate::engine::Settings;
use crate::identity::{ContainerId, KernelInstant, ProcessId, SocketCookie};
use crate::input::{Connection, ProcessExited, Sender, Signal};
use crate::kubernetes::cgroup_path::{Place, place};
use crate::kubernetes::{Member, Pod};
use crate::report;
use crate::signal::SIGKILL;
use crate::termination::{Subject, Termination};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How old a container may be whose first process is still the runtime's, on a busy machine.
const YOUNG: Duration = Duration::from_secs(10);
/// How long the losses of a dying process wait for the container's end to explain them.
const EARLY: Duration = Duration::from_secs(2);
/// Bounds on what is remembered of one container.
const HELPERS: usize = 256;
const LISTENERS: usize = 1_024;
const EARLY_LOSSES: usize = 4_096;
/// The length of a runtime's container id, in hex digits.
const RUNTIME_ID: usize = 64;

/// One container.
#[derive(Debug)]
pub(crate) struct Container {
    pub path: String,
    pub removed: bool,
    pub serving: bool,
    /// The names under which its series began.
    pub serves_as: Option<Labels>,
    /// The container of a pod that it is; where only those count.
    pub member: Option<Member>,
    /// Not a container of its own: a pod's sandbox, a runtime's monitor.
    pub ignored: bool,
    pub termination: Option<Termination>,
    /// Something of it was counted, so that its series are to expire with it.
    pub counted: bool,
    born_at: Option<KernelInstant>,
    main: Option<ProcessId>,
    /// It had a main process since it was last empty: what came of that runs on, if anything does.
    had_main: bool,
    populated: bool,
    helpers: BTreeSet<ProcessId>,
    listeners: BTreeMap<SocketAddr, ProcessId>,
    early: VecDeque<Connection>,
}

impl Container {
    pub fn new(id: ContainerId) -> Self {
        Self {
            path: format!("/unknown-{}", id.0),
            removed: false,
            serving: false,
            serves_as: None,
            member: None,
            ignored: false,
            termination: None,
            counted: false,
            born_at: None,
            main: None,
            had_main: false,
            populated: false,
            helpers: BTreeSet::new(),
            listeners: BTreeMap::new(),
            early: VecDeque::new(),
        }
    }

    pub fn named(&mut self, path: String, born_at: Option<KernelInstant>) {
        self.path = path;
        self.born_at = born_at.or(self.born_at);
    }

    fn name(&self) -> &str {
        self.path.rsplit('/').find(|part| !part.is_empty()).unwrap_or("/")
    }

    /// Where only pods' containers count: which one it is, by its path.
    pub fn join(&mut self) {
        if self.member.is_none() {
            match place(&self.path) {
                Place::Container(key) => self.member = Some(Member::new(key)),
                _ => self.ignored = true,
            }
        }
    }

    /// What the API says of its pod now, and whether it has it no more.
    pub fn meet(&mut self, at: KernelInstant, pod: Arc<Pod>, removed: bool) {
        let Some(member) = &mut self.member else { return };
        member.meet(pod);
        member.note_removal(removed, self.main.is_some() || self.populated);
        self.in_termination(|termination| termination.changed = true);
        self.announce(at);
    }

    /// Whether its pod's network was removed: the kubelet lets the API forget a pod once that is done.
    pub fn network_is_gone(&self) -> bool {
        self.member.as_ref().is_some_and(Member::network_is_gone)
    }

    /// Its pod is to go: what happens from now on belongs to its end, if it runs. One that the API does not list may
    /// be the sandbox.
    fn announce(&mut self, now: KernelInstant) {
        let Some(member) = self.member.as_ref().filter(|member| member.is_listed()) else { return };
        let Some(deleted_at) = member.deleted_at(now) else { return };
        let runs = self.main.is_some() || self.populated;
        if self.ignored || (self.termination.is_none() && !runs) {
            return;
        }
        let began_at = deleted_at.max(self.born_at.unwrap_or_default());
        if runs {
            self.drop_suspicion();
        }
        if self.termination.is_none() {
            self.open(began_at);
        }
        self.in_termination(|termination| termination.announce(began_at));
    }

    /// The name of a process tells a sandbox: nobody asks when that ends.
    fn look_at(&mut self, comm: &str) {
        if self.member.as_ref().is_some_and(|member| member.is_sandbox(comm)) {
            self.ignored = true;
            self.termination = None;
        }
    }

    pub fn labels(&self) -> Labels {
        if let Some(member) = &self.member {
            return member.labels();
        }
        Labels { container: self.name().to_owned(), ..Labels::default() }
    }

    pub fn described(&self) -> report::Container {
        if let Some(member) = &self.member {
            return member.described(&self.path);
        }
        report::Container {
            cgroup: self.path.clone(),
            id: runtime_id(self.name()).unwrap_or_default().to_owned(),
            name: self.name().to_owned(),
            ..report::Container::default()
        }
    }

    /// What a verdict needs to know of it.
    pub fn subject(&self, settings: &Settings) -> Subject {
        let Some(member) = &self.member else {
            return Subject { grace: settings.grace, own_grace: settings.grace, ..Subject::default() };
        };
        let began = self.termination.as_ref().map(Termination::asked_at);
        let trigger = began.and_then(|at| member.trigger(at));
        Subject {
            grace: member.grace(trigger).or(settings.grace),
            own_grace: member.own_grace().or(settings.grace),
            is_in_pod: true,
            trigger,
            oom_killed: member.was_oom_killed(),
        }
    }

    /// A process came in from outside.
    pub fn entered(&mut self, process: ProcessId, comm: &str) {
        self.look_at(comm);
        match self.main {
            // A runtime's first process ends when it has made the real one: who comes then, comes to that.
            None if !(self.had_main && self.populated) => {
                self.main = Some(process);
                self.had_main = true;
            }
            Some(main) if main == process => {}
            _ => {
                if self.helpers.len() == HELPERS {
                    self.helpers.pop_first();
                }
                self.helpers.insert(process);
            }
        }
    }

    fn is_main(&self, process: ProcessId, told: bool) -> bool {
        self.main.map_or(told, |main| main == process)
    }

    fn is_helper(&self, root: ProcessId) -> bool {
        self.helpers.contains(&root)
    }

    /// A stop signal or SIGKILL was sent to one of its processes.
    pub fn signal(&mut self, mut signal: Signal) {
        self.look_at(&signal.comm);
        if self.ignored {
            return;
        }
        let from_outside = matches!(signal.sender, Sender::Outside | Sender::Kernel);
        if self.is_helper(signal.root) && self.main != Some(signal.target) {
            return;
        }
        signal.to_main = self.is_main(signal.target, signal.to_main);
        let meant = signal.to_main || signal.to_init || self.main.is_none();
        if from_outside {
            self.open_for_signal(&signal);
        }
        let listening = !self.listeners.is_empty();
        let age = self.born_at.map(|born| signal.at.since(born));
        if let Some(termination) = &mut self.termination {
            termination.signal(signal, listening, age);
            if from_outside && meant {
                termination.confirm();
            }
        }
    }

    fn open_for_signal(&mut self, signal: &Signal) {
        if signal.signal != SIGKILL {
            self.drop_suspicion();
        }
        self.open(signal.at);
    }

    /// The same where another main process has ended, well, before this one.
    fn drop_suspicion_before(&mut self, exit: &ProcessExited) {
        let ended_well = self.termination.as_ref().and_then(Termination::first_exit);
        if ended_well.is_some_and(|first| first.code == Some(0) && first.process != exit.process) {
            self.drop_suspicion();
        }
    }

    /// A process that had forked away and exited well (a daemon's start, a runtime's first steps) is not what ends now.
    fn drop_suspicion(&mut self) {
        let is_superseded = self
            .termination
            .as_ref()
            .is_some_and(|open| !open.confirmed && !open.was_asked_for() && !open.has_losses());
        if is_superseded {
            self.termination = None;
        }
    }

    /// Whether all that has happened to it is that its first process ended well, just now, and others run.
    pub fn is_first_step(&self, now: KernelInstant) -> bool {
        let is_young = self.born_at.is_some_and(|born| now.since(born) < YOUNG);
        let ended_well = self.termination.as_ref().and_then(Termination::first_exit);
        is_young && self.populated && ended_well.is_some_and(|first| first.code == Some(0))
    }

    /// The OOM killer chose one of its processes.
    pub fn oom(&mut self, at: KernelInstant, process: ProcessId) {
        if !self.helpers.iter().any(|helper| helper.tgid == process.tgid) {
            let is_main = self.main.is_some_and(|main| main.tgid == process.tgid);
            self.open(at);
            self.in_termination(|termination| {
                termination.oom(at, process);
                if is_main {
                    termination.confirm();
                }
            });
        }
    }

    /// Does something with the termination it is in, if it is in one.
    pub fn in_termination(&mut self, act: impl FnOnce(&mut Termination)) {
        if let Some(termination) = &mut self.termination {
            act(termination);
        }
    }

    /// Whether a listener of it is known to be open.
    pub fn is_listening(&self) -> bool {
        !self.listeners.is_empty()
    }

    /// A process ended.
    pub fn exited(&mut self, exit: ProcessExited) {
        self.look_at(&exit.comm);
        if self.ignored {
            return;
        }
        if self.helpers.remove(&exit.process) || self.is_helper(exit.root) {
            return;
        }
        let is_main =
            self.is_main(exit.process, exit.is_main) || self.main.is_none() && exit.process == exit.root;
        if is_main || exit.is_init {
            self.drop_suspicion_before(&exit);
            let at = self.early.iter().map(|loss| loss.at).min().unwrap_or(exit.at).min(exit.at);
            let is_new = self.termination.is_none();
            self.open(if exit.at.since(at) <= EARLY { at } else { exit.at });
            if is_new {
                self.adopt_early_losses();
            }
        }
        if self.main == Some(exit.process) {
            self.main = None;
        }
        if let Some(termination) = &mut self.termination {
            if exit.is_init {
                termination.confirm();
            }
            termination.exited(exit, is_main);
        }
    }

    /// It lost its last process, or got a first one.
    pub fn populated(&mut self, at: KernelInstant, populated: bool) {
        self.populated = populated;
        if self.ignored {
            return;
        }
        if populated {
            if let Some(termination) = self.termination.as_mut().filter(|open| open.empty_at.is_some()) {
                termination.restarted_at.get_or_insert(at);
            }
            return;
        }
        // Without a process of its own it is a mere parent of containers.
        if self.termination.is_none() && self.main.is_none() {
            return;
        }
        self.main = None;
        self.had_main = false;
        self.helpers.clear();
        self.listeners.clear();
        if self.termination.is_none() {
            self.open(at);
            self.adopt_early_losses();
        }
        if let Some(termination) = &mut self.termination {
            termination.confirm();
            termination.emptied(at);
        }
    }

    fn open(&mut self, at: KernelInstant) {
        if self.termination.is_none() {
            let mut termination = Termination::suspect(at);
            termination.note_listening(self.listeners.values().copied());
            self.termination = Some(termination);
        }
    }

    fn adopt_early_losses(&mut self) {
        if let Some(termination) = &mut self.termination {
            self.early.drain(..).for_each(|loss| termination.ended(&loss));
        }
    }

    /// A connection ended.
    pub fn connection_ended(&mut self, connection: &Connection) {
        match &mut self.termination {
            Some(termination) => termination.ended(connection),
            None if connection.by_death => self.remember_early(connection),
            None => {}
        }
    }

    fn remember_early(&mut self, connection: &Connection) {
        while self.early.front().is_some_and(|loss| connection.at.since(loss.at) > EARLY)
            || self.early.len() >= EARLY_LOSSES
        {
            self.early.pop_front();
        }
        self.early.push_back(connection.clone());
    }

    /// What came after the end of a connection changed its fate.
    pub fn connection_revised(&mut self, connection: &Connection) {
        if let Some(termination) = &mut self.termination {
            termination.revised(connection);
        } else if let Some(loss) = self.early.iter_mut().find(|loss| loss.cookie == connection.cookie) {
            *loss = connection.clone();
        }
    }

    /// Nothing is under way any more to the peer of a connection that ended.
    pub fn connection_settled(&mut self, cookie: SocketCookie) {
        if let Some(termination) = &mut self.termination {
            termination.settled(cookie);
        } else if let Some(early) = self.early.iter_mut().find(|early| early.cookie == cookie) {
            early.under_way = false;
        }
    }

    /// A listener was opened or closed.
    pub fn listener(
        &mut self,
        at: KernelInstant,
        process: ProcessId,
        local: SocketAddr,
        open: bool,
        by_death: bool,
    ) {
        if open && self.listeners.len() < LISTENERS {
            self.listeners.insert(local, process);
        } else if !open {
            self.listeners.remove(&local);
        }
        if let Some(termination) = &mut self.termination {
            termination.listener(at, process, local, open, by_death);
        }
    }
}

/// The runtime's id in a cgroup's name: 64 hex digits, as Docker, containerd and CRI-O use.
fn runtime_id(name: &str) -> Option<&str> {
    name.split(['-', '.', ':'])
        .find(|part| part.len() == RUNTIME_ID && part.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runtime_id_is_found_in_the_name() {
        let id = "0123456789abcdef".repeat(4);
        for name in [id.clone(), format!("docker-{id}.scope"), format!("cri-containerd-{id}.scope")] {
            assert_eq!(runtime_id(&name), Some(id.as_str()));
        }
        assert_eq!(runtime_id("nginx.service"), None);
    }
}
