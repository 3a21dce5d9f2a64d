//! Scripts: what happens to one container, in milliseconds, and what the engine makes of it.

use shutdown_probe_common::fate::Fate;
use shutdown_probe_core::command::Count;
use shutdown_probe_core::identity::{ContainerId, KernelInstant, ProcessId, SocketCookie};
use shutdown_probe_core::input::{
    Connection, FateName, Framed, Handler, Input, ProcessExited, Role, Sender, Signal,
};
use shutdown_probe_core::report::{State, Termination};
use shutdown_probe_core::signal::{SIGKILL, SIGTERM};
use shutdown_probe_core::{Command, Engine, Settings};
use std::net::SocketAddr;
use std::time::Duration;

pub const CONTAINER: ContainerId = ContainerId(7);
const LINGER: Duration = Duration::from_secs(10);

pub const fn process(tgid: u32) -> ProcessId {
    ProcessId { tgid, start: tgid as u64 * 1_000 }
}

pub const fn instant(ms: u64) -> KernelInstant {
    KernelInstant(ms * 1_000_000)
}

fn peer(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// One container's story.
pub struct Script {
    engine: Engine,
    /// Whom the next lines are about.
    pub container: ContainerId,
    now: u64,
    pub reports: Vec<Termination>,
    pub counts: Vec<Count>,
    pub commands: Vec<Command>,
}

impl Script {
    /// A container made at 0 ms whose main process is 1; nothing listens yet.
    pub fn new() -> Self {
        Self::with(Settings { linger: LINGER, ..Settings::default() })
    }

    pub fn with(settings: Settings) -> Self {
        Self::at_path(settings, "/zoo/case".to_owned())
    }

    /// The same at another path.
    pub fn at_path(settings: Settings, path: String) -> Self {
        let mut script = Self {
            engine: Engine::new(settings),
            container: CONTAINER,
            now: 0,
            reports: Vec::new(),
            counts: Vec::new(),
            commands: Vec::new(),
        };
        script.input(Input::Clock { boot_to_unix_ns: 0 });
        script.input(Input::ContainerAdded { at: instant(0), container: CONTAINER, path, from_birth: true });
        script.input(Input::ContainerPopulated { at: instant(0), container: CONTAINER, populated: true });
        script.enter(1);
        script
    }

    /// The same, with process `tgid` listening on port 80.
    pub fn serving(tgid: u32) -> Self {
        let mut script = Self::new();
        script.at(10).listener(tgid, true, false);
        script
    }

    /// Moves time to `ms`, taking all that is due on the way.
    pub fn at(&mut self, ms: u64) -> &mut Self {
        while let Some(due) = self.engine.poll_timeout().filter(|&due| due <= instant(ms)) {
            self.engine.handle_timeout(due);
            self.collect();
        }
        self.now = ms;
        self
    }

    pub fn input(&mut self, input: Input) -> &mut Self {
        self.engine.handle(input);
        self.collect();
        self
    }

    /// The observation ends.
    pub fn conclude(&mut self) -> &mut Self {
        self.engine.conclude();
        self.collect();
        self
    }

    /// Whether a container is on its way to its end.
    pub fn somebody_ends(&self) -> bool {
        self.engine.ending().next().is_some()
    }

    fn collect(&mut self) {
        while let Some(command) = self.engine.next_command() {
            match &command {
                Command::Report(report) => self.reports.push(Termination::clone(report)),
                Command::Count { count, .. } => self.counts.push(count.clone()),
                _ => {}
            }
            self.commands.push(command);
        }
    }

    pub fn enter(&mut self, tgid: u32) -> &mut Self {
        let (at, process) = (instant(self.now), process(tgid));
        self.input(Input::ProcessEntered { at, container: self.container, process, comm: "app".to_owned() })
    }

    pub fn listener(&mut self, tgid: u32, open: bool, by_death: bool) -> &mut Self {
        let (at, local) = (instant(self.now), peer(80));
        self.input(Input::Listener {
            at,
            container: self.container,
            process: process(tgid),
            local,
            open,
            by_death,
        })
    }

    /// A signal from outside to process `tgid`, child of main process 1 unless it is that; `edit` changes it.
    pub fn signal(&mut self, signal: u32, tgid: u32, edit: impl FnOnce(&mut Signal)) -> &mut Self {
        let mut sent = Signal {
            at: instant(self.now),
            container: self.container,
            target: process(tgid),
            root: process(1),
            comm: "app".to_owned(),
            signal,
            sender: Sender::Outside,
            sender_process: Some(process(4_000)),
            dropped: false,
            handler: Handler::Installed,
            blocked: false,
            to_init: false,
            to_main: false,
            accepted: 5,
        };
        edit(&mut sent);
        self.input(Input::Signal(sent))
    }

    pub fn sigterm(&mut self, handler: Handler) -> &mut Self {
        self.signal(SIGTERM, 1, |signal| signal.handler = handler)
    }

    /// As PID 1 without a handler meets it.
    pub fn sigterm_dropped(&mut self) -> &mut Self {
        self.signal(SIGTERM, 1, |signal| {
            signal.handler = Handler::Default;
            signal.dropped = true;
            signal.to_init = true;
        })
    }

    pub fn reraise(&mut self, tgid: u32) -> &mut Self {
        self.signal(SIGTERM, tgid, |signal| {
            signal.sender = Sender::Inside;
            signal.sender_process = Some(process(tgid));
            signal.handler = Handler::Default;
        })
    }

    pub fn sigkill(&mut self, tgid: u32) -> &mut Self {
        self.signal(SIGKILL, tgid, |signal| signal.handler = Handler::Default)
    }

    pub fn exit(&mut self, tgid: u32, code: Option<u8>, signal: Option<u32>) -> &mut Self {
        self.input(Input::ProcessExited(ProcessExited {
            at: instant(self.now),
            container: self.container,
            process: process(tgid),
            root: process(1),
            comm: "app".to_owned(),
            code,
            signal,
            is_init: false,
            is_main: tgid == 1,
        }))
    }

    /// The main process, of this name, exited.
    pub fn exit_of(&mut self, comm: &str, tgid: u32, code: Option<u8>) -> &mut Self {
        self.input(Input::ProcessExited(ProcessExited {
            at: instant(self.now),
            container: self.container,
            process: process(tgid),
            root: process(tgid),
            comm: comm.to_owned(),
            code,
            signal: None,
            is_init: true,
            is_main: true,
        }))
    }

    /// A process that nobody in the container started exited.
    pub fn exit_as_main(&mut self, tgid: u32, code: Option<u8>, signal: Option<u32>) -> &mut Self {
        self.input(Input::ProcessExited(ProcessExited {
            at: instant(self.now),
            container: self.container,
            process: process(tgid),
            root: process(tgid),
            comm: "app".to_owned(),
            code,
            signal,
            is_init: false,
            is_main: false,
        }))
    }

    /// A client came, and stays.
    pub fn opened(&mut self, port: u16) -> &mut Self {
        let connection = self.connection(port, Fate::NotMeasured);
        self.input(Input::ConnectionOpened(connection))
    }

    /// The container has a process.
    pub fn populated(&mut self) -> &mut Self {
        let (at, container) = (instant(self.now), self.container);
        self.input(Input::ContainerPopulated { at, container, populated: true })
    }

    pub fn empty(&mut self) -> &mut Self {
        self.input(Input::ContainerPopulated {
            at: instant(self.now),
            container: self.container,
            populated: false,
        })
    }

    pub fn connection(&self, port: u16, fate: Fate) -> Connection {
        Connection {
            at: instant(self.now),
            container: self.container,
            cookie: SocketCookie(u64::from(port)),
            owner: Some(process(1)),
            role: Role::Server,
            local: peer(80),
            peer: peer(port),
            fate: FateName(fate),
            by_death: true,
            accepted: true,
            opened_in_window: false,
            unread_bytes: 0,
            response_bytes: 0,
            framed: Framed::default(),
            undelivered_bytes: 0,
            under_way: false,
            unsent: false,
        }
    }

    /// The connection from `port` ended, by the death of process 1 unless `edit` says otherwise.
    pub fn ended(&mut self, port: u16, fate: Fate, edit: impl FnOnce(&mut Connection)) -> &mut Self {
        let mut connection = self.connection(port, fate);
        edit(&mut connection);
        self.input(Input::ConnectionEnded(connection))
    }

    pub fn died(&mut self, port: u16, fate: Fate) -> &mut Self {
        self.ended(port, fate, |_| ())
    }

    pub fn closed(&mut self, port: u16, fate: Fate) -> &mut Self {
        self.ended(port, fate, |connection| connection.by_death = false)
    }

    pub fn refused(&mut self, port: u16) -> &mut Self {
        let at = instant(self.now);
        self.input(Input::Refused { at, container: self.container, local: peer(80), peer: peer(port) })
    }

    /// Lets everything run out and gives the only complete report.
    pub fn report(&mut self) -> Termination {
        self.at(self.now + 60_000);
        let mut complete: Vec<_> =
            self.reports.iter().filter(|report| report.state == State::Complete).cloned().collect();
        assert_eq!(complete.len(), 1, "one complete report: {complete:#?}");
        complete.remove(0)
    }

    /// Lets everything run out: nothing was ever reported.
    pub fn assert_silent(&mut self) {
        self.at(self.now + 60_000);
        assert_eq!(self.reports, []);
        let silenced = self.commands.iter().any(|command| matches!(command, Command::Silence { .. }));
        let narrating = self.commands.iter().any(|command| matches!(command, Command::Narrate { .. }));
        assert!(silenced || !narrating, "{:?}", self.commands);
    }
}

/// Evidence and count of all that a report says was severed.
pub fn severed(report: &Termination) -> Vec<(&str, u64)> {
    report.severed_by_evidence.iter().map(|(fate, &count)| (fate.as_str(), count)).collect()
}
