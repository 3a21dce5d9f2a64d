//! The virtual machine: boots an image, passes on its console, collects what the guest says.
//!
//! Invariant: no machine outlives this program, nor its limit.

use super::protocol::Message;
use anyhow::{Context as _, Result};
use rustix::process::{Signal, set_parent_process_death_signal};
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The program, as it is looked for.
pub const PROGRAM: &str = "qemu-system-x86_64";

const MEMORY_MIB: u32 = 1536;
const TICK: Duration = Duration::from_millis(50);

/// A machine to be.
#[derive(Debug)]
pub struct Machine<'a> {
    pub program: PathBuf,
    pub kernel: &'a Path,
    pub initrd: &'a Path,
    /// The file in which the guest's messages gather.
    pub messages: PathBuf,
    pub processor: Processor,
    /// Whether that must have this instruction, see [`super::matrix::Kernel`].
    pub needs_cmpxchg16b: bool,
    /// How long it may take to boot.
    pub boot_limit: Duration,
    /// How long it may run.
    pub limit: Duration,
}

/// What the guest computes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Processor {
    /// The host's own, through KVM.
    Lent,
    /// One in software, 10 to 20 times slower, which works everywhere.
    Emulated,
}

impl Processor {
    /// Whether the host offers to lend its own. Hosts that are virtual machines themselves may not keep their word.
    pub fn can_be_lent() -> bool {
        File::options().read(true).write(true).open("/dev/kvm").is_ok()
    }

    fn arguments(self, needs_cmpxchg16b: bool) -> [&'static str; 4] {
        match self {
            Self::Lent => ["-accel", "kvm", "-cpu", "max"],
            // Without cmpxchg16b, which the kernel's allocator uses where it can: guests of QEMU 7.2 were seen to come
            // out of it with half a pointer in their flags.
            Self::Emulated if !needs_cmpxchg16b => ["-accel", "tcg,thread=multi", "-cpu", "max,-cx16"],
            // Seen seldom with one thread for all processors.
            Self::Emulated => ["-accel", "tcg,thread=single", "-cpu", "max"],
        }
    }
}

/// How a machine ended.
#[derive(Debug, PartialEq)]
pub struct Run {
    pub messages: Vec<Message>,
    /// It had to be switched off.
    pub timed_out: bool,
}

impl Machine<'_> {
    /// Runs it to its end; each line of its console goes to `line`.
    pub fn run(&self, line: impl Fn(&str) + Send + 'static) -> Result<Run> {
        let mut machine = Guard(self.command().spawn().with_context(|| self.program.display().to_string())?);
        let console = machine.0.stdout.take().context("a console")?;
        let reader = thread::spawn(move || pass_on(console, line));
        let timed_out = !self.wait(&mut machine)?;
        // The console ends with the machine.
        drop(machine);
        let _ = reader.join();
        let text = fs::read_to_string(&self.messages).with_context(|| self.messages.display().to_string())?;
        Ok(Run { messages: parse(&text)?, timed_out })
    }

    /// Whether it ended in time.
    fn wait(&self, machine: &mut Guard) -> Result<bool> {
        let begun = Instant::now();
        while machine.0.try_wait().context("waiting for the machine")?.is_none() {
            let has_spoken = || self.messages.metadata().is_ok_and(|messages| messages.len() > 0);
            let age = begun.elapsed();
            if age > self.limit || (age > self.boot_limit && !has_spoken()) {
                return Ok(false);
            }
            thread::sleep(TICK);
        }
        Ok(true)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(self.processor.arguments(self.needs_cmpxchg16b))
            .args(["-smp", "2"])
            .args(["-m", &format!("{MEMORY_MIB}M"), "-nodefaults", "-no-user-config", "-no-reboot"])
            .args(["-display", "none", "-serial", "stdio", "-serial"])
            .arg(format!("file:{}", self.messages.display()))
            .arg("-kernel")
            .arg(self.kernel)
            .arg("-initrd")
            .arg(self.initrd)
            .args(["-append", KERNEL_ARGUMENTS])
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        // SAFETY: the child makes one system call, which allocates nothing and takes no lock.
        unsafe { command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?)) };
        command
    }
}

/// What is behind the dashes is for PID 1. A kernel that panics reboots, which ends the machine.
const KERNEL_ARGUMENTS: &str = "console=ttyS0 quiet panic=-1 mitigations=off rdinit=/init -- vm-guest";

struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        // Both fail where it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn pass_on(console: impl Read, line: impl Fn(&str)) {
    for bytes in BufReader::new(console).split(b'\n').map_while(Result::ok) {
        line(&printable(&String::from_utf8_lossy(&bytes)));
    }
}

/// Without what would move the cursor of our own terminal: the firmware and tests of hostile names write such.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || *c == '\t').collect()
}

/// The messages. A machine that was switched off may have left half a line.
fn parse(text: &str) -> Result<Vec<Message>> {
    let (whole, _) = text.rsplit_once('\n').unwrap_or_default();
    let lines = whole.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_str(line).with_context(|| format!("the guest said: {line}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_line_is_no_message() {
        let text = "{\"booted\":{\"release\":\"6.1\"}}\r\n\"finis";
        assert_eq!(parse(text).unwrap(), [Message::Booted { release: "6.1".into() }]);
        assert_eq!(parse("").unwrap(), []);
        assert!(parse("what\n").is_err());
    }

    #[test]
    fn a_console_cannot_steer_our_terminal() {
        assert_eq!(printable("\u{1b}c\u{1b}[?7lSeaBIOS\r"), "c[?7lSeaBIOS");
    }

    #[test]
    fn a_machine_without_end_is_switched_off() {
        let directory = std::env::temp_dir().join(format!("xtask-machine-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let messages = directory.join("messages");
        fs::write(&messages, "\"finished\"\n").unwrap();
        let program = directory.join("machine");
        fs::write(&program, "#!/bin/sh\necho up; exec sleep 1000\n").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&program, mode).unwrap();
        let machine = Machine {
            program,
            kernel: Path::new("/none"),
            initrd: Path::new("/none"),
            messages,
            processor: Processor::Emulated,
            needs_cmpxchg16b: false,
            boot_limit: Duration::from_secs(100),
            limit: Duration::from_millis(100),
        };
        let (sender, receiver) = std::sync::mpsc::channel();
        let run = machine.run(move |line| sender.send(line.to_owned()).unwrap()).unwrap();
        assert_eq!(run, Run { messages: vec![Message::Finished], timed_out: true });
        assert_eq!(receiver.iter().collect::<Vec<_>>(), ["up"]);
        fs::remove_dir_all(&directory).unwrap();
    }
}
