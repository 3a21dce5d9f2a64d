//! What a real kubelet hears from logind when its node shuts down, said by us: nobody's machine is to shut down.
//!
//! The kubelet of `cargo xtask cluster up` takes this socket for its system bus. It looks for it when it starts.

use anyhow::{Context as _, Result};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use zbus::connection::{Builder, Connection};
use zbus::{Guid, fdo, interface};

/// The name of the socket, in the abstract namespace: `xtask/src/cluster/layout.rs` has it, too.
const BUS: &str = "shutdown-probe-cluster-bus";
const BUS_PATH: &str = "/org/freedesktop/DBus";
const LOGIND_PATH: &str = "/org/freedesktop/login1";
const LOGIND_INTERFACE: &str = "org.freedesktop.login1.Manager";
/// Longer than any kubelet asks for, in µs.
const DELAY: u64 = 600_000_000;

/// Connections of kubelets that want to be told.
type Kubelets = Arc<Mutex<Vec<Connection>>>;

/// It listens until the program ends.
#[derive(Debug)]
pub struct Logind {
    kubelets: Kubelets,
}

impl Logind {
    pub fn listen() -> Result<Self> {
        let address = SocketAddr::from_abstract_name(BUS)?;
        let listener = UnixListener::bind_addr(&address).context("taking the place of the system bus")?;
        let kubelets = Kubelets::default();
        let guests = Arc::clone(&kubelets);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                match zbus::block_on(welcome(stream)) {
                    Ok(connection) => lock(&guests).push(connection),
                    Err(error) => eprintln!("e2e: a client of the system bus: {error}"),
                }
            }
        });
        Ok(Self { kubelets })
    }

    /// Whether somebody would hear it.
    pub fn has_listeners(&self) -> bool {
        !lock(&self.kubelets).is_empty()
    }

    /// Says that the node begins to shut down, or that it does not after all.
    pub fn prepare_for_shutdown(&self, begins: bool) -> Result<()> {
        for kubelet in lock(&self.kubelets).iter() {
            let (to_all, body) = (None::<&str>, (begins,));
            let signal =
                kubelet.emit_signal(to_all, LOGIND_PATH, LOGIND_INTERFACE, "PrepareForShutdown", &body);
            zbus::block_on(signal).context("telling the kubelet")?;
        }
        Ok(())
    }
}

fn lock(kubelets: &Kubelets) -> MutexGuard<'_, Vec<Connection>> {
    kubelets.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn welcome(stream: UnixStream) -> zbus::Result<Connection> {
    let builder = Builder::unix_stream(stream).server(Guid::generate()).p2p();
    builder.serve_at(BUS_PATH, Bus).serve_at(LOGIND_PATH, Manager).build().await
}

/// As much of a bus as a client needs that talks to one other.
struct Bus;

#[interface(name = "org.freedesktop.DBus")]
impl Bus {
    fn hello(&self) -> &'static str {
        ":1.1"
    }

    fn add_match(&self, _rule: &str) {}
}

/// As much of logind as a kubelet needs.
struct Manager;

#[interface(name = "org.freedesktop.login1.Manager")]
impl Manager {
    /// The descriptor is the lock: it is released by closing it, which nobody here waits for.
    fn inhibit(&self, _what: &str, _who: &str, _why: &str, _mode: &str) -> fdo::Result<zbus::OwnedFd> {
        let lock = File::open("/dev/null").map_err(|error| fdo::Error::Failed(error.to_string()))?;
        Ok(OwnedFd::from(lock).into())
    }

    #[zbus(property, name = "InhibitDelayMaxUSec")]
    fn inhibit_delay_max(&self) -> u64 {
        DELAY
    }
}
