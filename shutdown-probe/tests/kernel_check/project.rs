//! A service as its developer has it: what starts it, where its code is, what its pod says. The advice that `check`
//! prints is put into it by rule, as printed: nothing here knows what it says.

use crate::gate::Service;
use serde_json::Value;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use tempfile::TempDir;

/// Where code goes in a source file.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// Behind all.
    End,
    /// Before this text.
    Before(&'static str),
    /// Instead of this text and all behind it, and this after it.
    InsteadOf(&'static str, &'static str),
}

/// How a changed source is made into something that runs.
pub type Build = fn(&Path);

/// A source file.
#[derive(Clone, Debug)]
pub struct Source {
    pub path: PathBuf,
    pub place: Place,
    pub build: Build,
}

/// The service and its pod.
#[derive(Clone, Debug)]
pub struct Project {
    pub service: Service,
    pub source: Option<Source>,
    /// The style in which the service handles the signal, for advice that comes in its place.
    pub style: Option<String>,
    /// What the pod says: options of `check`, by name.
    pub pod: Vec<(String, String)>,
    /// The files, for as long as they are needed.
    pub _directory: Option<Rc<TempDir>>,
}

impl From<Service> for Project {
    fn from(service: Service) -> Self {
        Self { service, source: None, style: None, pod: Vec::new(), _directory: None }
    }
}

impl Project {
    /// With this option of the pod's, in place of what it said.
    pub fn says(&mut self, name: &str, value: impl Into<String>) {
        self.pod.retain(|(other, _)| other != name);
        self.pod.push((name.to_owned(), value.into()));
    }

    /// The pod as options of `check`.
    pub fn options(&self) -> Vec<&str> {
        self.pod.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]).collect()
    }

    /// Takes the advice: all of it, in order.
    pub fn take(&mut self, fixes: &Value) {
        for fix in fixes.as_array().expect("fixes") {
            let code = fix["code"].as_str().expect("code");
            match fix["language"].as_str().expect("a language") {
                "yaml" => self.take_manifest(code),
                "dockerfile" => code.lines().for_each(|line| self.take_instruction(line)),
                "sh" => self.start(Service::line(last_line(code))),
                _ => self.take_code(code),
            }
        }
    }

    fn take_manifest(&mut self, code: &str) {
        let manifest: Value = serde_saphyr::from_str(code).expect("YAML");
        let spec = &manifest["spec"];
        if let Some(grace) = spec["terminationGracePeriodSeconds"].as_u64() {
            self.says("--grace", format!("{grace}s"));
        }
        if let Some(sleep) = spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64() {
            self.says("--pre-stop", format!("{sleep}s"));
        }
    }

    fn take_instruction(&mut self, line: &str) {
        match line.split_once(' ') {
            Some(("STOPSIGNAL", signal)) => self.says("--signal", signal),
            Some(("CMD", list)) => {
                let command: Vec<String> = serde_json::from_str(list).expect("an exec form");
                self.start(Service::new(command));
            }
            Some(("#", _)) => {}
            other => panic!("no instruction that is understood: {other:?}"),
        }
    }

    fn take_code(&mut self, code: &str) {
        let source = self.source.clone().expect("a source file");
        let text = fs::read_to_string(&source.path).expect("readable");
        let split = |anchor: &str| match text.split_once(anchor) {
            Some((head, tail)) => (head.to_owned(), tail.to_owned()),
            None => panic!("no {anchor:?} in {}", source.path.display()),
        };
        let changed = match source.place {
            Place::End => text.clone() + code,
            Place::Before(anchor) => {
                let (head, tail) = split(anchor);
                format!("{head}{code}{anchor}{tail}")
            }
            Place::InsteadOf(anchor, end) => split(anchor).0 + code + end,
        };
        fs::write(&source.path, changed).expect("written");
        (source.build)(&source.path);
        if code.contains("In place of any other handler")
            && let Some(style) = self.style.take()
        {
            self.service = self.service.clone().in_style(&style, "none");
        }
    }

    /// The same service, on the same port, by another command.
    fn start(&mut self, service: Service) {
        self.service = self.service.clone().started_by(service);
    }
}

fn last_line(code: &str) -> &str {
    code.lines().last().expect("a line")
}

/// Nothing has to be built.
pub fn as_it_is(_: &Path) {}

/// Runs a compiler where the source is.
pub fn compile(words: &[&str], source: &Path) {
    let (program, arguments) = words.split_first().expect("a program");
    let directory = source.parent().expect("a directory");
    let output = Command::new(program).args(arguments).current_dir(directory).output().expect("a compiler");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Words of a command.
pub fn words<S: Into<OsString>>(words: impl IntoIterator<Item = S>) -> Vec<OsString> {
    words.into_iter().map(Into::into).collect()
}
