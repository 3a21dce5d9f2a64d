//! What to change: the advice, the settings with their reasons, and patches to copy.

use super::escape::escape;
use super::paint::Paint;
use super::text::wrapped;
use shutdown_probe_core::report::{Patch, PatchForm, Termination};
use std::fmt::Write;

/// Under headings of their own; nothing where there is nothing to change.
pub fn remedies(termination: &Termination, paint: Paint) -> String {
    let mut text = String::new();
    let sentences = termination.advice.iter().map(|advice| (advice, None));
    let changes = termination.changes.iter().map(|change| (&change.what, Some(&change.reason)));
    for (number, (what, reason)) in (1..).zip(sentences.chain(changes)) {
        if number == 1 {
            let _ = write!(text, "\n{}\n", paint.title("What to change"));
        }
        text.push_str(&wrapped(&format!("  {number}. "), what));
        if let Some(reason) = reason {
            text.push_str(&paint.faint(&wrapped("     why: ", reason)));
        }
    }
    for patch in &termination.patches {
        let _ = write!(text, "\n{}\n{}", paint.title(title(patch.form)), code(patch));
    }
    text
}

/// What a patch of this form is for.
pub const fn title(form: PatchForm) -> &'static str {
    match form {
        PatchForm::Kubectl => "To try it (it replaces the pods)",
        PatchForm::Kustomize => "To keep it: kustomization.yaml",
        PatchForm::Manifest => "To keep it: the manifest that the pod is made from",
        PatchForm::Dockerfile => "To keep it: the Dockerfile",
        PatchForm::Systemd => "To keep it: a drop-in of systemd",
        PatchForm::Docker => "To keep it: options of docker run",
    }
}

/// Not broken into other lines: it is there to be copied.
fn code(patch: &Patch) -> String {
    patch.text.lines().map(|line| format!("{}\n", escape(line))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::sample;
    use shutdown_probe_core::report::{Change, Setting};

    #[test]
    fn reasons_stand_below_and_patches_are_left_whole() {
        let mut termination = sample::termination();
        termination.changes = vec![Change {
            setting: Setting::PreStop,
            value: Some("4".into()),
            what: "Let a preStop hook sleep for 4 s.".into(),
            reason: "the last connection came 2.30 s after the deletion".into(),
        }];
        let long = "a".repeat(100);
        let text = format!("kubectl patch {long}\n  \x1b[2J\n");
        termination.patches = vec![Patch { form: PatchForm::Kubectl, settings: vec![], text }];
        let expected = format!(
            "
What to change
  1. Stop accepting, finish the requests in flight, then exit.
  2. Let a preStop hook sleep for 4 s.
     why: the last connection came 2.30 s after the deletion

To try it (it replaces the pods)
kubectl patch {long}
  \\x1b[2J
"
        );
        assert_eq!(remedies(&termination, Paint::PLAIN), expected);
        (termination.advice, termination.changes, termination.patches) = (vec![], vec![], vec![]);
        assert_eq!(remedies(&termination, Paint::PLAIN), "");
    }
}
