//! A network namespace of a case's own.

use anyhow::{Context, Result, anyhow, ensure};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::process::Command;

/// Lives as long as this handle, or a process in it.
#[derive(Debug)]
pub struct Network(File);

impl Network {
    /// A fresh one, with its loopback up.
    pub fn make() -> Result<Self> {
        on_own_thread(|| {
            // SAFETY: only the network namespace of this thread changes; no file descriptor does.
            unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.context("making a network namespace")?;
            let up = Command::new("ip").args(["link", "set", "lo", "up"]).status();
            let up = up.context("running ip: install iproute2")?;
            ensure!(up.success(), "the loopback of a network namespace does not come up");
            File::open("/proc/thread-self/ns/net").context("opening a network namespace").map(Self)
        })
    }

    /// Runs `action` with this thread inside.
    pub fn within<T>(&self, action: impl FnOnce() -> T) -> Result<T> {
        let home = File::open("/proc/thread-self/ns/net").context("opening the network namespace")?;
        enter(self.0.as_fd())?;
        let result = action();
        enter(home.as_fd())?;
        Ok(result)
    }
}

impl AsFd for Network {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn enter(namespace: BorrowedFd<'_>) -> Result<()> {
    move_into_link_name_space(namespace, Some(LinkNameSpaceType::Network))
        .context("entering a network namespace")
}

/// Runs `action` on a thread that is thrown away: what it unshares ends with it.
pub fn on_own_thread<T: Send>(action: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| scope.spawn(action).join().map_err(|_| anyhow!("a helper thread panicked"))?)
}
