//! `doctor`: would it work here, and what to do if not.

use super::{print, print_json};
use crate::cli::DoctorArgs;
use crate::exit::{Exit, Failure};
use crate::kernel::{self, Answer, Check};
use crate::kube::permission;
use crate::output::console::escape::escape;
use serde::Serialize;
use std::io::Write;

#[derive(Serialize)]
struct Diagnosis<'a> {
    would_work: bool,
    checks: &'a [Check],
}

/// Prints every check; the exit code is the conclusion.
pub fn run(args: &DoctorArgs, out: &mut impl Write) -> Result<Exit, Failure> {
    let mut checks = kernel::inspect();
    if args.kubeconfig.is_some() || kernel::is_in_cluster() {
        checks.extend(permission::checks(args.kubeconfig.as_deref()));
    }
    let would_work = kernel::would_work(&checks);
    if args.json {
        print_json(out, &Diagnosis { would_work, checks: &checks })?;
    } else {
        print(out, &text(&checks, would_work))?;
    }
    Ok(if would_work { Exit::Success } else { Exit::No })
}

fn text(checks: &[Check], would_work: bool) -> String {
    let mut text: String = checks.iter().map(line).collect();
    text.push_str(if would_work {
        "\n`shutdown-probe run --standalone` would work here.\n"
    } else {
        "\n`shutdown-probe run` would not work here: see each \"no\" above that is not optional.\n"
    });
    text
}

fn line(check: &Check) -> String {
    let answer = match check.answer {
        Answer::Yes => "yes",
        Answer::No => "no",
        Answer::CouldNotTell => "?",
    };
    let optional = if check.required || check.answer == Answer::Yes { "" } else { " (optional)" };
    let mut text = format!("{answer:<4} {:<22} {}{optional}\n", check.name, escape(&check.finding));
    if let Some(remedy) = &check.remedy {
        text.push_str(&format!("{:28}-> {}\n", "", escape(remedy)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, answer: Answer, required: bool, remedy: Option<&str>) -> Check {
        Check { name: name.into(), answer, required, finding: "found".into(), remedy: remedy.map(Into::into) }
    }

    #[test]
    fn each_answer_has_its_mark_and_its_remedy() {
        let checks = [
            check("kernel", Answer::Yes, true, None),
            check("CAP_BPF", Answer::No, true, Some("run as root")),
            check("lockdown", Answer::CouldNotTell, false, Some("look\nyourself")),
        ];
        let expected = "\
yes  kernel                 found
no   CAP_BPF                found
                            -> run as root
?    lockdown               found (optional)
                            -> look\\nyourself

`shutdown-probe run` would not work here: see each \"no\" above that is not optional.
";
        assert_eq!(text(&checks, false), expected);
    }
}
