//! What the engine is told of one container, in milliseconds from the deletion of its pod, and what it makes of it.

use shutdown_probe::recording::{Header, Reader, replay};
use shutdown_probe_common::fate::Fate;
use shutdown_probe_core::identity::{ContainerId, KernelInstant, ProcessId, SocketCookie};
use shutdown_probe_core::input::{
    Connection, EndpointStep, FateName, Framed, Handler, Input, ProcessExited, Protocol, Role, Sender, Signal,
};
use shutdown_probe_core::kubernetes::Pod;
use shutdown_probe_core::kubernetes::pod::{Change, Container, Deletion};
use shutdown_probe_core::report::{Spec, Termination, Workload};
use shutdown_probe_core::{Settings, report::State};
use std::net::SocketAddr;

const CONTAINER: ContainerId = ContainerId(4_711);
const UID: &str = "9d3c1f0e-5a7b-4c2d-8e6f-0a1b2c3d4e5f";
const ID: &str = "3f2c8e1d9b7a60514f8e2d1c0b9a8f7e6d5c4b3a29181706f5e4d3c2b1a09f8e";
/// The deletion, in milliseconds since boot.
const DELETED: u64 = 3_600_000;
const MAIN: ProcessId = ProcessId { tgid: 31_337, start: 1_000 };

fn instant(ms: i64) -> KernelInstant {
    KernelInstant((DELETED as i64 + ms) as u64 * 1_000_000)
}

fn local() -> SocketAddr {
    SocketAddr::from(([10, 244, 0, 7], 8_080))
}

/// Inputs in the making.
pub struct Story {
    inputs: Vec<Input>,
    pod: Pod,
}

impl Story {
    /// A pod of a Deployment that serves, whose deletion comes so long after the epoch, in seconds.
    pub fn serving(name: &str, deleted_at: f64) -> Self {
        let boot_to_unix_ns = ((deleted_at - DELETED as f64 / 1e3) * 1e9) as i64;
        let pod = Pod {
            uid: UID.into(),
            namespace: "shop".into(),
            name: format!("{name}-5d4f7c9b86-x2x7q"),
            workload: Some(Workload {
                kind: "Deployment".into(),
                name: name.into(),
                revision: Some("7".into()),
            }),
            addresses: vec![local().ip()],
            grace_seconds: Some(30),
            containers: vec![Container {
                name: "app".into(),
                image: format!("registry.example/{name}:1.7"),
                id: Some(ID.into()),
                spec: Spec {
                    kind: "container".into(),
                    grace_seconds: Some(30),
                    pre_stop: Some("sleep 5 s".into()),
                    readiness_probe: true,
                    ..Spec::default()
                },
                ..Container::default()
            }],
            ..Pod::default()
        };
        let (at, container) = (instant(-3_000_000), CONTAINER);
        let path = format!("/kubepods/burstable/pod{UID}/{ID}");
        let inputs = vec![
            Input::Clock { boot_to_unix_ns },
            Input::Pod { at, pod: Box::new(pod.clone()) },
            Input::ContainerAdded { at, container, path, from_birth: true },
            Input::ContainerPopulated { at, container, populated: true },
            Input::ProcessEntered { at, container, process: MAIN, comm: "node".into() },
            Input::Listener { at, container, process: MAIN, local: local(), open: true, by_death: false },
        ];
        Self { inputs, pod }
    }

    /// Its Deployment has a new revision: the pod is deleted, and taken out of its Service.
    pub fn rolled_out(mut self, not_ready: i64, removed: i64) -> Self {
        let deletion = Some(Deletion { began_at: instant(0), grace_seconds: 30 });
        let pod = Pod { deletion, change: Some(Change::NewRevision), ..self.pod.clone() };
        self.inputs.push(Input::Pod { at: instant(0), pod: Box::new(pod) });
        for (ms, step) in [(not_ready, EndpointStep::NotReady), (removed, EndpointStep::Removed)] {
            let service = self.pod.workload.as_ref().map(|it| it.name.clone()).unwrap_or_default();
            self.inputs.push(Input::Endpoint { at: instant(ms), pod: UID.into(), service, step });
        }
        self
    }

    pub fn signal(mut self, ms: i64, signal: u32) -> Self {
        self.inputs.push(Input::Signal(Signal {
            at: instant(ms),
            container: CONTAINER,
            target: MAIN,
            root: MAIN,
            comm: "node".into(),
            signal,
            sender: Sender::Outside,
            sender_process: Some(ProcessId { tgid: 900, start: 1 }),
            dropped: false,
            handler: Handler::Installed,
            blocked: false,
            to_init: true,
            to_main: true,
            accepted: 500,
        }));
        self
    }

    pub fn stops_listening(mut self, ms: i64) -> Self {
        let (at, container) = (instant(ms), CONTAINER);
        self.inputs.push(Input::Listener {
            at,
            container,
            process: MAIN,
            local: local(),
            open: false,
            by_death: false,
        });
        self
    }

    /// A client's connection: when it came, if in the shutdown, and how it ended.
    pub fn connection(
        mut self,
        port: u16,
        opened: Option<i64>,
        ended: i64,
        fate: Fate,
        by_death: bool,
    ) -> Self {
        let connection = |ms| Connection {
            at: instant(ms),
            container: CONTAINER,
            cookie: SocketCookie(port.into()),
            owner: Some(MAIN),
            role: Role::Server,
            local: local(),
            peer: peer(port),
            fate: FateName(fate),
            by_death,
            accepted: true,
            opened_in_window: opened.is_some(),
            unread_bytes: 0,
            response_bytes: 0,
            undelivered_bytes: 0,
            under_way: false,
            unsent: false,
            framed: Framed { protocol: Protocol::Http1, ..Framed::default() },
        };
        self.inputs.extend(opened.map(|ms| Input::ConnectionOpened(connection(ms))));
        self.inputs.push(Input::ConnectionEnded(connection(ended)));
        self
    }

    pub fn refused(mut self, ms: i64, port: u16) -> Self {
        self.inputs.push(Input::Refused {
            at: instant(ms),
            container: CONTAINER,
            local: local(),
            peer: peer(port),
        });
        self
    }

    /// The process exits with this status, and was the last.
    pub fn exits(mut self, ms: i64, code: u8) -> Self {
        let (at, container) = (instant(ms), CONTAINER);
        self.inputs.push(Input::ProcessExited(ProcessExited {
            at,
            container,
            process: MAIN,
            root: MAIN,
            comm: "node".into(),
            code: Some(code),
            signal: None,
            is_init: true,
            is_main: true,
        }));
        self.inputs.push(Input::ContainerPopulated { at: instant(ms + 1), container, populated: false });
        self
    }

    /// What the engine says of it in the end.
    pub fn told(mut self) -> Termination {
        self.inputs.sort_by_key(moment);
        let settings = Settings { pods: true, ..Settings::default() };
        let terminations = replayed(&Header::new(&settings, "test".into()), &self.inputs);
        let [one] = <[Termination; 1]>::try_from(terminations).expect("one termination");
        assert_eq!(one.state, State::Complete);
        one
    }
}

fn peer(port: u16) -> SocketAddr {
    SocketAddr::from(([10, 244, (port >> 8) as u8 % 4, port as u8], 30_000 + port))
}

/// The order in which things were heard of: the same as that in which they happened.
fn moment(input: &Input) -> u64 {
    let value = serde_json::to_value(input).expect("JSON");
    let at = |place: &str| value.pointer(place).and_then(serde_json::Value::as_u64);
    at("/at").or(at("/connection/at")).unwrap_or_default()
}

/// Inputs as a recording, and the terminations in it.
pub fn replayed(header: &Header, inputs: &[Input]) -> Vec<Termination> {
    let mut text = serde_json::to_string(header).expect("JSON");
    for input in inputs {
        text.push('\n');
        text.push_str(&serde_json::to_string(input).expect("JSON"));
    }
    text.push('\n');
    let reader = Reader::open(text.as_bytes()).expect("a recording");
    replay(reader, |complaint| panic!("{complaint}")).expect("it is read").terminations
}
