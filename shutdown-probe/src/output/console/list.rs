//! Terminations as a table, two lines each.

use super::paint::Paint;
use super::text::{WIDTH, cell, counted, fitted, name_cell, time};
use shutdown_probe_core::cause::Cause;
use shutdown_probe_core::report::{State, Termination};
use std::borrow::Borrow;

const WHEN: usize = 14;
const NUMBER: usize = 8;
const NAME: usize = WIDTH - WHEN - 2 * NUMBER - 4;

/// The table, in the order given.
pub fn list<T: Borrow<Termination>>(terminations: &[T], paint: Paint) -> String {
    if terminations.is_empty() {
        return "no terminations\n".into();
    }
    let head = row(&cell("BEGAN (UTC)", WHEN), "CONTAINER", "SEVERED", "DRAINED");
    let mut text = paint.title(&head);
    for termination in terminations {
        text.push_str(&entry(termination.borrow(), paint));
    }
    text.push_str(&totals(terminations));
    text
}

fn row(when: &str, name: &str, severed: &str, drained: &str) -> String {
    format!("{when}  {}  {severed:>NUMBER$}{drained:>NUMBER$}\n", name_cell(name, NAME))
}

fn entry(termination: &Termination, paint: Paint) -> String {
    let doubt = if termination.measured.complete { "" } else { "?" };
    let first = row(
        &cell(&time("%m-%d %H:%M:%S", termination.began_at), WHEN),
        &name(termination),
        &format!("{}{doubt}", termination.severed_total),
        &termination.drained_total.to_string(),
    );
    let state = match termination.state {
        State::InProgress => "(not over) ",
        State::Complete => "",
    };
    let (cause, trigger) = (termination.cause.as_str(), termination.trigger.as_str());
    let second = format!("{}  {state}{cause}, {trigger}", termination.id);
    let second = format!("{}  {}\n", " ".repeat(WHEN), fitted(&second, WIDTH - WHEN - 2));
    verdict(termination, paint, &first) + &paint.faint(&second)
}

/// In the colour of what it cost.
pub fn verdict(termination: &Termination, paint: Paint, text: &str) -> String {
    if termination.severed_total > 0 {
        paint.bad(text)
    } else if termination.cause == Cause::Clean && termination.measured.complete {
        paint.good(text)
    } else {
        paint.doubtful(text)
    }
}

/// What they come to together, and how to look at one.
fn totals<T: Borrow<Termination>>(terminations: &[T]) -> String {
    let all = || terminations.iter().map(Borrow::borrow);
    let severed: u64 = all().map(|it| it.severed_total).sum();
    let unsafe_to_retry: u64 = all().map(|it| it.retry_unsafe_total).sum();
    let retry = match unsafe_to_retry {
        0 => String::new(),
        count => format!(", {count} of them not safe to retry"),
    };
    let count = counted(terminations.len() as u64, "termination");
    let mut text = format!("\n{count}, {} severed{retry}\n", counted(severed, "connection"));
    if all().any(|it| !it.measured.complete) {
        text.push_str("? not everything could be measured: there may be more\n");
    }
    text
}

/// What people call it: namespace and pod in Kubernetes, else the container's name.
pub fn name(termination: &Termination) -> String {
    let container = &termination.container;
    match &container.pod {
        Some(pod) => format!("{}/{} {}", pod.namespace, pod.name, container.name),
        None if container.name.is_empty() => container.cgroup.clone(),
        None => container.name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::sample;
    use shutdown_probe_core::report::{Container, Measured};
    use unicode_width::UnicodeWidthStr;

    #[test]
    fn a_table_has_a_head_and_two_lines_each() {
        let expected = "\
BEGAN (UTC)     CONTAINER                                        SEVERED DRAINED
09-21 14:13:20  web.service                                            3       5
                42-1  exited_without_drain, container_stopped

1 termination, 3 connections severed, 3 of them not safe to retry
";
        assert_eq!(list(&[sample::termination()], Paint::PLAIN), expected);
        assert_eq!(list::<Termination>(&[], Paint::PLAIN), "no terminations\n");
    }

    #[test]
    fn doubt_and_progress_are_shown_and_no_line_is_too_long() {
        let termination = Termination {
            state: State::InProgress,
            id: "1fffff-3a5b7c9d1e2f3a".into(),
            container: Container { name: "x\x1b[31m".repeat(40), ..Container::default() },
            cause: shutdown_probe_core::cause::Cause::ListenerClosedWhileRouted,
            measured: Measured { complete: false, ..sample::termination().measured },
            ..sample::termination()
        };
        let text = list(&[termination], Paint::PLAIN);
        assert!(text.lines().all(|line| line.width() <= WIDTH), "{text}");
        assert!(
            text.contains("  3?       5\n")
                && text.contains("  1fffff-3a5b7c9d1e2f3a  (not over) listener_closed_while_routed,…\n")
        );
        assert!(text.contains("may be more") && !text.contains('\x1b'));
    }
}
