//! What is filled in: the service's own command, and times that fit the pod.

use super::Fix;
use super::snippet::Snippet;
use crate::check::options::{Plan, quoted};
use crate::check::round::Round;
use std::time::Duration;

/// Added to the last arrival that was measured.
const MARGIN: Duration = Duration::from_secs(1);
/// The least that is advised: proxies of a real cluster take longer than the model's.
const PRE_STOP_LEAST: u64 = 5;
/// The least that requests get to finish where nobody can say when they have.
const FINISH_LEAST: u64 = 5;
/// What a pod has where nobody says otherwise, in seconds.
const GRACE_DEFAULT: u64 = 30;
/// What stands for the command where it cannot be read.
const COMMAND: &str = "YOUR-SERVER";
/// What is said of it then, in a language whose comments begin so: those that name the command.
const EXPLAINED: &str = "# YOUR-SERVER is the command that starts it now, with its arguments.\n";

/// The values.
#[derive(Debug)]
pub(super) struct Blanks {
    command: Vec<String>,
    port: u16,
    /// terminationGracePeriodSeconds.
    grace: u64,
    /// The preStop sleep that is advised, in seconds.
    sleep: u64,
    /// How long a drain may take, in seconds: well within what the sleep leaves of the grace period.
    drain: u64,
    /// How long requests may still take where nothing can be waited for, in seconds.
    finish: u64,
}

impl Blanks {
    /// `needs_time`: the drain takes longer than it was given.
    pub fn new(round: &Round, plan: &Plan, needs_time: bool) -> Self {
        let sleeps = super::needs_sleep(plan);
        let sleep = if sleeps { sleep(round, plan) } else { plan.pre_stop.as_secs() };
        let given = plan.args.grace.0.as_secs();
        let mut grace = if sleeps { given.max(sleep * 2).max(GRACE_DEFAULT) } else { given };
        if needs_time {
            let slowest = round.cost.map_or(0, |cost| cost.latency.as_secs());
            grace = grace.max(given * 2).max(slowest * 2 + sleep).max(GRACE_DEFAULT);
        }
        let drain = (grace.saturating_sub(sleep) * 4 / 5).max(1);
        let slowest = round.cost.map_or(0.0, |cost| cost.latency.as_secs_f64());
        let finish = ((slowest * 2.0).ceil() as u64).max(FINISH_LEAST).min(drain);
        let port = round.service.address.port();
        Self {
            command: round.runtime.command.clone().unwrap_or_else(|| vec![COMMAND.to_owned()]),
            port,
            grace,
            sleep,
            drain,
            finish,
        }
    }

    /// The snippet with these values.
    pub fn fill(&self, snippet: Snippet) -> Fix {
        let in_shell: Vec<_> = self.command.iter().map(|word| quoted(word)).collect();
        let in_json: Vec<_> = self.command.iter().map(|word| serde_json::json!(word).to_string()).collect();
        // The command last: it may hold anything.
        let values = [
            ("{drain}", self.drain.to_string()),
            ("{finish}", self.finish.to_string()),
            ("{sleep}", self.sleep.to_string()),
            ("{grace}", self.grace.to_string()),
            ("{port}", self.port.to_string()),
            ("{command_list}", format!("[{}]", in_json.join(", "))),
            ("{command}", in_shell.join(" ")),
        ];
        let fill = |code: String, (name, value): &(&str, String)| code.replace(name, value);
        let is_unknown = self.command == [COMMAND] && snippet.code.contains("{command");
        let explained = if is_unknown { EXPLAINED } else { "" };
        let code = values.iter().fold(format!("{explained}{}", snippet.code), fill);
        Fix { title: snippet.title.to_owned(), language: snippet.language, code }
    }
}

fn sleep(round: &Round, plan: &Plan) -> u64 {
    let last =
        round.termination.as_ref().and_then(|termination| termination.last_late_connection_after_seconds);
    let tail = plan.pre_stop + Duration::from_secs_f64(last.unwrap_or_default());
    ((tail.max(plan.propagation) + MARGIN).as_secs_f64().ceil() as u64).max(PRE_STOP_LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::advice::snippet::{COMMAND_FOR_PACKAGE_MANAGER, EXEC_FOR_SHELL, PRE_STOP, snippet};
    use crate::check::runtime::Language;

    fn blanks() -> Blanks {
        let command = ["node", "a b.js", "{grace}"].map(str::to_owned).into();
        Blanks { command, port: 80, grace: 30, sleep: 7, drain: 18, finish: 5 }
    }

    #[test]
    fn manifests_are_filled_in() {
        let code = blanks().fill(PRE_STOP).code;
        assert!(code.contains("sleep: { seconds: 7 }") && code.contains("PeriodSeconds: 30"), "{code}");
        assert!(!code.contains("{sleep}") && !code.contains("{grace}"), "{code}");
        let code = blanks().fill(snippet(Language::Go).expect("a snippet")).code;
        assert!(code.contains("18*time.Second"), "{code}");
    }

    #[test]
    fn commands_are_quoted_as_the_code_wants_it() {
        assert!(blanks().fill(EXEC_FOR_SHELL).code.ends_with("exec node 'a b.js' '{grace}'\n"));
        let code = blanks().fill(COMMAND_FOR_PACKAGE_MANAGER).code;
        assert!(code.ends_with("CMD [\"node\", \"a b.js\", \"{grace}\"]\n"), "{code}");
    }

    #[test]
    fn an_unknown_command_is_called_so() {
        let code = Blanks { command: vec![COMMAND.into()], ..blanks() }.fill(EXEC_FOR_SHELL).code;
        assert!(code.starts_with("# YOUR-SERVER is") && code.ends_with("\nexec YOUR-SERVER\n"), "{code}");
    }
}
