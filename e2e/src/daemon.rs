//! The daemon under judgement: the pods of its DaemonSet, asked by their addresses.

use crate::kubectl::Kubectl;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::net::IpAddr;
use std::time::Duration;
use zoo::api::{List, Termination};

pub const NAMESPACE: &str = "shutdown-probe";
/// Its DaemonSet, as kubectl takes it.
pub const DAEMON_SET: &str = "daemonset/shutdown-probe";
/// What its pods have in common.
pub const SELECTOR: &str = "app.kubernetes.io/name=shutdown-probe";
pub const PORT: u16 = 9464;
/// As many as it gives.
const TERMINATIONS: &str = "/api/v1/terminations?limit=1000";

/// All of its pods.
#[derive(Clone, Debug)]
pub struct Daemon {
    agent: ureq::Agent,
    kubectl: Kubectl,
}

impl Daemon {
    /// # Errors
    /// When it is not installed, or not ready.
    pub fn find(kubectl: &Kubectl) -> Result<Self> {
        let config = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(5))).build();
        let daemon = Self { agent: config.into(), kubectl: kubectl.within(NAMESPACE) };
        for address in daemon.addresses()? {
            daemon.get(&address, "/readyz")?;
        }
        Ok(daemon)
    }

    /// Of its pods that are not to end, as they stand in a URL.
    pub fn addresses(&self) -> Result<Vec<String>> {
        let of_each = self.addresses_of_each()?;
        let addresses: Vec<String> = of_each.into_iter().filter_map(|all| all.into_iter().next()).collect();
        ensure!(!addresses.is_empty(), "no pod of shutdown-probe runs in namespace {NAMESPACE}");
        Ok(addresses)
    }

    /// All addresses of each of these pods, of either family.
    pub fn addresses_of_each(&self) -> Result<Vec<Vec<String>>> {
        let list = self.kubectl.json(&["get", "pods", "--selector", SELECTOR])?;
        let pods = list["items"].as_array().into_iter().flatten();
        let living = pods.filter(|pod| pod.pointer("/metadata/deletionTimestamp").is_none());
        Ok(living.map(addresses_of).collect())
    }

    pub fn kubectl(&self) -> &Kubectl {
        &self.kubectl
    }

    /// The body of one pod's successful answer.
    pub fn get(&self, address: &str, path: &str) -> Result<String> {
        let url = format!("http://{address}:{PORT}{path}");
        let mut response = self.agent.get(&url).call().with_context(|| format!("GET {url}"))?;
        let body = response.body_mut().with_config().limit(256 << 20).read_to_string();
        body.with_context(|| format!("reading the answer to GET {url}"))
    }

    /// Every termination that these pods know of.
    pub fn terminations(&self, addresses: &[String]) -> Result<Vec<Termination>> {
        let mut all = Vec::new();
        for address in addresses {
            let body = self.get(address, TERMINATIONS)?;
            let list: List =
                serde_json::from_str(&body).context("the list of terminations is not as agreed")?;
            all.extend(list.terminations);
        }
        Ok(all)
    }
}

fn addresses_of(pod: &Value) -> Vec<String> {
    let all = pod.pointer("/status/podIPs").and_then(Value::as_array).into_iter().flatten();
    let parsed = all.filter_map(|address| address["ip"].as_str()?.parse::<IpAddr>().ok());
    parsed
        .map(|address| if address.is_ipv6() { format!("[{address}]") } else { address.to_string() })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_address_of_ipv6_has_brackets_in_a_url() {
        let pod = json!({"status": {"podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]}});
        assert_eq!(addresses_of(&pod), ["10.0.0.1", "[fd00::1]"]);
    }
}
