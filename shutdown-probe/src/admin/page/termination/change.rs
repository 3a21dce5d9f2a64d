//! What to change: in the program, in how it is stopped, and as patches to copy.

use crate::admin::page::text::{Shown, sentence};
use crate::output::console::patch_title;
use maud::{Markup, html};
use shutdown_probe_core::report::{Change, Patch, Setting, Termination};

/// The advice of this termination.
pub fn section(termination: &Termination) -> Markup {
    let Termination { advice, changes, patches, recommendation, .. } = termination;
    let nothing = advice.is_empty() && changes.is_empty();
    html! {
        section.change aria-labelledby="change" {
            h2 id="change" { "What to change" }
            @if nothing { p { "Nothing: nothing was lost, and nothing but luck was needed for that." } }
            @if !advice.is_empty() { ol { @for it in advice { li { (Shown(it)) } } } }
            @if !changes.is_empty() { (settings(changes)) }
            @if let (Some(it), true) = (recommendation, changes.is_empty()) {
                p.note {
                    "Recommended preStop sleep: "
                    @if it.pre_stop_seconds == 0 { "none" } @else { (it.pre_stop_seconds) " s" }
                    " (" (Shown(&it.reason)) ")."
                }
            }
            @for patch in patches { (copyable(patch)) }
        }
    }
}

fn settings(changes: &[Change]) -> Markup {
    html! {
        dl.settings { @for it in changes {
            dt {
                (called(it.setting))
                @if let Some(value) = &it.value { ": " strong { (Shown(value)) (unit(it.setting)) } }
            }
            dd { (Shown(&it.what)) }
            dd.note { (Shown(&sentence(&it.reason))) "." }
        } }
    }
}

const fn called(setting: Setting) -> &'static str {
    match setting {
        Setting::Command => "Command",
        Setting::Pid1 => "PID 1",
        Setting::StopSignal => "Stop signal",
        Setting::PreStop => "preStop sleep",
        Setting::GracePeriod => "Grace period",
    }
}

const fn unit(setting: Setting) -> &'static str {
    match setting {
        Setting::PreStop | Setting::GracePeriod => " s",
        Setting::Command | Setting::Pid1 | Setting::StopSignal => "",
    }
}

fn copyable(patch: &Patch) -> Markup {
    html! {
        details {
            summary { (patch_title(patch.form)) }
            pre tabindex="0" { code { @for line in patch.text.lines() { (Shown(line)) "\n" } } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::sample;
    use shutdown_probe_core::report::PatchForm;

    #[test]
    fn a_change_has_its_value_its_reason_and_its_patch() {
        let changes = vec![Change {
            setting: Setting::PreStop,
            value: Some("5".into()),
            what: "Sleep before the stop signal.".into(),
            reason: "the last connection came 3.2 s after it <b>".into(),
        }];
        let text = "lifecycle:\n  preStop: {sleep: {seconds: 5}}".to_owned();
        let patches = vec![Patch { form: PatchForm::Manifest, settings: vec![Setting::PreStop], text }];
        let page = section(&Termination { changes, patches, ..sample::termination() }).into_string();
        assert!(page.contains("preStop sleep: <strong>5 s</strong>"), "{page}");
        assert!(page.contains("The last connection came 3.2 s after it &lt;b&gt;."), "{page}");
        assert!(page.contains("<code>lifecycle:\n  preStop: {sleep: {seconds: 5}}\n</code>"), "{page}");
    }

    #[test]
    fn where_nothing_is_to_change_that_is_said() {
        let clean = Termination { advice: vec![], recommendation: None, ..sample::termination() };
        assert!(section(&clean).into_string().contains("Nothing: nothing was lost"));
    }
}
