//! What /proc says of a process.

use super::file_name;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// One process. What could not be read is empty.
#[derive(Debug)]
pub struct Process {
    pub id: u32,
    /// 0 where it has none that we see.
    pub parent: u32,
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
            parent: parent(&text("stat")).unwrap_or_default(),
            exe: fs::read_link(proc.join("exe")).unwrap_or_default(),
            comm: text("comm").trim_end().to_owned(),
            arguments: arguments.collect(),
        }
    }

    /// The name of its program.
    pub fn exe_name(&self) -> &str {
        let name = file_name(self.exe.to_str().unwrap_or_default()).trim_end_matches(" (deleted)");
        // npm's package of Bun calls it so on every system.
        name.trim_end_matches(".exe")
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

    /// How it was started, unless it has given itself a title since. A script that names its interpreter itself goes
    /// without.
    pub fn command(&self) -> Option<Vec<String>> {
        if let Some(command) = self.arguments.first().and_then(|title| in_title(title, self.exe_name())) {
            return Some(command);
        }
        let (program, rest) = self.arguments.split_first()?;
        let names_interpreter = |script: &String| {
            let mut mark = [0; 2];
            let path = PathBuf::from(format!("/proc/{}/root{script}", self.id));
            let read = fs::File::open(path).and_then(|mut file| file.read_exact(&mut mark));
            script.starts_with('/') && read.is_ok() && mark == *b"#!"
        };
        let is_title = program.contains(' ') || program.ends_with(':');
        match rest.first() {
            Some(script) if names_interpreter(script) => Some(rest.to_vec()),
            _ => (!is_title).then(|| self.arguments.clone()),
        }
    }

    /// What it has mapped, as /proc prints it.
    pub fn maps(&self) -> String {
        fs::read_to_string(format!("/proc/{}/maps", self.id)).unwrap_or_default()
    }

    /// The files it has open: where they can be read, whatever its mount namespace, and what it calls them.
    pub fn open_files(&self) -> Vec<(PathBuf, String)> {
        let descriptors = fs::read_dir(format!("/proc/{}/fd", self.id)).into_iter().flatten().flatten();
        let target = |descriptor: fs::DirEntry| {
            let target = fs::read_link(descriptor.path()).ok()?;
            Some((descriptor.path(), target.to_string_lossy().into_owned()))
        };
        descriptors.filter_map(target).collect()
    }
}

/// The command that a title repeats: `nginx: master process nginx -g daemon off;`, or `node /app/server.js`, as PM2
/// has it.
fn in_title(title: &str, exe: &str) -> Option<Vec<String>> {
    let said = match title.split_once(": master process ") {
        Some((program, command)) => Some(command).filter(|_| program == exe)?,
        None => Some(title).filter(|title| title.starts_with(&format!("{exe} /")))?,
    };
    let mut words: Vec<String> = Vec::new();
    for word in said.split_whitespace() {
        // What nginx takes by -g is one word, and ends with a semicolon.
        match words.as_mut_slice() {
            [.., option, directives] if option == "-g" && !directives.ends_with(';') => {
                directives.push(' ');
                directives.push_str(word);
            }
            _ => words.push(word.to_owned()),
        }
    }
    Some(words)
}

/// The fourth field of /proc/PID/stat; the second, in parentheses, may hold anything.
fn parent(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_titles_repeat_the_command() {
        let said = |title, exe| in_title(title, exe).map(|words| words.join("|"));
        let nginx = "nginx: master process nginx -c /etc/n.conf -g daemon off; worker_processes 2; -q";
        assert_eq!(
            said("nginx: master process /usr/sbin/nginx -g daemon off; -q", "nginx").as_deref(),
            Some("/usr/sbin/nginx|-g|daemon off;|-q")
        );
        assert!(
            said(nginx, "nginx")
                .is_some_and(|words| words.starts_with("nginx|-c|/etc/n.conf|-g|daemon off;"))
        );
        assert_eq!(said("node /app/server.js", "node").as_deref(), Some("node|/app/server.js"));
        for title in
            ["npm exec nodemon", "node", "gunicorn: master [app]", "php-fpm: master process (/etc/x)"]
        {
            assert_eq!(said(title, "node"), None, "{title}");
        }
    }

    #[test]
    fn our_own_parent_is_found() {
        let own = Process::read(std::process::id());
        assert_eq!(own.parent, std::os::unix::process::parent_id());
        assert_eq!(parent("7 (a) b) S 4711 7"), Some(4711));
        assert!(own.command().is_some_and(|command| !command.is_empty()));
    }
}
