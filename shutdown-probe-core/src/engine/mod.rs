//! The engine's front door: routes inputs to containers, keeps their deadlines, says what to do.
//!
//! The life of a termination: *suspected* (lapses after [`LAPSE`]) → *confirmed* (reported as
//! `in_progress`) → the process has ended; after [`SETTLE`] its losses are counted → the container is empty;
//! after the linger it is `complete`.

mod due;
mod farewell;
mod pods;

use crate::command::{Command, Count, Labels};
use crate::container::Container;
use crate::identity::{ContainerId, KernelInstant};
use crate::input::Input;
use crate::kubernetes::source::{Network, private_networks};
use crate::kubernetes::{Member, Registry};
use crate::recommendation::{Histories, Name};
use crate::report::{State, Termination as Report};
use crate::termination::{Frame, Origin};
use core::time::Duration;
use due::{Due, is_due};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How long a suspicion may go unconfirmed.
const LAPSE: Duration = Duration::from_secs(10);
/// The same where a container has just been made: its first process may have been the runtime's, which ends when the
/// real one is there. What ends soon after that is to be a story of its own.
const FIRST_STEP: Duration = Duration::from_secs(1);
/// From the end of the process to counting its losses: the records of its last moments are on their way.
const SETTLE: Duration = Duration::from_millis(200);
/// How often a termination in progress is reported anew, at most.
const REPORT: Duration = Duration::from_millis(100);
/// How many containers are kept at most.
const CONTAINERS: usize = 1 << 16;
/// Until told otherwise.
const FOREVER: KernelInstant = KernelInstant(u64::MAX);

/// What can be set.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How long after the last exit late packets still count.
    pub linger: Duration,
    /// The grace period, where it is known for all containers alike.
    pub grace: Option<Duration>,
    /// Containers are those of pods; what the API says of them comes as [`Input::Pod`].
    pub pods: bool,
    /// The networks of the cluster, for where late clients come from.
    pub cluster_networks: Vec<Network>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            linger: Duration::from_secs(10),
            grace: None,
            pods: false,
            cluster_networks: private_networks(),
        }
    }
}

/// The engine.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    boot_to_unix_ns: i64,
    containers: BTreeMap<ContainerId, Container>,
    due: BTreeMap<ContainerId, Due>,
    histories: Histories,
    /// Major and minor version of the API server.
    server_version: Option<(u32, u32)>,
    commands: VecDeque<Command>,
    registry: Registry,
    /// The containers of each pod, by what their paths call it.
    members: BTreeMap<String, BTreeSet<ContainerId>>,
}

fn name_of(container: &Container) -> Name {
    match &container.member {
        Some(_) => Name::Workload(Labels { pod: String::new(), ..container.labels() }),
        None => Name::Path(container.path.clone()),
    }
}

impl Engine {
    /// An engine that knows nothing yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            boot_to_unix_ns: 0,
            containers: BTreeMap::new(),
            due: BTreeMap::new(),
            histories: Histories::default(),
            server_version: None,
            commands: VecDeque::new(),
            registry: Registry::default(),
            members: BTreeMap::new(),
        }
    }

    /// Takes one input.
    pub fn handle(&mut self, input: Input) {
        match input {
            Input::Clock { boot_to_unix_ns } => self.boot_to_unix_ns = boot_to_unix_ns,
            Input::RecordsLost { at, count } => self.records_lost(at, count),
            Input::Pod { at, pod } => self.meet(at, *pod),
            Input::PodRemoved { at, uid } => self.part(at, &uid),
            Input::NodeAddresses { addresses, .. } => self.registry.note_node(addresses),
            Input::ServerVersion { major, minor, .. } => self.server_version = Some((major, minor)),
            Input::Endpoint { at, pod, service, step } => self.endpoint(at, &pod, &service, step),
            input => self.handle_of_container(input),
        }
    }

    fn handle_of_container(&mut self, input: Input) {
        let Some((id, at)) = subject_of(&input) else { return };
        if self.containers.len() >= CONTAINERS && !self.containers.contains_key(&id) {
            return;
        }
        self.make_way_for_next_life(id, at, &input);
        let origin = self.origin_of(&input);
        let is_new = matches!(input, Input::ContainerAdded { .. });
        let container = self.containers.entry(id).or_insert_with(|| Container::new(id));
        let was_terminating = container.termination.is_some();
        apply(container, input, origin);
        if is_new && self.settings.pods {
            self.join(id, at);
        }
        self.note_serving(id);
        self.follow_up(id, at, was_terminating);
    }

    /// The series of what serves begin, under the names that are known; in Kubernetes not before the API tells them.
    fn note_serving(&mut self, id: ContainerId) {
        let Some(container) = self.containers.get_mut(&id) else { return };
        container.serving |= container.is_listening();
        let is_named = container.member.as_ref().is_none_or(Member::is_listed);
        if !container.serving || container.ignored || !is_named {
            return;
        }
        let labels = container.labels();
        if container.serves_as.as_ref() == Some(&labels) {
            return;
        }
        let count = |labels, count| Command::Count { labels, count };
        let before = container.serves_as.replace(labels.clone());
        self.commands.extend(before.map(|before| count(before, Count::Expired)));
        self.commands.push_back(count(labels, Count::Serving));
    }

    /// A container that was restarted and is stopped again: its earlier termination ends here.
    fn make_way_for_next_life(&mut self, id: ContainerId, at: KernelInstant, input: &Input) {
        let is_over = self
            .containers
            .get(&id)
            .and_then(|container| container.termination.as_ref())
            .is_some_and(|termination| termination.restarted_at.is_some_and(|restart| restart <= at));
        let begins_anew = match input {
            Input::Signal(_) | Input::ContainerPopulated { populated: false, .. } => true,
            Input::ProcessExited(exit) => exit.is_init || exit.process == exit.root,
            _ => false,
        };
        if is_over && begins_anew {
            self.complete(id);
        }
    }

    fn follow_up(&mut self, id: ContainerId, at: KernelInstant, was_terminating: bool) {
        let Some(container) = self.containers.get_mut(&id) else { return };
        let is_first_step = container.is_first_step(at);
        let Some(termination) = &mut container.termination else {
            if container.removed {
                self.forget(id);
            }
            return;
        };
        let due = self.due.entry(id).or_default();
        if !was_terminating {
            due.lapse = Some(at.after(if is_first_step { FIRST_STEP } else { LAPSE }));
        }
        if termination.confirmed && (due.lapse.take().is_some() || !was_terminating) {
            self.commands.push_back(Command::Narrate { container: id, until: FOREVER });
        }
        if termination.confirmed && termination.changed && due.report.is_none() {
            due.report = Some(at.after(REPORT));
        }
        if let Some(ended) = termination.empty_at.or_else(|| termination.principal_exit_at())
            && termination.changed
        {
            due.settle.get_or_insert(at.max(ended.after(SETTLE)));
        }
        if let Some(empty) = termination.empty_at {
            due.complete.get_or_insert(empty.after(self.settings.linger));
        }
    }

    /// Takes the passing of time.
    pub fn handle_timeout(&mut self, now: KernelInstant) {
        let ready: BTreeSet<_> =
            self.due.iter().filter(|(_, due)| is_due(due.next(), now)).map(|(&id, _)| id).collect();
        for id in ready {
            self.handle_due(id, now);
        }
    }

    fn handle_due(&mut self, id: ContainerId, now: KernelInstant) {
        let Some(due) = self.due.get_mut(&id) else { return };
        if is_due(due.lapse, now) {
            return self.lapse(id);
        }
        let report = due.report.take_if(|at| *at <= now).is_some();
        let settle = due.settle.take_if(|at| *at <= now).is_some();
        if is_due(due.complete, now) {
            return self.complete(id);
        }
        self.settle(id);
        if report || settle {
            self.report(id, State::InProgress);
        }
    }

    /// When [`Self::handle_timeout`] wants to be called next, if at all.
    pub fn poll_timeout(&self) -> Option<KernelInstant> {
        self.due.values().filter_map(Due::next).min()
    }

    /// The next thing to do. Call until `None` after each input and timeout.
    pub fn next_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// A suspicion came to nothing.
    fn lapse(&mut self, id: ContainerId) {
        self.due.remove(&id);
        self.close(id);
    }

    /// Counts what is known and was not counted yet.
    fn settle(&mut self, id: ContainerId) {
        let Some(container) = self.containers.get_mut(&id) else { return };
        let labels = container.labels();
        let subject = container.subject(&self.settings);
        let Some(termination) = container.termination.as_mut().filter(|termination| termination.confirmed)
        else {
            return;
        };
        container.counted = true;
        if termination.cause_is_known() {
            self.commands.push_back(Command::ReadCounters { container: id });
        }
        let counts = termination.take_counts(subject);
        self.count(&labels, counts);
    }

    /// Nothing more can come.
    fn complete(&mut self, id: ContainerId) {
        self.due.remove(&id);
        if let Some(container) = self.containers.get_mut(&id) {
            let network_is_gone = container.network_is_gone();
            container.in_termination(|termination| termination.conclude_deliveries(network_is_gone));
        }
        self.settle(id);
        let Some(container) = self.containers.get_mut(&id) else { return };
        let labels = container.labels();
        let subject = container.subject(&self.settings);
        let name = name_of(container);
        let Some(termination) = &container.termination else { return };
        if let Some(sample) = termination.sample(subject) {
            self.histories.add(name.clone(), sample);
        }
        let recommended = self.histories.get(&name).and_then(|it| it.recommend(subject.own_grace));
        let grace_used_ratio = termination
            .grace_used_since_deletion()
            .zip(subject.grace)
            .map(|(used, grace)| used.as_secs_f64() / grace.as_secs_f64());
        let mut counts = vec![Count::Termination {
            trigger: termination.trigger(subject),
            cause: termination.causes(subject).0,
            duration: termination.duration(),
            grace_used_ratio,
        }];
        counts.extend(
            recommended.map(|found| Count::RecommendedPreStop {
                sleep: Duration::from_secs(found.pre_stop_seconds),
            }),
        );
        counts.extend(termination.endpoint_lag().map(|lag| Count::EndpointLag { lag }));
        self.report(id, State::Complete);
        self.count(&labels, counts);
        self.close(id);
    }

    /// Its termination is over.
    fn close(&mut self, id: ContainerId) {
        self.commands.push_back(Command::Silence { container: id });
        if let Some(container) = self.containers.get_mut(&id) {
            container.termination = None;
            if container.removed {
                self.forget(id);
            }
        }
    }

    fn count(&mut self, labels: &Labels, counts: impl IntoIterator<Item = Count>) {
        self.commands
            .extend(counts.into_iter().map(|count| Command::Count { labels: labels.clone(), count }));
    }

    fn forget(&mut self, id: ContainerId) {
        self.due.remove(&id);
        if let Some(container) = self.containers.remove(&id) {
            if let Some(member) = &container.member
                && let Some(members) = self.members.get_mut(&member.key.pod)
            {
                members.remove(&id);
                if members.is_empty() {
                    self.members.remove(&member.key.pod);
                }
            }
            let counted_as = container.counted.then(|| container.labels());
            let ended = container.serves_as.or(counted_as);
            self.commands.extend(ended.map(|labels| Command::Count { labels, count: Count::Expired }));
            self.commands.push_back(Command::Forget { container: id });
        }
    }

    fn report(&mut self, id: ContainerId, state: State) {
        let report = self.report_of(id, state);
        self.commands.extend(report.map(|report| Command::Report(Box::new(report))));
        if let Some(termination) =
            self.containers.get_mut(&id).and_then(|container| container.termination.as_mut())
        {
            termination.changed = false;
        }
    }

    fn report_of(&self, id: ContainerId, state: State) -> Option<Report> {
        let container = self.containers.get(&id)?;
        let termination = container.termination.as_ref().filter(|termination| termination.confirmed)?;
        let subject = container.subject(&self.settings);
        Some(termination.report(Frame {
            id: format!("{:x}-{:x}", id.0, termination.began_at.0),
            container: container.described(),
            state,
            history: self.histories.get(&name_of(container)),
            server_version: self.server_version,
            subject,
            unix: &|at| unix_seconds(at, self.boot_to_unix_ns),
        }))
    }

    fn records_lost(&mut self, at: KernelInstant, count: u64) {
        let ids: Vec<_> = self.due.keys().copied().collect();
        for id in ids {
            if let Some(termination) =
                self.containers.get_mut(&id).and_then(|known| known.termination.as_mut())
            {
                termination.lost_somewhere(count);
            }
            self.follow_up(id, at, true);
        }
    }
}

fn unix_seconds(at: KernelInstant, boot_to_unix_ns: i64) -> f64 {
    let ns = i128::from(at.0) + i128::from(boot_to_unix_ns);
    // To the microsecond: what a double can hold of a date of today.
    (ns / 1_000) as f64 / 1e6
}

/// Whom an input is about, and when it happened.
fn subject_of(input: &Input) -> Option<(ContainerId, KernelInstant)> {
    Some(match input {
        Input::ContainerAdded { at, container, .. }
        | Input::ContainerRemoved { at, container }
        | Input::ContainerPopulated { at, container, .. }
        | Input::ProcessEntered { at, container, .. }
        | Input::OomVictim { at, container, .. }
        | Input::SignalDelivered { at, container, .. }
        | Input::ConnectionSettled { at, container, .. }
        | Input::ConnectionStranded { at, container, .. }
        | Input::Refused { at, container, .. }
        | Input::Listener { at, container, .. }
        | Input::Counters { at, container, .. } => (*container, *at),
        Input::ProcessExited(exit) => (exit.container, exit.at),
        Input::Signal(signal) => (signal.container, signal.at),
        Input::ConnectionOpened(connection)
        | Input::ConnectionEnded(connection)
        | Input::ConnectionRevised { connection, .. } => (connection.container, connection.at),
        Input::Clock { .. }
        | Input::RecordsLost { .. }
        | Input::Pod { .. }
        | Input::PodRemoved { .. }
        | Input::NodeAddresses { .. }
        | Input::ServerVersion { .. }
        | Input::Endpoint { .. } => return None,
    })
}

/// `origin`: of the client that the input is about.
fn apply(container: &mut Container, input: Input, origin: Origin) {
    match input {
        Input::ContainerAdded { at, path, from_birth, .. } => container.named(path, from_birth.then_some(at)),
        Input::ContainerRemoved { .. } => container.removed = true,
        Input::ContainerPopulated { at, populated, .. } => container.populated(at, populated),
        Input::ProcessEntered { process, comm, .. } => container.entered(process, &comm),
        Input::ProcessExited(exit) => container.exited(exit),
        Input::Signal(signal) => container.signal(signal),
        Input::ConnectionEnded(connection) => container.connection_ended(&connection),
        Input::ConnectionRevised { connection, .. } => container.connection_revised(&connection),
        Input::ConnectionSettled { cookie, .. } => container.connection_settled(cookie),
        Input::ConnectionStranded { at, cookie, .. } => {
            container.in_termination(|termination| termination.stranded(at, cookie));
        }
        Input::Listener { at, process, local, open, by_death, .. } => {
            container.listener(at, process, local, open, by_death);
        }
        Input::OomVictim { at, process, .. } => container.oom(at, process),
        Input::ConnectionOpened(connection) => {
            container.in_termination(|termination| termination.opened(&connection, origin));
        }
        Input::SignalDelivered { process, signal, .. } => {
            container.in_termination(|termination| termination.delivered(process, signal));
        }
        Input::Refused { at, local, peer, .. } => {
            container.in_termination(|termination| termination.refused(at, local, peer, origin));
        }
        Input::Counters { grown, .. } => container.in_termination(|termination| termination.counters(&grown)),
        Input::Clock { .. }
        | Input::RecordsLost { .. }
        | Input::Pod { .. }
        | Input::PodRemoved { .. }
        | Input::NodeAddresses { .. }
        | Input::ServerVersion { .. }
        | Input::Endpoint { .. } => {}
    }
}
