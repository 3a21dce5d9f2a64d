//! What Kubernetes says of the pods of a namespace, as it changes.

use crate::kubectl::Kubectl;
use anyhow::{Context as _, Result};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::BufReader;
use std::net::IpAddr;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

/// The last that was said of a pod.
#[derive(Clone, Debug, Default)]
pub struct Pod {
    pub name: String,
    pub uid: String,
    /// Of either family, the one that Kubernetes prefers first.
    pub addresses: Vec<IpAddr>,
    /// When its deletion was first seen.
    pub announced: Option<Instant>,
    /// When it was first seen to be gone from the API.
    pub deleted: Option<Instant>,
    containers: BTreeMap<String, Container>,
}

/// One container of a pod: its lives by id, and how each ended.
#[derive(Clone, Debug, Default)]
pub struct Container {
    /// The id of the one that runs, or ran last.
    pub id: String,
    pub running: bool,
    pub ready: bool,
    exits: BTreeMap<String, i64>,
}

impl Pod {
    pub fn container(&self, name: &str) -> Option<&Container> {
        self.containers.get(name)
    }

    /// The exit code of this life of a container, once it is known. Killed by a signal: 128 and its number.
    pub fn exit_code(&self, id: &str) -> Option<i64> {
        self.containers.values().find_map(|container| container.exits.get(id).copied())
    }

    fn update(&mut self, object: &Value, deleted: bool) {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).map(String::from);
        self.name = text("/metadata/name").unwrap_or_default();
        self.uid = text("/metadata/uid").unwrap_or_default();
        let addresses = object.pointer("/status/podIPs").and_then(Value::as_array);
        if let Some(addresses) = addresses {
            let parsed = addresses.iter().filter_map(|address| address["ip"].as_str()?.parse().ok());
            self.addresses = parsed.collect();
        }
        if text("/metadata/deletionTimestamp").is_some() {
            self.announced.get_or_insert_with(Instant::now);
        }
        if deleted {
            self.deleted.get_or_insert_with(Instant::now);
        }
        for field in ["/status/containerStatuses", "/status/initContainerStatuses"] {
            for status in object.pointer(field).and_then(Value::as_array).into_iter().flatten() {
                let name = status["name"].as_str().unwrap_or_default();
                self.containers.entry(name.to_owned()).or_default().update(status);
            }
        }
    }
}

impl Container {
    fn update(&mut self, status: &Value) {
        if let Some(id) = status["containerID"].as_str() {
            self.id = short(id);
        }
        self.running = status.pointer("/state/running").is_some();
        self.ready = status["ready"].as_bool().unwrap_or(false);
        for state in ["/state/terminated", "/lastState/terminated"] {
            let Some(ended) = status.pointer(state) else { continue };
            if let (Some(id), Some(code)) = (ended["containerID"].as_str(), ended["exitCode"].as_i64()) {
                self.exits.insert(short(id), code);
            }
        }
    }
}

/// Without the name of the runtime.
fn short(id: &str) -> String {
    id.rsplit('/').next().unwrap_or(id).to_owned()
}

/// Pods by UID.
type Pods = BTreeMap<String, Pod>;

/// Watches until it is dropped.
#[derive(Debug)]
pub struct Watch {
    pods: Arc<Mutex<Pods>>,
    child: Child,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    pub fn start(kubectl: &Kubectl) -> Result<Self> {
        let mut command = kubectl.command();
        command.args(["get", "pods", "--watch", "--output-watch-events", "-o", "json"]);
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().context("kubectl get pods")?;
        let output = BufReader::new(child.stdout.take().context("no standard output")?);
        let pods = Arc::new(Mutex::new(Pods::new()));
        let shared = Arc::clone(&pods);
        let thread = std::thread::spawn(move || {
            // What is cut off at the end, when kubectl is ended, is no event.
            for event in
                serde_json::Deserializer::from_reader(output).into_iter::<Value>().map_while(Result::ok)
            {
                note(&mut shared.lock().unwrap_or_else(PoisonError::into_inner), &event);
            }
        });
        Ok(Self { pods, child, thread: Some(thread) })
    }

    /// As they are now.
    pub fn pods(&self) -> Vec<Pod> {
        self.pods.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    pub fn pod(&self, uid: &str) -> Option<Pod> {
        self.pods.lock().unwrap_or_else(PoisonError::into_inner).get(uid).cloned()
    }
}

fn note(pods: &mut Pods, event: &Value) {
    let object = &event["object"];
    if let Some(uid) = object.pointer("/metadata/uid").and_then(Value::as_str) {
        pods.entry(uid.to_owned()).or_default().update(object, event["type"] == "DELETED");
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // One that has ended needs no ending.
        let _gone = self.child.kill();
        let _status = self.child.wait();
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_life_of_a_container_keeps_its_exit() {
        let mut pods = Pods::new();
        let status = |id: &str, state: Value, last: Value| {
            json!({"type": "MODIFIED", "object": {
                "metadata": {"name": "p", "uid": "u"},
                "status": {"podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}], "containerStatuses": [
                    {"name": "app", "ready": true, "containerID": format!("containerd://{id}"), "state": state, "lastState": last},
                ]},
            }})
        };
        note(&mut pods, &status("a", json!({"running": {}}), json!({})));
        assert!(pods["u"].container("app").unwrap().running);
        let ended = json!({"terminated": {"exitCode": 137, "containerID": "containerd://a"}});
        note(&mut pods, &status("b", json!({"running": {}}), ended));
        let pod = &pods["u"];
        assert_eq!((pod.exit_code("a"), pod.exit_code("b")), (Some(137), None));
        assert_eq!(pod.container("app").unwrap().id, "b");
        assert_eq!(pod.addresses, ["10.0.0.1", "fd00::1"].map(|it| it.parse::<IpAddr>().unwrap()));
        assert!(pod.announced.is_none());
    }
}
