//! Putting things back, whatever becomes of this program.

use anyhow::{Context as _, Result};
use std::ffi::OsStr;
use std::process::{Child, Command, Stdio};

/// What comes before every script: nothing but the end of its input, which is our end, makes it go on.
const WAIT: &str = "trap '' HUP INT QUIT TERM\ncat > /dev/null\n";

/// A shell that waits to run a script: when this is dropped, and when this process ends in any other way,
/// SIGKILL included. A handler of ours could not promise as much.
#[derive(Debug)]
pub struct Afterwards {
    shell: Child,
}

impl Afterwards {
    /// `arguments` are `$1` and so on of the script.
    ///
    /// # Errors
    /// When the shell cannot be started.
    pub fn run(script: &str, arguments: &[&OsStr]) -> Result<Self> {
        let shell = Command::new("sh")
            .args(["-c", &format!("{WAIT}{script}"), "sh"])
            .args(arguments)
            .stdin(Stdio::piped())
            .spawn()
            .context("sh")?;
        Ok(Self { shell })
    }
}

impl Drop for Afterwards {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        match self.shell.wait() {
            Ok(status) if status.success() => {}
            other => eprintln!("bench: not everything was put back: {other:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::PathBuf;
    use std::thread::sleep;
    use std::time::Duration;

    fn file(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("xtask-afterwards-{name}-{}", std::process::id()))
    }

    #[test]
    fn the_script_runs_at_the_end_and_not_before() {
        let path = file("drop");
        let afterwards = Afterwards::run("echo \"$1\" > \"$2\"", &["done".as_ref(), path.as_ref()]).unwrap();
        sleep(Duration::from_millis(50));
        assert!(!path.exists());
        drop(afterwards);
        assert_eq!(fs::read_to_string(&path).unwrap(), "done\n");
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_signal_from_the_terminal_does_not_stop_it() {
        let path = file("signal");
        let afterwards = Afterwards::run("echo > \"$1\"", &[path.as_ref()]).unwrap();
        // Until the trap is set, and `cat` has inherited it.
        sleep(Duration::from_millis(100));
        let shell = rustix::process::Pid::from_child(&afterwards.shell);
        rustix::process::kill_process(shell, rustix::process::Signal::INT).unwrap();
        drop(afterwards);
        assert!(path.exists());
        fs::remove_file(path).unwrap();
    }
}
