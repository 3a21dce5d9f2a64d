//! Keys and certificates: who may speak to whom in the cluster, for a month.

use super::layout::{API_SERVICE, Layout, NODE, NODE_ADDRESS, api};
use crate::command;
use anyhow::{Context as _, Result};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

const DAYS: &str = "30";

/// The holder of a certificate: what RBAC knows him by.
struct Holder {
    file: &'static str,
    name: &'static str,
    organisation: &'static str,
    /// Has a kubeconfig, of this name in the directory of configurations.
    kubeconfig: Option<&'static str>,
}

/// Names and organisations are those that Kubernetes grants its own parts their rights by.
const HOLDERS: [Holder; 6] = [
    Holder {
        file: "apiserver-to-kubelet",
        name: "kube-apiserver-kubelet-client",
        organisation: "system:masters",
        kubeconfig: None,
    },
    Holder {
        file: "controller-manager",
        name: "system:kube-controller-manager",
        organisation: "kubernetes",
        kubeconfig: Some("controller-manager.kubeconfig"),
    },
    Holder {
        file: "scheduler",
        name: "system:kube-scheduler",
        organisation: "kubernetes",
        kubeconfig: Some("scheduler.kubeconfig"),
    },
    Holder {
        file: "proxy",
        name: "system:kube-proxy",
        organisation: "kubernetes",
        kubeconfig: Some("proxy.kubeconfig"),
    },
    Holder {
        file: "kubelet",
        name: "system:node:",
        organisation: "system:nodes",
        kubeconfig: Some("kubelet.kubeconfig"),
    },
    Holder { file: "admin", name: "admin", organisation: "system:masters", kubeconfig: None },
];

/// Makes all of them, and the kubeconfigs that hold them.
pub fn make(layout: &Layout) -> Result<()> {
    authority(layout)?;
    service_accounts(layout)?;
    let names = format!(
        "IP:{NODE_ADDRESS},IP:{API_SERVICE},IP:127.0.0.1,DNS:kubernetes,DNS:kubernetes.default,\
         DNS:kubernetes.default.svc"
    );
    certificate(layout, "apiserver", "/O=kubernetes/CN=kube-apiserver", Some(&names))?;
    for holder in &HOLDERS {
        let node = if holder.name.ends_with(':') { NODE } else { "" };
        let subject = format!("/O={}/CN={}{node}", holder.organisation, holder.name);
        certificate(layout, holder.file, &subject, None)?;
        if let Some(name) = holder.kubeconfig {
            kubeconfig(layout, &layout.configuration(name), holder.file)?;
        }
    }
    kubeconfig(layout, &layout.kubeconfig(), "admin")
}

fn openssl() -> Command {
    let mut command = Command::new("openssl");
    // It draws its progress on standard error.
    command.stderr(Stdio::null());
    command
}

fn authority(layout: &Layout) -> Result<()> {
    let mut command = openssl();
    request(&mut command, layout, "ca", "/CN=shutdown-probe-cluster");
    command::run(&mut command)
}

fn request(command: &mut Command, layout: &Layout, name: &str, subject: &str) {
    command
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            DAYS,
        ])
        .args(["-subj", subject])
        .arg("-keyout")
        .arg(layout.key(name))
        .arg("-out")
        .arg(layout.certificate(name));
}

fn certificate(layout: &Layout, name: &str, subject: &str, addresses: Option<&str>) -> Result<()> {
    let mut command = openssl();
    request(&mut command, layout, name, subject);
    command.arg("-CA").arg(layout.certificate("ca")).arg("-CAkey").arg(layout.key("ca"));
    command.args(["-addext", "basicConstraints=critical,CA:false"]);
    command.args(["-addext", "extendedKeyUsage=serverAuth,clientAuth"]);
    if let Some(addresses) = addresses {
        command.args(["-addext", &format!("subjectAltName={addresses}")]);
    }
    command::run(&mut command).context("OpenSSL 3 is needed")
}

/// What tokens of service accounts are signed with.
fn service_accounts(layout: &Layout) -> Result<()> {
    let key = layout.key("service-accounts");
    command::run(openssl().args(["ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out"]).arg(&key))?;
    let public = layout.keys().join("service-accounts.pub");
    command::run(openssl().args(["ec", "-pubout", "-in"]).arg(&key).arg("-out").arg(public))
}

/// The certificates are in it, so that it can be copied.
fn kubeconfig(layout: &Layout, path: &Path, holder: &str) -> Result<()> {
    let encoded = |file: &Path| command::read(Command::new("base64").arg("-w0").arg(file));
    let (authority, certificate, key) = (
        encoded(&layout.certificate("ca"))?,
        encoded(&layout.certificate(holder))?,
        encoded(&layout.key(holder))?,
    );
    let server = api();
    let text = format!(
        "\
apiVersion: v1
kind: Config
clusters: [{{name: shutdown-probe, cluster: {{server: \"{server}\", certificate-authority-data: {authority}}}}}]
users: [{{name: {holder}, user: {{client-certificate-data: {certificate}, client-key-data: {key}}}}}]
contexts: [{{name: shutdown-probe, context: {{cluster: shutdown-probe, user: {holder}}}}}]
current-context: shutdown-probe
"
    );
    fs::write(path, text).with_context(|| path.display().to_string())
}
