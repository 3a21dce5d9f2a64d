//! Fetches a kernel of a Debian suite, with lists and a state of our own: the machine's are left alone.
//!
//! Invariant: the newest package of the suite is taken, whatever it is called today; one that was fetched before
//! serves for a week, and longer where the archive cannot be asked.

use super::matrix::Kernel;
use super::record::numbers;
use crate::cache;
use crate::command;
use crate::context::Context;
use crate::failure::MissingTool;
use anyhow::{Context as _, Result, bail};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const MIRROR: &str = "SHUTDOWN_PROBE_DEBIAN_MIRROR";
/// Where Debian keeps the keys of all its suites.
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// The one without drivers that no virtual machine needs: it is small.
const FLAVOUR: &str = "-cloud-amd64";
const FRESH: Duration = Duration::from_secs(7 * 24 * 3600);

/// A kernel that can be booted.
#[derive(Debug)]
pub struct Image {
    pub path: PathBuf,
    /// The package it is from.
    pub package: String,
}

/// The newest kernel, from the cache or the archive.
///
/// # Errors
/// When there is none in either.
pub fn fetch(context: &Context, kernel: &Kernel) -> Result<Image> {
    let directory = cache::directory(context).join("kernels").join(kernel.version);
    let cached = Cached { directory: &directory };
    if let Some(image) = cached.image()
        && cached.is_fresh()
    {
        return Ok(image);
    }
    download(&cached, kernel).or_else(|error| match cached.image() {
        Some(image) => {
            println!("{} could not be asked for a newer kernel: {error:#}", kernel.suite);
            Ok(image)
        }
        None => Err(error.context(format!("no kernel {} to boot", kernel.version))),
    })
}

/// A kernel that was fetched before: the image, and the name of its package.
struct Cached<'a> {
    directory: &'a Path,
}

impl Cached<'_> {
    fn image(&self) -> Option<Image> {
        let package = fs::read_to_string(self.directory.join("package")).ok()?;
        let path = self.directory.join("vmlinuz");
        path.is_file().then_some(Image { path, package })
    }

    fn is_fresh(&self) -> bool {
        let modified = self.directory.join("package").metadata().and_then(|file| file.modified());
        modified.is_ok_and(|time| time.elapsed().is_ok_and(|age| age < FRESH))
    }

    fn store(&self, image: &Path, package: &str) -> Result<Image> {
        let path = self.directory.join("vmlinuz");
        fs::copy(image, &path).with_context(|| image.display().to_string())?;
        self.mark(package)?;
        Ok(Image { path, package: package.to_owned() })
    }

    /// Last, so that what was interrupted is fetched anew. Its time tells when the archive was asked.
    fn mark(&self, package: &str) -> Result<()> {
        fs::write(self.directory.join("package"), package).context("marking what was fetched")
    }
}

fn download(cached: &Cached<'_>, kernel: &Kernel) -> Result<Image> {
    let apt = Apt::new(cached.directory.join("apt"), kernel.suite)?;
    command::run(apt.command("apt-get").args(["-qq", "update"]))?;
    let package = apt.newest(kernel)?;
    let image = match cached.image().filter(|image| image.package == package) {
        Some(image) => {
            cached.mark(&package)?;
            image
        }
        None => {
            println!("fetching {package} of {}", kernel.suite);
            let unpacked = apt.unpack(&package)?;
            let image = find_image(&unpacked).with_context(|| format!("{package} has no vmlinuz"))?;
            cached.store(&image, &package)?
        }
    };
    fs::remove_dir_all(&apt.directory).with_context(|| apt.directory.display().to_string())?;
    Ok(image)
}

/// apt over one suite.
struct Apt {
    directory: PathBuf,
}

impl Apt {
    fn new(directory: PathBuf, suite: &str) -> Result<Self> {
        fs::create_dir_all(directory.join("lists/partial"))
            .with_context(|| directory.display().to_string())?;
        fs::create_dir_all(directory.join("archives/partial"))?;
        fs::write(directory.join("status"), "")?;
        let signed = if Path::new(KEYS).exists() { format!(" signed-by={KEYS}") } else { String::new() };
        let source = format!("deb [arch=amd64{signed}] {} {suite} main\n", mirror()?);
        fs::write(directory.join("sources.list"), source)?;
        Ok(Self { directory })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let mut set = |option: &str, value: &str| {
            command.arg("-o").arg(format!("{option}={value}"));
        };
        let ours = |name: &str| self.directory.join(name).display().to_string();
        set("Dir::State", &ours(""));
        set("Dir::State::Lists", &ours("lists"));
        set("Dir::State::Status", &ours("status"));
        set("Dir::Cache", &ours(""));
        set("Dir::Etc::SourceList", &ours("sources.list"));
        for machines in ["SourceParts", "Preferences", "PreferencesParts"] {
            set(&format!("Dir::Etc::{machines}"), "/dev/null");
        }
        // Only the names of packages are wanted.
        set("Acquire::Languages", "none");
        set("Acquire::IndexTargets::deb::DEP-11::DefaultEnabled", "false");
        // The directory may be closed to the user that root's apt would become.
        set("APT::Sandbox::User", "root");
        command
    }

    fn newest(&self, kernel: &Kernel) -> Result<String> {
        for prefix in kernel.prefixes {
            let names = command::read(self.command("apt-cache").args(["pkgnames", prefix]))?;
            if let Some(name) = newest(names.lines(), prefix) {
                return Ok(name.to_owned());
            }
        }
        bail!("{} has no {}*{FLAVOUR}", kernel.suite, kernel.prefixes.join("* nor "))
    }

    /// Downloads and unpacks it, and says where.
    fn unpack(&self, package: &str) -> Result<PathBuf> {
        let archives = self.directory.join("archives");
        command::run(self.command("apt-get").args(["-qq", "download", package]).current_dir(&archives))?;
        let mut files = fs::read_dir(&archives)?.filter_map(|entry| Some(entry.ok()?.path()));
        let archive = files.find(|path| path.extension().is_some_and(|extension| extension == "deb"));
        let archive = archive.with_context(|| format!("apt-get download {package} left nothing"))?;
        let unpacked = self.directory.join("unpacked");
        command::run(Command::new("dpkg-deb").arg("-x").arg(archive).arg(&unpacked))?;
        Ok(unpacked)
    }
}

/// Where Debian's archive is: as said, else where this machine gets Debian from.
fn mirror() -> Result<String> {
    if let Some(mirror) = env::var(MIRROR).ok().filter(|mirror| !mirror.is_empty()) {
        return Ok(mirror);
    }
    let format = "$(ORIGIN)|$(LABEL)|$(REPO_URI)";
    let mut targets = Command::new("apt-get");
    let answer = command::probe(targets.args(["indextargets", "--format", format]));
    let found = answer.as_deref().and_then(debian).map(String::from);
    found.ok_or_else(|| {
        let what = "the kernels are Debian's, and this machine's apt does not know Debian's archive";
        MissingTool::new(what, [format!("{MIRROR}=<address of a mirror> cargo xtask vm")]).into()
    })
}

/// The address of Debian's own archive among apt's targets; its security archive has not all suites.
fn debian(targets: &str) -> Option<&str> {
    targets.lines().find_map(|line| line.strip_prefix("Debian|Debian|http").map(|_| &line[14..]))
}

/// The package of the highest version, of those that are images of the flavour.
fn newest<'a>(names: impl Iterator<Item = &'a str>, prefix: &str) -> Option<&'a str> {
    let images = names.filter(|name| name.starts_with(prefix) && name.ends_with(FLAVOUR));
    images.max_by_key(|name| numbers(name))
}

/// Old packages have it in /boot, new ones among the modules.
fn find_image(directory: &Path) -> Option<PathBuf> {
    for entry in fs::read_dir(directory).ok()?.flatten() {
        let path = entry.path();
        if entry.file_type().ok()?.is_dir() {
            if let Some(found) = find_image(&path) {
                return Some(found);
            }
        } else if entry.file_name().to_str().is_some_and(|name| name.starts_with("vmlinuz")) {
            return Some(path);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_is_chosen_by_number() {
        let names = [
            "linux-image-6.12.94+deb13-cloud-amd64",
            "linux-image-6.12.107+deb13-cloud-amd64-unsigned",
            "linux-image-6.12.107+deb13-cloud-amd64",
            "linux-image-6.12.107+deb13-amd64",
            "linux-image-6.12.9+deb13-cloud-amd64-dbg",
        ];
        let chosen = newest(names.into_iter(), "linux-image-6.12.");
        assert_eq!(chosen, Some("linux-image-6.12.107+deb13-cloud-amd64"));
        assert_eq!(newest(names.into_iter(), "linux-image-6.1."), None);
    }

    #[test]
    fn debians_own_archive_is_found() {
        let targets = "Debian|Debian-Security|http://security.example/debian-security/\n\
                       Node|Node|https://node.example/\n\
                       Debian|Debian|cdrom://disc/\n\
                       Debian|Debian|https://mirror.example/debian/\n";
        assert_eq!(debian(targets), Some("https://mirror.example/debian/"));
        assert_eq!(debian("||http://never.updated.example/\n"), None);
    }

    #[test]
    fn what_was_fetched_serves_again() {
        let directory = env::temp_dir().join(format!("xtask-kernel-{}", std::process::id()));
        let cached = Cached { directory: &directory.join("6.1") };
        assert!(cached.image().is_none() && !cached.is_fresh());
        let fetched = directory.join("unpacked/boot/vmlinuz-6.1");
        fs::create_dir_all(fetched.parent().unwrap()).unwrap();
        fs::create_dir_all(cached.directory).unwrap();
        fs::write(&fetched, "image").unwrap();
        let image = find_image(&directory.join("unpacked")).unwrap();
        cached.store(&image, "linux-image-6.1").unwrap();
        assert_eq!(cached.image().unwrap().package, "linux-image-6.1");
        assert!(cached.is_fresh());
        fs::remove_dir_all(&directory).unwrap();
    }
}
