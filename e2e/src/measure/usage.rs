//! What the kubelet says that the daemon's pods use.

use crate::daemon::NAMESPACE;
use crate::kubectl::Kubectl;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// Of all of its pods.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// In bytes, as their cgroups count it, without the page cache that could go.
    pub memory: u64,
    cpu_ns: u64,
    /// When the kubelet looked, in seconds since the Unix epoch; an average of several.
    at: f64,
    pods: u32,
}

impl Usage {
    /// CPUs in use since then, for each pod.
    pub fn cpu_since(&self, before: &Self) -> Result<f64> {
        let seconds = self.at - before.at;
        ensure!(seconds > 1.0, "the kubelet has not looked since");
        let used = self.cpu_ns.checked_sub(before.cpu_ns).context("the daemon was started anew meanwhile")?;
        Ok(used as f64 / 1e9 / seconds / f64::from(self.pods))
    }
}

/// From every node.
pub fn read(kubectl: &Kubectl) -> Result<Usage> {
    let nodes = kubectl.run(&["get", "nodes", "-o", "jsonpath={.items[*].metadata.name}"])?;
    let mut sum = Usage::default();
    for node in nodes.split_whitespace() {
        let path = format!("/api/v1/nodes/{node}/proxy/stats/summary?only_cpu_and_memory=true");
        let text = kubectl.run(&["get", "--raw", &path])?;
        let summary: Value = serde_json::from_str(&text).context("the kubelet's summary")?;
        add(&mut sum, &summary)?;
    }
    ensure!(sum.pods > 0, "no kubelet has a pod of the daemon");
    sum.at /= f64::from(sum.pods);
    sum.memory /= u64::from(sum.pods);
    Ok(sum)
}

fn add(sum: &mut Usage, summary: &Value) -> Result<()> {
    let pods = summary["pods"].as_array().into_iter().flatten();
    for pod in pods.filter(|pod| pod.pointer("/podRef/namespace").is_some_and(|it| it == NAMESPACE)) {
        let number = |pointer: &str| pod.pointer(pointer).and_then(Value::as_u64).context(pointer.to_owned());
        sum.memory += number("/memory/workingSetBytes")?;
        sum.cpu_ns += number("/cpu/usageCoreNanoSeconds")?;
        let at = pod.pointer("/cpu/time").and_then(Value::as_str).context("/cpu/time")?;
        sum.at += at.parse::<jiff::Timestamp>().context("a date of the kubelet")?.as_second() as f64;
        sum.pods += 1;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn at(second: u32, cpu: u64) -> Usage {
        let pod = |namespace: &str| {
            json!({
                "podRef": {"namespace": namespace}, "memory": {"workingSetBytes": 4096},
                "cpu": {"usageCoreNanoSeconds": cpu, "time": format!("2026-09-21T14:00:{second:02}Z")},
            })
        };
        let mut sum = Usage::default();
        add(&mut sum, &json!({"pods": [pod(NAMESPACE), pod("another")]})).unwrap();
        sum
    }

    #[test]
    fn usage_is_a_difference_of_two_looks() {
        let (before, after) = (at(10, 1_000_000_000), at(20, 1_500_000_000));
        assert_eq!((after.memory, after.pods), (4096, 1));
        assert!((after.cpu_since(&before).unwrap() - 0.05).abs() < 1e-9);
        assert!(before.cpu_since(&before).is_err(), "the same look");
        assert!(at(20, 0).cpu_since(&before).is_err(), "another process");
    }
}
