//! The workloads of the cases, as one would write them in YAML.

use serde_json::{Map, Value, json};

/// The image with the servers: `cargo xtask image --services`.
pub const IMAGE: &str = "localhost/shutdown-probe-services:dev";
/// nginx, as its makers' image asks to be stopped: by SIGQUIT.
pub const NGINX_IMAGE: &str = "localhost/shutdown-probe-nginx:dev";
/// Where servers listen.
pub const PORT: u16 = 18_080;
/// Where Services are reached.
pub const SERVICE_PORT: u16 = 80;
/// How Argo numbers revisions.
pub const ROLLOUT_REVISION: &str = "rollout.argoproj.io/revision";
/// The container that clients talk to.
pub const APP: &str = "app";

/// What makes pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Deployment,
    ReplicaSet,
    StatefulSet,
    DaemonSet,
    Job,
    CronJob,
    /// Of Argo.
    Rollout,
    Pod,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::ReplicaSet => "ReplicaSet",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::Job => "Job",
            Self::CronJob => "CronJob",
            Self::Rollout => "Rollout",
            Self::Pod => "Pod",
        }
    }

    fn api_version(self) -> &'static str {
        match self {
            Self::Deployment | Self::ReplicaSet | Self::StatefulSet | Self::DaemonSet => "apps/v1",
            Self::Job | Self::CronJob => "batch/v1",
            Self::Rollout => "argoproj.io/v1alpha1",
            Self::Pod => "v1",
        }
    }
}

/// One workload: `kind/name`, and the pods that it wants.
#[derive(Clone, Debug)]
pub struct Workload {
    pub kind: Kind,
    pub name: &'static str,
    pub replicas: usize,
    pod: Value,
    /// Fields of the owner's own specification.
    owner: Map<String, Value>,
}

impl Workload {
    /// The story's Node service in one of its styles, as it is: PID 1 of its container, 30 s of grace.
    pub fn node(kind: Kind, style: &str) -> Self {
        Self::command(kind, &["node", "/zoo/server.js", style])
    }

    /// The same service, which also ends by itself, in this way, as soon as the gate `end` is open.
    pub fn node_that_ends(kind: Kind, how: &str) -> Self {
        let script = format!(
            "setInterval(() => {{ if (require('fs').existsSync('/gates/end')) {{ {how} }} }}, 10); \
             require('/zoo/server.js')"
        );
        Self::command(kind, &["node", "-e", &script, "server", "none"])
    }

    /// The same service, which keeps idle connections for longer than a daemon takes to be replaced.
    pub fn patient_node(kind: Kind, style: &str) -> Self {
        let script = "const http = require('http'), create = http.createServer; \
                      http.createServer = (answer) => Object.assign(create(answer), { keepAliveTimeout: 300000 }); \
                      require('/zoo/server.js')";
        Self::command(kind, &["node", "-e", script, "server", style])
    }

    /// This command, which listens on [`PORT`].
    pub fn command(kind: Kind, command: &[&str]) -> Self {
        let pod = json!({
            "terminationGracePeriodSeconds": 30,
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "containers": [container(APP, command, PORT)],
        });
        Self { kind, name: "web", replicas: 1, pod, owner: Map::new() }
    }

    /// Under another name than `web`.
    pub fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    pub fn replicas(self, replicas: usize) -> Self {
        Self { replicas, ..self }
    }

    /// Listens to clients of IPv6, too.
    pub fn dual_stack(self) -> Self {
        self.with("/containers/0/env/1/value", json!("::"))
    }

    /// So many seconds from deletion to SIGKILL.
    pub fn grace(self, seconds: u32) -> Self {
        self.with("/terminationGracePeriodSeconds", json!(seconds))
    }

    /// Sets a field of the pod's specification, a JSON pointer into what is there already.
    pub fn with(mut self, pointer: &str, value: Value) -> Self {
        let (parent, field) = pointer.rsplit_once('/').unwrap_or(("", pointer));
        if let Some(parent) = self.pod.pointer_mut(parent) {
            parent[field] = value;
        }
        self
    }

    /// Sets a field of the container that clients talk to.
    pub fn with_app(self, field: &str, value: Value) -> Self {
        self.with(&format!("/containers/0/{field}"), value)
    }

    /// Sets a field of the owner's specification.
    pub fn with_owner(mut self, field: &str, value: Value) -> Self {
        self.owner.insert(field.to_owned(), value);
        self
    }

    /// Adds a container.
    pub fn beside(mut self, name: &str, command: &[&str], port: u16) -> Self {
        if let Some(containers) = self.pod["containers"].as_array_mut() {
            containers.push(container(name, command, port));
        }
        self
    }

    /// Adds a native sidecar: an init container that is restarted, and ends after the others.
    pub fn native_sidecar(mut self, name: &str, command: &[&str], port: u16) -> Self {
        let mut sidecar = container(name, command, port);
        sidecar["restartPolicy"] = json!("Always");
        self.pod["initContainers"] = json!([sidecar]);
        self
    }

    /// The ReplicaSet that the controller of a Rollout makes for the revision of this number.
    pub fn replica_set(&self, owner_uid: &str, revision: &str) -> Value {
        let labels = json!({"app": self.name, "rollouts-pod-template-hash": "5d4f"});
        let owner = json!({
            "apiVersion": self.kind.api_version(), "kind": self.kind.as_str(), "name": self.name,
            "uid": owner_uid, "controller": true,
        });
        let template = json!({"metadata": {"labels": labels}, "spec": self.pod});
        json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {
                "name": format!("{}-5d4f", self.name), "labels": labels, "ownerReferences": [owner],
                "annotations": {ROLLOUT_REVISION: revision},
            },
            "spec": {"replicas": self.replicas, "selector": {"matchLabels": labels}, "template": template},
        })
    }

    /// The object.
    pub fn object(&self) -> Value {
        let labels = json!({"app": self.name});
        let mut object = json!({
            "apiVersion": self.kind.api_version(), "kind": self.kind.as_str(),
            "metadata": {"name": self.name, "labels": labels},
        });
        let template = json!({"metadata": {"labels": labels}, "spec": self.pod});
        let selector = json!({"matchLabels": labels});
        object["spec"] = match self.kind {
            Kind::Pod => self.pod.clone(),
            Kind::Job => json!({"backoffLimit": 0, "completions": self.replicas, "template": template}),
            Kind::CronJob => json!({
                "schedule": "0 0 1 1 *", "suspend": true,
                "jobTemplate": {"spec": {"backoffLimit": 0, "template": template}},
            }),
            Kind::DaemonSet => json!({"selector": selector, "template": template}),
            Kind::StatefulSet => {
                json!({"replicas": self.replicas, "selector": selector, "serviceName": self.name, "template": template})
            }
            Kind::Deployment | Kind::ReplicaSet | Kind::Rollout => {
                json!({"replicas": self.replicas, "selector": selector, "template": template})
            }
        };
        for (field, value) in &self.owner {
            object["spec"][field] = value.clone();
        }
        object
    }
}

fn container(name: &str, command: &[&str], port: u16) -> Value {
    json!({
        "name": name, "image": IMAGE, "imagePullPolicy": "Never", "command": command,
        "env": [
            {"name": "PORT", "value": port.to_string()},
            {"name": "ADDRESS", "value": "0.0.0.0"},
            {"name": "GATES", "value": "/gates"},
        ],
        "ports": [{"containerPort": port}],
    })
}

/// A Service in front of a workload, in every family that the cluster has.
pub fn service(name: &str) -> Value {
    let ports = json!([{"port": SERVICE_PORT, "targetPort": PORT}]);
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ipFamilyPolicy": "PreferDualStack", "ports": ports},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_set_in_the_pod_of_whatever_kind() {
        let web = Workload::node(Kind::Deployment, "exit").replicas(2).grace(5).with_app("tty", json!(true));
        let object = web.object();
        let pod = object.pointer("/spec/template/spec").unwrap();
        assert_eq!(pod["terminationGracePeriodSeconds"], 5);
        assert_eq!(pod["containers"][0]["tty"], true);
        assert_eq!(object["spec"]["replicas"], 2);
        assert_eq!(Workload::node(Kind::Pod, "exit").object()["spec"]["containers"][0]["name"], APP);
    }
}
