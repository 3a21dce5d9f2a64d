//! A watched directory, the containers in it, and what the kernel side says of them.

use crate::puppet::Puppet;
use shutdown_probe::probe::{ContainerTable, Hierarchy, Probes, RecordReader, Settings, Watch};
use shutdown_probe_common::connection::Tuple;
use shutdown_probe_common::container::Counters;
use shutdown_probe_common::fate::Fate;
use shutdown_probe_common::record::{ConnectionRecord, Header, Record, connection_event};
use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread::{JoinHandle, panicking, sleep, spawn};
use std::time::{Duration, Instant};

/// Longer than any machine needs; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long what must not happen is waited for.
pub const SHORTLY: Duration = Duration::from_millis(200);

/// A termination that is confirmed: no signal begins it anew.
const CONFIRMED: u64 = u64::MAX;

/// A directory of cgroups of this test's own.
pub struct Directory(PathBuf);

impl Directory {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("shutdown-probe-test-{}-{}", process::id(), COUNT.fetch_add(1, Relaxed));
        let path = Hierarchy::find().unwrap().mount().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Makes a container.
    pub fn container(&self, name: &str) -> Container {
        let path = self.0.join(name);
        fs::create_dir(&path).unwrap();
        Container { id: fs::metadata(&path).unwrap().ino(), path }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        remove(&self.0);
        assert!(panicking() || !self.0.exists(), "{} is left behind", self.0.display());
    }
}

/// Removes a cgroup and what is nested in it. Its last process may still be on its way out.
fn remove(path: &Path) {
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            remove(&entry.path());
        }
    }
    let until = Instant::now() + PATIENCE;
    while fs::remove_dir(path).is_err() && Instant::now() < until {
        sleep(Duration::from_millis(5));
    }
}

/// One container.
pub struct Container {
    pub id: u64,
    path: PathBuf,
}

impl Container {
    /// A process that moves into it.
    pub fn puppet(&self) -> Puppet {
        Puppet::enter(&self.procs(), None)
    }

    pub fn procs(&self) -> File {
        File::options().write(true).open(self.path.join("cgroup.procs")).unwrap()
    }

    pub fn directory(&self) -> File {
        File::open(&self.path).unwrap()
    }

    /// A cgroup nested in it.
    pub fn nested(&self, name: &str) -> Container {
        let path = self.path.join(name);
        fs::create_dir(&path).unwrap();
        Container { id: fs::metadata(&path).unwrap().ino(), path }
    }

    /// Ends all its processes.
    pub fn kill(&self) {
        fs::write(self.path.join("cgroup.kill"), "1").unwrap();
    }

    pub fn remove(&self) {
        remove(&self.path);
    }
}

/// The attached probes, and all they have said.
pub struct Stage {
    pub probes: Probes,
    pub table: ContainerTable,
    reader: RecordReader,
    records: Vec<Record>,
    pub directory: Directory,
}

impl Stage {
    /// Watches an empty directory.
    pub fn new() -> Self {
        Self::over(Directory::new())
    }

    /// Watches this directory.
    pub fn over(directory: Directory) -> Self {
        Self::with_ring(directory, Settings::default().ring_bytes)
    }

    /// Watches this directory, with a ring of this size.
    pub fn with_ring(directory: Directory, ring_bytes: u32) -> Self {
        Self::with(directory, Settings { ring_bytes, ..Settings::default() })
    }

    /// Watches this directory, with these settings.
    pub fn with(directory: Directory, settings: Settings) -> Self {
        let watch = Watch::Children(directory.path().to_owned());
        Self::watching(directory, &Settings { watch, ..settings })
    }

    /// Watches what these settings say; the directory is where the test makes its cgroups.
    pub fn watching(directory: Directory, settings: &Settings) -> Self {
        let mut probes = Probes::attach(settings).unwrap();
        let table = probes.containers();
        let reader = probes.take_reader().unwrap();
        Self { probes, table, reader, records: Vec::new(), directory }
    }

    /// Makes a container.
    pub fn container(&self, name: &str) -> Container {
        self.directory.container(name)
    }

    /// Lets the container be narrated until the test ends.
    pub fn narrate(&self, container: &Container) {
        self.table.narrate_until(container.id, CONFIRMED).unwrap();
    }

    /// Somebody who sleeps until the kernel side calls for the reader. The ring has to be empty.
    pub fn sleeper(&self) -> JoinHandle<bool> {
        let mut poll = libc::pollfd { fd: self.reader.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let milliseconds = PATIENCE.as_millis() as i32;
        // SAFETY: one structure, which the thread owns.
        spawn(move || unsafe { libc::poll(&raw mut poll, 1, milliseconds) == 1 })
    }

    /// All that was said so far.
    pub fn records(&mut self) -> &[Record] {
        self.reader.drain(|bytes| self.records.push(Record::decode(bytes).unwrap()));
        &self.records
    }

    /// What was said so far and in the next moment, about this container.
    pub fn settled(&mut self, container: &Container) -> Vec<Record> {
        sleep(SHORTLY);
        let records = self.records().iter().copied();
        records.filter(|record| header(record).container == container.id).collect()
    }

    /// Waits for a record about this container.
    pub fn wait<T>(&mut self, container: &Container, what: &str, found: impl Fn(&Record) -> Option<T>) -> T {
        let until = Instant::now() + PATIENCE;
        let id = container.id;
        loop {
            let mut records = self.records().iter().filter(|record| header(record).container == id);
            if let Some(found) = records.find_map(&found) {
                return found;
            }
            assert!(Instant::now() < until, "{what} never came; what came: {:#?}", self.records);
            sleep(Duration::from_millis(2));
        }
    }

    /// Waits for a record of the connection of this client.
    pub fn wait_connection(&mut self, container: &Container, client: u16, event: u8) -> ConnectionRecord {
        let what = format!("event {event} of the connection of port {client}");
        self.wait(container, &what, |record| match record {
            Record::Connection(connection)
                if connection.event == event && connection.tuple.remote_port == client =>
            {
                Some(*connection)
            }
            _ => None,
        })
    }

    /// Waits for the end of the connection of this client, and gives its fate.
    pub fn fate(&mut self, container: &Container, client: u16) -> Fate {
        let end = self.wait_connection(container, client, connection_event::ENDED);
        Fate::from_wire(end.fate).unwrap()
    }

    /// Waits for a revision of that connection's fate, and gives the new one.
    pub fn revised(&mut self, container: &Container, client: u16) -> Fate {
        let revision = self.wait_connection(container, client, connection_event::REVISED);
        Fate::from_wire(revision.fate).unwrap()
    }

    /// What the container's counters are.
    pub fn counters(&self, container: &Container) -> Counters {
        self.table.get(container.id).expect("the container is known").counters
    }

    /// Waits until a counter is what it should be.
    pub fn wait_counted(&self, container: &Container, fate: Fate, count: u64) {
        let until = Instant::now() + PATIENCE;
        while self.counters(container).fates[fate as usize] != count {
            assert!(Instant::now() < until, "{fate:?} is not {count}: {:?}", self.counters(container));
            sleep(Duration::from_millis(2));
        }
    }
}

/// The header that each record has.
pub fn header(record: &Record) -> Header {
    match record {
        Record::CgroupMade(record) => record.header,
        Record::CgroupRemoved(record) => record.header,
        Record::Populated(record) => record.header,
        Record::ProcessEntered(record) => record.header,
        Record::ProcessExited(record) => record.header,
        Record::OomVictim(record) => record.header,
        Record::SignalGenerated(record) => record.header,
        Record::SignalDelivered(record) => record.header,
        Record::Connection(record) => record.header,
        Record::Listener(record) => record.header,
        Record::Refused(record) => record.header,
    }
}

/// A client, and the port that the server sees.
pub struct Client {
    pub stream: TcpStream,
    pub port: u16,
}

/// Connects to this port of the loopback address.
pub fn client(port: u16) -> Client {
    let stream = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    Client { port: stream.local_addr().unwrap().port(), stream }
}

/// `127.0.0.1`, IPv4-mapped.
pub const LOOPBACK: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 127, 0, 0, 1];

/// Asserts that both ends are right.
pub fn assert_tuple(tuple: &Tuple, server: u16, client: u16) {
    assert_eq!((tuple.local_address, tuple.local_port), (LOOPBACK, server));
    assert_eq!((tuple.remote_address, tuple.remote_port), (LOOPBACK, client));
    let netns = fs::metadata("/proc/self/ns/net").unwrap().ino();
    assert_eq!(u64::from(tuple.netns), netns);
}
