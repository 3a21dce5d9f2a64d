//! Patches for what runs without Kubernetes: a unit of systemd, a container of Docker. For others there is none.

use super::patches::Values;
use crate::report::{Container, Patch, PatchForm};
use std::fmt::Write;

/// The forms that fit a container at this path.
pub(super) fn patches(container: &Container, values: Values<'_>) -> Vec<Patch> {
    let path = container.cgroup.as_str();
    let patch = match (unit(path), is_docker(container)) {
        (Some(unit), _) => values.patch(PatchForm::Systemd, drop_in(path, unit, values)),
        (None, true) => {
            // Docker has nothing like a preStop hook.
            let values = Values { pre_stop: None, ..values };
            values.patch(PatchForm::Docker, options(values))
        }
        (None, false) => None,
    };
    patch.into_iter().collect()
}

/// The service that the cgroup is, or is in.
fn unit(path: &str) -> Option<&str> {
    let is_unit = |part: &&str| part.ends_with(".service") && !part.starts_with("user@");
    path.rsplit('/').find(is_unit)
}

fn is_docker(container: &Container) -> bool {
    let mut parts = container.cgroup.rsplit('/');
    let own = parts.next().unwrap_or_default();
    !container.id.is_empty() && (own.starts_with("docker-") || parts.next() == Some("docker"))
}

fn drop_in(path: &str, unit: &str, values: Values<'_>) -> String {
    let user = if path.contains("/user@") { " --user" } else { "" };
    let mut text = format!("# systemctl{user} edit {}\n[Service]\n", argument(unit));
    // Writing to a String cannot fail.
    if let Some(seconds) = values.pre_stop {
        let _ = write!(text, "# runs before the stop signal is sent\nExecStop=sleep {seconds}\n");
    }
    if let Some(signal) = values.stop_signal {
        let _ = writeln!(text, "KillSignal={signal}");
    }
    if let Some(seconds) = values.grace {
        let _ = writeln!(text, "TimeoutStopSec={seconds}");
    }
    text
}

/// The name as a shell takes it; what cannot be typed is left to whoever reads it.
fn argument(unit: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '.' | '@' | '-');
    if unit.chars().all(is_plain) {
        unit.to_owned()
    } else if unit.chars().all(|c| matches!(c, ' '..='~') && c != '\'') {
        format!("'{unit}'")
    } else {
        "UNIT".to_owned()
    }
}

fn options(values: Values<'_>) -> String {
    let signal = values.stop_signal.map(|signal| format!("--stop-signal {signal}"));
    let grace = values.grace.map(|seconds| format!("--stop-timeout {seconds}"));
    let options: Vec<_> = signal.into_iter().chain(grace).collect();
    options.join(" ") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Values<'static> = Values { pre_stop: Some(4), grace: Some(45), stop_signal: Some("SIGQUIT") };

    fn texts(cgroup: &str, id: &str) -> Vec<String> {
        let container = Container { cgroup: cgroup.into(), id: id.into(), ..Container::default() };
        patches(&container, ALL).into_iter().map(|patch| patch.text).collect()
    }

    #[test]
    fn a_unit_of_systemd_gets_a_drop_in() {
        let service = "[Service]\n# runs before the stop signal is sent\nExecStop=sleep 4\n\
                       KillSignal=SIGQUIT\nTimeoutStopSec=45\n";
        for (cgroup, command) in [
            ("/system.slice/web.service", "# systemctl edit web.service\n"),
            ("/system.slice/web.service/worker", "# systemctl edit web.service\n"),
            (
                "/user.slice/user-1000.slice/user@1000.service/app.slice/web.service",
                "# systemctl --user edit web.service\n",
            ),
            ("/system.slice/a\\x2db;c.service", "# systemctl edit 'a\\x2db;c.service'\n"),
            ("/system.slice/a\n[Service]\nx.service", "# systemctl edit UNIT\n"),
            ("/system.slice/a'b.service", "# systemctl edit UNIT\n"),
        ] {
            assert_eq!(texts(cgroup, ""), [format!("{command}{service}")], "{cgroup}");
        }
    }

    #[test]
    fn a_container_of_docker_gets_options_and_others_nothing() {
        let id = "0123456789abcdef".repeat(4);
        let options = "--stop-signal SIGQUIT --stop-timeout 45\n";
        for cgroup in [format!("/system.slice/docker-{id}.scope"), format!("/docker/{id}")] {
            assert_eq!(texts(&cgroup, &id), [options], "{cgroup}");
        }
        for cgroup in [format!("/nomad/{id}"), "/zoo/docker/web".to_owned()] {
            assert!(texts(&cgroup, "").is_empty(), "{cgroup}");
        }
    }
}
