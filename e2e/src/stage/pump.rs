//! The loop: waits for a client's socket, a line of a log or somebody's time, and passes it on.

use super::{ClientId, LifeId, PATIENCE, Stage};
use anyhow::{Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::time::{Duration, Instant};

/// How often the loop looks up to see what Kubernetes says.
const GLANCE: Duration = Duration::from_millis(20);
/// How long the clients of a life that is over may see nothing new before they are taken to wait in vain.
const QUIET: Duration = Duration::from_millis(1500);

impl Stage<'_> {
    /// Lets everything happen until `condition` holds, and fails if it takes too long.
    pub fn wait_for(&mut self, what: &str, condition: impl FnMut(&Self) -> bool) -> Result<()> {
        if !self.pump_until(Instant::now() + PATIENCE, condition)? {
            bail!("waited in vain for {what}");
        }
        Ok(())
    }

    /// Lets everything happen until this container says `text`.
    pub fn wait_for_line(&mut self, life: LifeId, text: &str) -> Result<()> {
        let says = |stage: &Self| stage.life(life).log.says(text);
        self.wait_for(&format!("the line {text:?}"), |stage| {
            says(stage) || stage.life(life).log.pipe().is_none()
        })?;
        if !says(self) {
            bail!("{} ended before it said {text:?}", self.life(life).pod.name);
        }
        Ok(())
    }

    /// Lets everything happen for this long.
    pub fn let_pass(&mut self, time: Duration) -> Result<()> {
        self.pump_until(Instant::now() + time, |_| false).map(|_| ())
    }

    /// Lets everything happen until the container has ended and its clients have seen what there is to see.
    pub fn await_end(&mut self, life: LifeId) -> Result<()> {
        self.wait_for("the container's end", |stage| stage.life(life).gone.is_some())?;
        self.settle(life)?;
        let uid = self.life(life).pod.uid.clone();
        let id = self.life(life).id.clone();
        self.wait_for("the exit code, or the pod's end", |stage| {
            stage.watch.pod(&uid).is_none_or(|pod| pod.exit_code(&id).is_some() || pod.deleted.is_some())
        })
    }

    /// The same as the clients see it, where nobody else can: until all of these connections have ended.
    pub fn await_end_of(&mut self, life: LifeId, clients: &[ClientId]) -> Result<()> {
        self.wait_for("the connections' end", |stage| {
            clients.iter().all(|id| stage.client(*id).has_ended())
        })?;
        self.life_mut(life).gone = Some(Instant::now());
        self.settle(life)
    }

    /// Whether its last process is gone: its log has an end. Others of its pod may go on.
    pub fn is_gone(&self, life: LifeId) -> bool {
        self.life(life).gone.is_some()
    }

    /// Whether the container has said this.
    pub fn says(&self, life: LifeId, text: &str) -> bool {
        self.life(life).log.says(text)
    }

    fn settle(&mut self, life: LifeId) -> Result<()> {
        let (mut open, mut since) = (usize::MAX, Instant::now());
        loop {
            self.pump(Instant::now() + GLANCE)?;
            let of_this =
                || self.clients.iter().filter(|(owner, _)| *owner == life).map(|(_, client)| client);
            let now_open = of_this().filter(|client| client.is_due() && !client.has_ended()).count();
            let busy = of_this().any(|client| client.wakes_at().is_some());
            if now_open != open || busy {
                (open, since) = (now_open, Instant::now());
            }
            if open == 0 && !busy || since.elapsed() > QUIET {
                return Ok(());
            }
        }
    }

    /// Lets everything happen until `condition` holds (true) or until `deadline` (false).
    pub fn pump_until(
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

    fn pump(&mut self, deadline: Instant) -> Result<()> {
        if self.is_interrupted() {
            bail!("interrupted");
        }
        let ready = self.wait_once(deadline)?;
        for life in &mut self.lives {
            life.log.drain()?;
            if life.log.pipe().is_none() && life.gone.is_none() && life.log_tells {
                life.gone = Some(Instant::now());
            }
        }
        let now = Instant::now();
        for ((_, client), ready) in self.clients.iter_mut().zip(ready) {
            client.advance(now, ready, &self.shared.ports)?;
        }
        Ok(())
    }

    /// Waits, and answers what is ready on each client's socket.
    fn wait_once(&self, deadline: Instant) -> Result<Vec<PollFlags>> {
        let wakes = self.clients.iter().filter_map(|(_, client)| client.wakes_at());
        let until = wakes.chain([deadline, Instant::now() + GLANCE]).min().unwrap_or(deadline);
        let interests: Vec<_> = self.clients.iter().map(|(_, client)| client.interest()).collect();
        let mut polled: Vec<PollFd<'_>> =
            interests.iter().flatten().map(|(stream, flags)| PollFd::new(*stream, *flags)).collect();
        let sockets = polled.len();
        let pipes = self.lives.iter().filter_map(|life| life.log.pipe());
        polled.extend(pipes.map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        let timeout = until.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: timeout.subsec_nanos().into() };
        match poll(&mut polled, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut ready = polled[..sockets].iter().map(PollFd::revents);
        let take =
            |interest: &Option<_>| interest.as_ref().and_then(|_| ready.next()).unwrap_or(PollFlags::empty());
        Ok(interests.iter().map(take).collect())
    }
}
