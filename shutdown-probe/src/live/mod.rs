//! The live observation: attached probes, whose records drive the engine.
//!
//! Invariants: between ring and engine there is no queue that could overflow unseen; records that cannot be
//! understood are counted; time is told to the engine only after the records of that time; where records were lost,
//! the cgroup tree says what became of the containers.

mod containers;
mod kernel;

use crate::admin::ProbeStatus;
use crate::clock::{WallClock, boot_now};
use crate::config::Observe;
use crate::exit::{Exit, Failure, OrExit};
use crate::privileges;
use crate::probe::{self, ExistingContainer, Hierarchy, ProbeError, Probes, RecordReader, Verdict, Watch};
use crate::probe_input::{Heard, process, translate};
use crate::witness::{Audience, Witness};
use containers::Containers;
use kernel::LiveKernel;
use shutdown_probe_common::loss::Loss;
use shutdown_probe_common::record::Record;
use shutdown_probe_core::Input;
use shutdown_probe_core::identity::{ContainerId, KernelInstant};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// How often the ring is emptied when nothing wakes us: the longest that a record waits.
const TURN: Duration = Duration::from_millis(20);
/// How often losses and clocks are looked at.
const INSPECTION: Duration = Duration::from_secs(1);
/// How often new places of pods are looked for: before the first is known, and afterwards.
const LOOK_FOR_PODS: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(60)];
const WATCHING: &str = "cannot wait for the ring";

/// Attached probes and the engine they drive.
pub struct Live<A> {
    probes: Probes,
    reader: AsyncFd<RecordReader>,
    hierarchy: Hierarchy,
    watch: Watch,
    /// When places of pods were last looked for, and how many there were.
    pods: Option<(Instant, usize)>,
    wall: WallClock,
    /// The engine and those it works for.
    witness: Witness<LiveKernel, A>,
    undecodable: u64,
    /// Records that the ring had no room for, when we last looked.
    ring_lost: u64,
    /// Losses that the engine was told of.
    told_lost: u64,
    inspected: Option<Instant>,
    /// What others than the kernel say.
    told: Option<mpsc::Receiver<Input>>,
}

/// What the probe itself went through.
#[derive(Clone, Debug, PartialEq)]
pub struct Health {
    /// What was lost so far, by place.
    pub lost: Vec<(&'static str, u64)>,
    /// How often the kernel skipped each program so far.
    pub recursion_misses: Vec<(String, u64)>,
}

/// Checks that there is something to observe, without touching the kernel side.
///
/// # Errors
/// [`Exit::NoInput`] where the cgroup to watch does not exist, [`Exit::Kernel`] without cgroup v2.
pub fn check(observe: &Observe) -> Result<(), Failure> {
    let Some(path) = observe.watch_cgroup.as_ref().filter(|_| !observe.pods) else { return Ok(()) };
    let hierarchy = Hierarchy::at(observe.cgroup_root.as_deref()).map_err(failure)?;
    if hierarchy.directory(path).is_dir() {
        return Ok(());
    }
    let below = hierarchy.mount().display();
    let message = format!("no such cgroup: {}; cgroup v2 is mounted at {below}", path.display());
    Err(Failure::new(Exit::NoInput, message))
}

/// Checks that the probes may be attached, as far as that is known without trying.
///
/// # Errors
/// [`Exit::Permission`].
pub fn check_privileges() -> Result<(), Failure> {
    if privileges::may_load() { Ok(()) } else { Err(failure(ProbeError::NotPermitted)) }
}

impl<A: Audience> Live<A> {
    /// Attaches the probes and tells the engine what exists. Needs the context of a tokio runtime.
    ///
    /// # Errors
    /// What the kernel lacks or refuses, each with its exit code.
    pub fn attach(observe: &Observe, audience: A) -> Result<Self, Failure> {
        let hierarchy = Hierarchy::at(observe.cgroup_root.as_deref()).map_err(failure)?;
        let mut probes = Probes::attach(&settings(observe)).map_err(failure)?;
        let reader =
            probes.take_reader().ok_or_else(|| Failure::new(Exit::Internal, "the ring has no reader"))?;
        // SAFETY: the reader owns the ring's descriptor: it is open, and the same, for as long as the reader is.
        let reader = unsafe { AsyncFd::register_with_interest(reader, Interest::READABLE) };
        let reader = reader.map_err(|error| Failure::new(Exit::Internal, format!("{WATCHING}: {error}")))?;
        let kernel = LiveKernel::new(probes.containers(), observe.engine.linger);
        let witness = Witness::new(observe.engine.clone(), kernel, audience);
        let mut live = Self {
            probes,
            reader,
            hierarchy,
            watch: watch(observe),
            pods: None,
            wall: WallClock::default(),
            witness,
            undecodable: 0,
            ring_lost: 0,
            told_lost: 0,
            inspected: None,
            told: None,
        };
        live.tell_what_exists();
        Ok(live)
    }

    /// What became of each probe.
    pub fn probes(&self) -> Vec<ProbeStatus> {
        self.probes.verdicts().iter().map(status).collect()
    }

    /// Who is told.
    pub fn audience(&mut self) -> &mut A {
        &mut self.witness.audience
    }

    /// Who was told; the probes are detached.
    pub fn into_audience(self) -> A {
        self.witness.audience
    }

    /// Takes what others than the kernel say, too.
    pub fn listen(&mut self, inputs: mpsc::Receiver<Input>) {
        self.told = Some(inputs);
    }

    /// Whether the kernel side still obeys, with the capabilities of this thread.
    pub fn still_obeys(&self) -> bool {
        self.witness.kernel.obeys()
    }

    /// Observes until told to stop, and for as long as `farewell` if containers are on their way to their end then: a
    /// node that shuts down ends them together with us. `after` is called after each turn, with the health once a
    /// second; its error ends the observation.
    ///
    /// # Errors
    /// That of `after`, and [`Exit::Internal`] where the runtime does not take the ring.
    pub async fn run(
        &mut self,
        stop: &CancellationToken,
        farewell: Duration,
        mut after: impl FnMut(&mut A, Option<&Health>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut turns = interval(TURN);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut deadline = None;
        loop {
            if stop.is_cancelled() {
                let deadline = *deadline.get_or_insert_with(|| Instant::now() + farewell);
                if Instant::now() >= deadline || !self.somebody_ends() {
                    break;
                }
            }
            let mut told = None;
            tokio::select! {
                () = stop.cancelled(), if deadline.is_none() => {}
                _ = turns.tick() => {}
                input = next(&mut self.told) => told = Some(input),
                // The kernel side wakes us when the ring is half full.
                ready = self.reader.readable() => ready.or_exit(Exit::Internal, || WATCHING)?.clear_ready(),
            }
            let health = self.turn();
            self.take_told(told);
            after(self.audience(), health.as_ref())?;
        }
        self.witness.conclude();
        Ok(())
    }

    /// Whether a container is on its way to its end that is not ours.
    fn somebody_ends(&self) -> bool {
        self.witness.ending().any(|path| !self.hierarchy.holds_us(path))
    }

    /// What was said comes after the records of the time before it.
    fn take_told(&mut self, first: Option<Input>) {
        self.witness.take_all(first);
        while let Some(input) = self.told.as_mut().and_then(|told| told.try_recv().ok()) {
            self.witness.take(input);
        }
    }

    fn tell_what_exists(&mut self) {
        self.witness.take_all(self.wall.news());
        let at = boot_now();
        for container in self.probes.existing() {
            told_of(container, at).into_iter().for_each(|heard| take(&mut self.witness, heard));
        }
    }

    /// Takes what has come, and lets time pass up to the moment before that.
    fn turn(&mut self) -> Option<Health> {
        let now = boot_now();
        let Self { reader, witness, hierarchy, undecodable, .. } = self;
        let all_taken = reader.get_mut().drain(|bytes| match understand(bytes) {
            Some(heard) => take(witness, completed(hierarchy, heard)),
            None => *undecodable += 1,
        });
        let health = self.inspect(now);
        if all_taken {
            self.witness.pass(now);
        }
        self.witness.kernel.tidy(now);
        health
    }

    /// Once in a while: what was lost, and whether the wall clock was set.
    fn inspect(&mut self, at: KernelInstant) -> Option<Health> {
        if self.inspected.is_some_and(|last| last.elapsed() < INSPECTION) {
            return None;
        }
        self.inspected = Some(Instant::now());
        self.witness.take_all(self.wall.news());
        self.look_for_pods(at);
        let losses = self.probes.losses();
        let ring = losses.iter().find(|(place, _)| *place == Loss::Ring).map_or(0, |(_, count)| *count);
        let unnamed = ring.saturating_sub(self.witness.kernel.lost_by_name(ring)) + self.undecodable;
        if unnamed > self.told_lost {
            let count = unnamed - self.told_lost;
            self.told_lost = unnamed;
            self.witness.take(Input::RecordsLost { at, count });
        }
        if ring > self.ring_lost {
            self.ring_lost = ring;
            self.make_up_for_losses(at);
        }
        let mut lost: Vec<_> = losses.map(|(place, count)| (place.as_str(), count)).to_vec();
        lost.push(("decode", self.undecodable));
        let misses = self.probes.stats().into_iter().map(|program| (program.name, program.recursion_misses));
        Some(Health { lost, recursion_misses: misses.collect() })
    }

    /// A kubelet may come after us, or make a new class of pods.
    fn look_for_pods(&mut self, at: KernelInstant) {
        let is_due =
            |(last, places): (Instant, usize)| last.elapsed() >= LOOK_FOR_PODS[usize::from(places > 0)];
        if self.watch != Watch::Pods || !self.pods.is_none_or(is_due) {
            return;
        }
        let before = self.pods.map_or(0, |(_, places)| places);
        let (places, news) = self.probes.look_for_pods(&self.hierarchy).unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot look for pods");
            (before, Vec::new())
        });
        if self.pods.is_none() && places == 0 {
            tracing::warn!("no pod's cgroup is to be seen yet; they are looked for every 2 s");
        }
        self.pods = Some((Instant::now(), places));
        for heard in news.iter().flat_map(|container| told_of(container, at)) {
            take(&mut self.witness, heard);
        }
    }

    /// Tells the engine what the cgroup tree says and the records, some being lost, did not.
    fn make_up_for_losses(&mut self, at: KernelInstant) {
        let Some(tree) = Containers::look(&self.hierarchy, &self.watch) else { return };
        for heard in self.witness.kernel.containers.missing(&tree, at) {
            take(&mut self.witness, heard);
        }
    }
}

/// The next that is said; never where nobody is there to say something.
async fn next(told: &mut Option<mpsc::Receiver<Input>>) -> Input {
    match told {
        Some(receiver) => match receiver.recv().await {
            Some(input) => input,
            None => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}

fn understand(bytes: &[u8]) -> Option<Heard> {
    let decoded =
        Record::decode(bytes).map_err(|error| tracing::debug!(%error, "a record was not understood"));
    let heard = translate(&decoded.ok()?);
    heard.map_err(|error| tracing::debug!(%error, "a record was not understood")).ok()
}

fn take<A: Audience>(witness: &mut Witness<LiveKernel, A>, heard: Heard) {
    witness.kernel.containers.note(&heard);
    match heard {
        Heard::Input(input) => witness.take(input),
        Heard::NestedRemoved { cgroup, .. } => witness.kernel.nested_removed(cgroup),
        Heard::NestedMade { .. } | Heard::AddedWithCutPath { .. } => {}
    }
}

/// The same, with the whole path where it was cut.
fn completed(hierarchy: &Hierarchy, heard: Heard) -> Heard {
    match heard {
        Heard::AddedWithCutPath { at, container, path } => {
            let path = whole_path(hierarchy, container, path);
            Heard::Input(Input::ContainerAdded { at, container, path, from_birth: true })
        }
        whole => whole,
    }
}

/// The path of a container of which the record has only the beginning; that, if it is gone already.
fn whole_path(hierarchy: &Hierarchy, container: ContainerId, beginning: String) -> String {
    let parent = Path::new(&beginning).parent().unwrap_or(Path::new("/"));
    let found = hierarchy.below(&hierarchy.directory(parent)).unwrap_or_default();
    found.into_iter().find(|cgroup| cgroup.id == container.0).map_or(beginning, |cgroup| cgroup.path)
}

/// What there is to tell of a container that existed before.
fn told_of(existing: &ExistingContainer, at: KernelInstant) -> Vec<Heard> {
    let container = ContainerId(existing.id);
    let path = existing.path.clone();
    let mut told = vec![Heard::Input(Input::ContainerAdded { at, container, path, from_birth: false })];
    told.extend(existing.nested.iter().map(|&cgroup| Heard::NestedMade { container, cgroup }));
    if existing.populated {
        told.push(Heard::Input(Input::ContainerPopulated { at, container, populated: true }));
    }
    if existing.main.tgid != 0 {
        let (process, comm) = (process(existing.main), existing.comm.clone());
        told.push(Heard::Input(Input::ProcessEntered { at, container, process, comm }));
    }
    told
}

fn watch(observe: &Observe) -> Watch {
    match &observe.watch_cgroup {
        _ if observe.pods => Watch::Pods,
        Some(path) => Watch::Children(path.clone()),
        None => Watch::All,
    }
}

fn settings(observe: &Observe) -> probe::Settings {
    probe::Settings {
        watch: watch(observe),
        cgroup_root: observe.cgroup_root.clone(),
        stop_signals: observe.stop_signals.iter().map(|signal| signal.cast_signed()).collect(),
        ring_bytes: observe.ring_bytes,
        protocols: observe.protocols,
    }
}

fn status(verdict: &Verdict) -> ProbeStatus {
    ProbeStatus {
        probe: verdict.probe.into(),
        verdict: verdict.status.as_str().into(),
        reason: (!verdict.reason.is_empty()).then(|| verdict.reason.clone()),
        fates_lost: verdict.fates_lost.iter().map(|fate| fate.as_str().into()).collect(),
    }
}

fn failure(error: ProbeError) -> Failure {
    let exit = match error {
        ProbeError::NotPermitted => Exit::Permission,
        ProbeError::WatchedCgroupMissing(_) => Exit::NoInput,
        ProbeError::Object(_) | ProbeError::Scan { .. } => Exit::Internal,
        ProbeError::NoBtf
        | ProbeError::Btf(_)
        | ProbeError::NoBpf
        | ProbeError::NoCgroup2
        | ProbeError::Layout(_)
        | ProbeError::Map { .. }
        | ProbeError::Required { .. } => Exit::Kernel,
    };
    let advice = match exit {
        Exit::Permission | Exit::Kernel => "; `shutdown-probe doctor` says what is missing",
        _ => "",
    };
    Failure::new(exit, format!("{error}{advice}"))
}
