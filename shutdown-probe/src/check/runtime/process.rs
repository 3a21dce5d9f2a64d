//! What /proc says of a process.

use super::file_name;
use std::fs;
use std::path::{Path, PathBuf};

/// One process. What could not be read is empty.
#[derive(Debug)]
pub struct Process {
    pub id: u32,
    pub exe: PathBuf,
    pub comm: String,
    pub arguments: Vec<String>,
}

impl Process {
    pub fn read(id: u32) -> Self {
        let proc = PathBuf::from(format!("/proc/{id}"));
        let text =
            |name: &str| String::from_utf8_lossy(&fs::read(proc.join(name)).unwrap_or_default()).into_owned();
        let arguments = text("cmdline");
        let arguments = arguments.split('\0').filter(|argument| !argument.is_empty()).map(str::to_owned);
        Self {
            id,
            exe: fs::read_link(proc.join("exe")).unwrap_or_default(),
            comm: text("comm").trim_end().to_owned(),
            arguments: arguments.collect(),
        }
    }

    /// The name of its program.
    pub fn exe_name(&self) -> &str {
        file_name(self.exe.to_str().unwrap_or_default()).trim_end_matches(" (deleted)")
    }

    /// What people call it.
    pub fn name(&self) -> &str {
        if self.comm.is_empty() { self.exe_name() } else { &self.comm }
    }

    /// Its program's file, in its own mount namespace.
    pub fn exe_file(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/exe", self.id))
    }

    /// The script that its interpreter runs: the first argument that is no option.
    pub fn script(&self) -> Option<&str> {
        self.arguments.iter().skip(1).find(|argument| !argument.starts_with('-')).map(String::as_str)
    }

    /// Whether an argument is this program: its script, a module of it (`-m`), or the title it gave itself.
    pub fn runs(&self, program: &str) -> bool {
        // A title is such as `gunicorn: master [app]` or `puma 6.4 (tcp://...)`, a script may be a path.
        let name = |argument: &String| {
            let word = argument.split([':', ' ']).next().unwrap_or_default();
            let stem = Path::new(word).file_stem().unwrap_or_default();
            stem.to_str() == Some(program)
        };
        self.arguments.iter().take(4).any(name)
    }

    /// What it has mapped, as /proc prints it.
    pub fn maps(&self) -> String {
        fs::read_to_string(format!("/proc/{}/maps", self.id)).unwrap_or_default()
    }

    /// The files it has open, by path.
    pub fn open_files(&self) -> Vec<String> {
        let descriptors = fs::read_dir(format!("/proc/{}/fd", self.id)).into_iter().flatten().flatten();
        let paths = descriptors.filter_map(|descriptor| fs::read_link(descriptor.path()).ok());
        paths.map(|path| path.to_string_lossy().into_owned()).collect()
    }
}
