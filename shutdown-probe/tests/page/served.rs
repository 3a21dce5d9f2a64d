//! One scene behind the daemon's own HTTP server.

use serde_json::{Value, json};
use shutdown_probe::admin::{self, Limits, ProbeStatus, Readiness, Shared, Stage};
use shutdown_probe::output::metrics::Metrics;
use shutdown_probe::output::store::Store;
use shutdown_probe_core::report::Termination;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

/// A server, for as long as it is held.
pub struct Served {
    address: SocketAddr,
    /// The termination that is looked at: the first that was given.
    one: Option<String>,
    stop: CancellationToken,
    _runtime: Runtime,
}

impl Served {
    /// Serves these terminations, from a node where one probe is missing.
    pub fn start(terminations: Vec<Termination>) -> Self {
        let shared = Shared {
            store: Arc::new(Store::new(1_000)),
            metrics: Arc::new(Metrics::new(&[15], Duration::from_secs(60)).expect("a sound table")),
            readiness: Arc::new(Readiness::default()),
        };
        let one = terminations.first().map(|it| it.id.clone());
        terminations.into_iter().for_each(|it| shared.store.put(it));
        shared.metrics.set_lost("ring_buffer", u64::from(one.is_some()) * 7);
        shared.readiness.enter(Stage::Observing(probes().into()));
        let listener = admin::bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
        let address = listener.local_addr().expect("bound");
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let stop = CancellationToken::new();
        let serving = admin::serve(listener, admin::router(shared), Limits::default(), stop.clone());
        runtime.spawn(async { serving.await.expect("it serves") });
        Self { address, one, stop, _runtime: runtime }
    }

    /// Where a browser finds it.
    pub fn addresses(&self) -> Value {
        let home = format!("http://{}/", self.address);
        let one = self.one.as_ref().map(|id| format!("{home}terminations/{id}"));
        let api = self.one.as_ref().map(|id| format!("{home}api/v1/terminations/{id}"));
        json!({"home": home, "one": one, "api": api})
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn probes() -> Vec<ProbeStatus> {
    let attached =
        ["cgroup", "process", "signal", "state", "read", "reset_received", "payload"].map(|name| {
            ProbeStatus {
                probe: name.into(),
                verdict: "attached".into(),
                reason: None,
                fates_lost: Vec::new(),
            }
        });
    let missing = ProbeStatus {
        probe: "reset_sent".into(),
        verdict: "unsupported".into(),
        reason: Some("this kernel has no tracepoint tcp_send_reset".into()),
        fates_lost: vec!["refused".into(), "request_after_close".into(), "undelivered_response".into()],
    };
    attached.into_iter().chain([missing]).collect()
}
