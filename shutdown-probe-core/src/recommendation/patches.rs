//! Changes in forms to copy: for Kubernetes, for systemd, for Docker.

use super::{Facts, kubernetes, standalone};
use crate::report::{Change, Patch, PatchForm, Setting, Termination};

/// The values that patches set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Values<'a> {
    pub pre_stop: Option<u64>,
    pub grace: Option<u64>,
    pub stop_signal: Option<&'a str>,
}

impl<'a> Values<'a> {
    fn of(changes: &'a [Change]) -> Self {
        let value = |setting| {
            changes.iter().find(|change| change.setting == setting).and_then(|change| change.value.as_deref())
        };
        let seconds = |setting| value(setting).and_then(|value| value.parse().ok());
        Self {
            pre_stop: seconds(Setting::PreStop),
            grace: seconds(Setting::GracePeriod),
            stop_signal: value(Setting::StopSignal),
        }
    }

    /// What they set.
    pub fn settings(self) -> Vec<Setting> {
        let all = [
            (Setting::StopSignal, self.stop_signal.is_some()),
            (Setting::PreStop, self.pre_stop.is_some()),
            (Setting::GracePeriod, self.grace.is_some()),
        ];
        all.into_iter().filter_map(|(setting, is_set)| is_set.then_some(setting)).collect()
    }

    /// A patch that sets all of them; nothing where there is nothing to set.
    pub fn patch(self, form: PatchForm, text: String) -> Option<Patch> {
        let settings = self.settings();
        (!settings.is_empty()).then_some(Patch { form, settings, text })
    }
}

/// Whatever of the changes can be written as a patch, in every form that fits where it runs.
pub(crate) fn patches(report: &Termination, changes: &[Change], facts: &Facts) -> Vec<Patch> {
    let values = Values::of(changes);
    if report.container.pod.is_some() {
        kubernetes::patches(&report.container, values, facts)
    } else {
        standalone::patches(&report.container, values)
    }
}
