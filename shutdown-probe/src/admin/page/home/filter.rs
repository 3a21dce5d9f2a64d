//! The form that chooses terminations. It is a plain GET: what was chosen stands in the address.

use crate::admin::page::asked::Asked;
use crate::admin::page::text::{Shown, words};
use maud::{Markup, html};
use shutdown_probe_core::report::Termination;
use std::collections::BTreeSet;
use std::sync::Arc;

/// How many values a field proposes.
const PROPOSED: usize = 100;
/// Values of `since`, and what they are called.
const SINCE: [(&str, &str); 5] =
    [("10m", "10 minutes"), ("1h", "hour"), ("6h", "6 hours"), ("24h", "24 hours"), ("168h", "7 days")];

type Names = BTreeSet<String>;

/// The form, filled in with what was asked for. It proposes what `kept` has.
pub fn form(asked: &Asked, kept: &[Arc<Termination>]) -> Markup {
    let pods = kept.iter().any(|it| it.container.pod.is_some());
    let of_pods = |name: &str| pods || asked.value(name).is_some();
    let namespaces = proposed(kept, |it| it.container.pod.as_ref().map(|pod| pod.namespace.clone()));
    let workloads = proposed(kept, |it| it.container.workload.as_ref().map(|owner| owner.name.clone()));
    let causes = proposed(kept, |it| Some(it.cause.as_str().to_owned()));
    let triggers = proposed(kept, |it| Some(it.trigger.as_str().to_owned()));
    html! {
        search { form.filter action="./" method="get" aria-label="Filter" {
            @if of_pods("namespace") { (choice(asked, "namespace", "Namespace", &namespaces, |name| name.to_owned())) }
            @if of_pods("workload") { (text(asked, "workload", "Workload", &workloads)) }
            @if of_pods("pod") { (text(asked, "pod", "Pod", &Names::new())) }
            @if !pods || asked.value("cgroup").is_some() { (text(asked, "cgroup", "Cgroup", &Names::new())) }
            (choice(asked, "cause", "Cause", &causes, words))
            (choice(asked, "trigger", "Trigger", &triggers, words))
            (since(asked))
            label.check {
                input type="checkbox" name="severed" value="true" checked[asked.value("severed") == Some("true")];
                " with losses only"
            }
            @if let Some(limit) = asked.value("limit") { input type="hidden" name="limit" value=(Shown(limit)); }
            button type="submit" { "Filter" }
            @if asked.is_choosy() { a href="./" { "Show all" } }
        } }
    }
}

fn proposed(kept: &[Arc<Termination>], of: impl Fn(&Termination) -> Option<String>) -> Names {
    kept.iter().filter_map(|it| of(it)).collect()
}

fn choice(
    asked: &Asked,
    name: &str,
    label: &str,
    proposed: &Names,
    shown: impl Fn(&str) -> String,
) -> Markup {
    let value = asked.value(name);
    let stranger = value.filter(|value| !proposed.contains(*value));
    let offered = proposed.iter().map(String::as_str).take(PROPOSED).chain(stranger);
    html! {
        label { (label) select name=(name) {
            option value="" { "any" }
            @for offer in offered {
                option value=(Shown(offer)) selected[value == Some(offer)] { (Shown(&shown(offer))) }
            }
        } }
    }
}

fn text(asked: &Asked, name: &str, label: &str, proposed: &Names) -> Markup {
    let list = format!("{name}-list");
    html! {
        label { (label)
            input type="text" name=(name) value=[asked.value(name).map(Shown)] list=[(!proposed.is_empty()).then_some(&list)]
                autocomplete="off" spellcheck="false";
        }
        @if !proposed.is_empty() {
            datalist id=(list) { @for offer in proposed.iter().take(PROPOSED) { option value=(Shown(offer)) {} } }
        }
    }
}

fn since(asked: &Asked) -> Markup {
    let value = asked.value("since");
    let stranger = value.filter(|value| SINCE.iter().all(|(offer, _)| offer != value));
    html! {
        label { "Since" select name="since" {
            option value="" { "the beginning" }
            @for (offer, called) in SINCE {
                option value=(offer) selected[value == Some(offer)] { "the last " (called) }
            }
            @if let Some(given) = stranger { option value=(Shown(given)) selected { (Shown(given)) } }
        } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::sample;

    fn asked(pairs: &[(&str, &str)]) -> Asked {
        Asked::new(pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    #[test]
    fn it_shows_what_was_asked_for_even_if_nothing_kept_has_it() {
        let kept = [Arc::new(sample::termination())];
        let asked = asked(&[("cause", "crashed"), ("since", "3h"), ("severed", "true"), ("pod", "web-1")]);
        let form = form(&asked, &kept).into_string();
        for part in [
            "<option value=\"exited_without_drain\">exited without drain</option>",
            "<option value=\"crashed\" selected>crashed</option>",
            "<option value=\"3h\" selected>3h</option>",
            "value=\"true\" checked>",
            "name=\"pod\" value=\"web-1\"",
            "name=\"cgroup\"",
        ] {
            assert!(form.contains(part), "no {part} in {form}");
        }
        assert!(!form.contains("name=\"namespace\""), "there are no pods");
    }
}
