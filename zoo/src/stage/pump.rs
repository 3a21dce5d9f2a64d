//! The loop: waits for whatever comes first, an exit, a line of a log, a client's socket or its
//! time, and passes it on.

use super::{PATIENCE, RunId, Stage};
use crate::client::Start;
use crate::log::Log;
use anyhow::{Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::time::{Duration, Instant};

/// How often the loop looks up to see whether the user wants it to end.
const GLANCE: Duration = Duration::from_millis(100);

impl Stage<'_> {
    /// Lets everything happen until `condition` holds, and fails if it takes too long.
    pub fn wait_for(&mut self, what: &str, condition: impl FnMut(&Self) -> bool) -> Result<()> {
        if !self.pump_until(Instant::now() + PATIENCE, condition)? {
            bail!("waited in vain for {what}");
        }
        Ok(())
    }

    /// Lets everything happen until this server's log says `text`.
    pub fn wait_for_line(&mut self, server: RunId, text: &str) -> Result<()> {
        let mut exited = false;
        self.wait_for(&format!("the line {text:?}"), |stage| {
            exited = stage.run(server).main_exited.is_some();
            exited || stage.run(server).log().says(text)
        })?;
        if exited && !self.run(server).log().says(text) {
            bail!("the server exited before it said {text:?}");
        }
        Ok(())
    }

    /// Lets everything happen for this long.
    pub fn let_pass(&mut self, time: Duration) -> Result<()> {
        self.pump_until(Instant::now() + time, |_| false).map(|_| ())
    }

    /// Lets everything happen until `condition` holds (true) or until `deadline` (false).
    pub(super) fn pump_until(
        &mut self,
        deadline: Instant,
        mut condition: impl FnMut(&Self) -> bool,
    ) -> Result<bool> {
        loop {
            if condition(self) {
                return Ok(true);
            }
            if Instant::now() >= deadline {
                return Ok(false);
            }
            self.pump(deadline)?;
        }
    }

    /// Waits once, at most until `deadline`, and handles what came.
    pub(super) fn pump(&mut self, deadline: Instant) -> Result<()> {
        if self.is_interrupted() {
            bail!("interrupted");
        }
        let ready = self.wait_once(deadline)?;
        for log in self.logs_mut() {
            log.drain()?;
        }
        for run in self.containers.iter_mut().flat_map(|container| &mut container.runs) {
            run.look()?;
        }
        self.schedule_after_lines();
        self.open_gates()?;
        let now = Instant::now();
        for ((_, client), ready) in self.clients.iter_mut().zip(ready) {
            client.advance(now, ready, &self.shared.ports)?;
        }
        Ok(())
    }

    /// Waits, and answers what is ready on each client's socket.
    fn wait_once(&self, deadline: Instant) -> Result<Vec<PollFlags>> {
        let wakes = self.clients.iter().filter_map(|(_, client)| client.wakes_at());
        let until = wakes
            .chain(self.next_gate())
            .chain([deadline, Instant::now() + GLANCE])
            .min()
            .unwrap_or(deadline);
        let interests: Vec<_> = self.clients.iter().map(|(_, client)| client.interest()).collect();
        let mut polled: Vec<PollFd<'_>> =
            interests.iter().flatten().map(|(stream, flags)| PollFd::new(*stream, *flags)).collect();
        let sockets = polled.len();
        for run in self.containers.iter().flat_map(|container| &container.runs) {
            polled.extend(run.process.exit_notice().map(|exit| PollFd::new(exit, PollFlags::IN)));
        }
        polled.extend(self.logs().filter_map(Log::pipe).map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        let timeout = until.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: timeout.subsec_nanos().into() };
        match poll(&mut polled, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut ready = polled[..sockets].iter().map(PollFd::revents);
        Ok(interests
            .iter()
            .map(|interest| interest.as_ref().and_then(|_| ready.next()).unwrap_or(PollFlags::empty()))
            .collect())
    }

    pub(super) fn logs(&self) -> impl Iterator<Item = &Log> {
        let inside = self.containers.iter().flat_map(|container| &container.runs).map(|run| &run.process);
        inside.chain(&self.outside).map(|process| &process.log)
    }

    fn logs_mut(&mut self) -> impl Iterator<Item = &mut Log> {
        let inside =
            self.containers.iter_mut().flat_map(|container| &mut container.runs).map(|run| &mut run.process);
        inside.chain(&mut self.outside).map(|process| &mut process.log)
    }

    pub(super) fn schedule_after_stop(&mut self, server: RunId, at: Instant) {
        for (_, client) in self.clients.iter_mut().filter(|(run, client)| *run == server && !client.is_due())
        {
            if let Start::AfterStop(delay) = client.start() {
                client.schedule(at + delay);
            }
        }
    }

    pub(super) fn schedule_after_exit(&mut self, server: RunId, at: Instant) {
        for (_, client) in self.clients.iter_mut().filter(|(run, client)| *run == server && !client.is_due())
        {
            if let Start::AfterExit(delay) = client.start() {
                client.schedule(at + delay);
            }
        }
    }

    fn schedule_after_lines(&mut self) {
        let now = Instant::now();
        for (server, client) in self.clients.iter_mut().filter(|(_, client)| !client.is_due()) {
            if let Start::AfterLine(text) = client.start()
                && self.containers[server.container].runs[server.run].log().says(text)
            {
                client.schedule(now);
            }
        }
    }
}
