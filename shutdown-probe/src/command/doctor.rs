//! `doctor`: would it work here, and what to do if not.

use super::{print, print_json};
use crate::cli::DoctorArgs;
use crate::exit::{Exit, Failure};
use crate::kernel::{self, Answer, Check};
use crate::kube::permission;
use crate::output::console::{Paint, patiently, wrapped};
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
        checks.extend(patiently("asking the cluster", || permission::checks(args.kubeconfig.as_deref())));
    }
    let would_work = kernel::would_work(&checks);
    if args.json {
        print_json(out, &Diagnosis { would_work, checks: &checks })?;
    } else {
        print(out, &text(&checks, would_work, Paint::stdout()))?;
    }
    Ok(if would_work { Exit::Success } else { Exit::No })
}

fn text(checks: &[Check], would_work: bool, paint: Paint) -> String {
    let mut text: String = checks.iter().map(|check| entry(check, paint)).collect();
    text.push('\n');
    text.push_str(&if would_work {
        paint.good("`shutdown-probe run --standalone` would work here.\n")
    } else {
        paint.bad("`shutdown-probe run` would not work here: see each \"no\" above that is not optional.\n")
    });
    text
}

fn entry(check: &Check, paint: Paint) -> String {
    let is_optional = !check.required && check.answer != Answer::Yes;
    let answer = match check.answer {
        Answer::Yes => paint.good("yes "),
        Answer::No if is_optional => paint.doubtful("no  "),
        Answer::No => paint.bad("no  "),
        Answer::CouldNotTell => paint.doubtful("?   "),
    };
    let optional = if is_optional { " (optional)" } else { "" };
    let finding = wrapped(&format!("     {:<22} ", check.name), &format!("{}{optional}", check.finding));
    let mut text = answer + finding.get(4..).unwrap_or_default();
    if let Some(remedy) = &check.remedy {
        text.push_str(&wrapped(&format!("{:28}-> ", ""), remedy));
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
        assert_eq!(text(&checks, false, Paint::PLAIN), expected);
    }
}
