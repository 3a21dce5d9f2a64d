//! What ends pods.

use super::{LifeId, Stage};
use anyhow::{Context as _, Result};
use std::time::Instant;

impl Stage<'_> {
    /// Notes that what comes now ends these lives.
    pub fn begin_end(&mut self, lives: &[LifeId]) {
        for life in lives {
            self.life_mut(*life).acted = Some(Instant::now());
        }
    }

    /// `kubectl` with these arguments ends these lives. The name of the first one's pod stands for `{pod}`.
    pub fn end_by(&mut self, lives: &[LifeId], arguments: &[&str]) -> Result<()> {
        let first = lives.first().context("nothing to end")?;
        let pod = self.life(*first).pod.name.clone();
        self.begin_end(lives);
        let arguments: Vec<&str> =
            arguments.iter().map(|word| if *word == "{pod}" { pod.as_str() } else { *word }).collect();
        self.kubectl.run(&arguments).map(|_| ())
    }

    /// `kubectl delete pod`.
    pub fn delete(&mut self, life: LifeId, options: &[&str]) -> Result<()> {
        self.end_by(&[life], &[&["delete", "pod", "{pod}", "--wait=false"], options].concat())
    }

    /// Waits until Kubernetes has announced the end of a life's pod.
    pub fn wait_until_announced(&mut self, life: LifeId) -> Result<()> {
        let uid = self.life(life).pod.uid.clone();
        self.wait_for("the pod's deletion to be announced", |stage| {
            stage.watch.pod(&uid).is_some_and(|pod| pod.announced.is_some())
        })
    }

    /// Has the workload of these lives replaced by a new revision of itself.
    pub fn roll_out(&mut self, lives: &[LifeId]) -> Result<()> {
        let first = lives.first().context("nothing to roll out")?;
        let workload = &self.life(*first).workload;
        let name = format!("{}/{}", workload.kind.as_str().to_lowercase(), workload.name);
        self.end_by(lives, &["set", "env", &name, "REVISION=2"])
    }
}
