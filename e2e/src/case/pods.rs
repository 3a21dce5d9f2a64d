//! Pods of every build: sidecars, wrappers, hooks, the node's network.

use super::{Case, careless};
use crate::manifest::{Kind, NGINX_IMAGE, PORT, Workload};
use crate::stage::{Ending, LifeId, Stage, Work};
use anyhow::Result;
use serde_json::json;
use shutdown_probe_common::fate::Fate;
use zoo::client::Target;
use zoo::expect::{Cause, Disposition, Expected};

pub const CASES: &[Case] = &[
    Case::new(
        "proxy-sidecar",
        "nginx beside the service stops fast, and cuts what the service would finish",
        sidecar,
    ),
    Case::new("stop-signal", "an image that asks for SIGQUIT: nginx finishes what it has begun", stop_signal),
    Case::new("native-sidecar", "nginx as a native sidecar ends after the service", native_sidecar),
    Case::new("shell", "sh -c as PID 1 keeps the signal to itself", shell),
    Case::new("pre-stop-exec", "a preStop command, then a drain", pre_stop_exec),
    Case::new("host-network", "a pod on the node's network", host_network),
    Case::new("host-port", "clients that come by a port of the node", host_port),
    Case::new("same-address", "a pod comes to the address and port of one that has just ended", same_address)
        .alone(),
    Case::new("bare-pod", "a pod of nobody's", bare_pod),
];

/// The port of a second container.
pub const SIDE_PORT: u16 = PORT + 1;

/// A port of the node.
const HOST_PORT: u16 = 18_080;

/// nginx in front of the service. `exec`, so that it gets the signals.
fn nginx() -> Vec<String> {
    let config = format!(
        "daemon off; user root; worker_processes 1; error_log stderr notice; pid /tmp/nginx.pid; \
         events {{ worker_connections 256; }} \
         http {{ access_log off; client_body_temp_path /tmp/b; proxy_temp_path /tmp/p; fastcgi_temp_path /tmp/f; \
         uwsgi_temp_path /tmp/u; scgi_temp_path /tmp/s; keepalive_timeout 60s; \
         server {{ listen {SIDE_PORT}; location = / {{ return 200 ok; }} \
         location / {{ proxy_pass http://127.0.0.1:{PORT}; proxy_set_header X-Client-Port $remote_port; }} }} }}"
    );
    let line =
        format!("echo '{config}' > /tmp/nginx.conf; echo listening; exec nginx -e stderr -c /tmp/nginx.conf");
    vec!["sh".into(), "-c".into(), line]
}

fn deploy_with_nginx(stage: &mut Stage<'_>, native: bool) -> Result<(LifeId, LifeId)> {
    let command = nginx();
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    let workload = Workload::node(Kind::Deployment, "drain");
    let workload = if native {
        workload.native_sidecar("proxy", &command, SIDE_PORT)
    } else {
        workload.beside("proxy", &command, SIDE_PORT)
    };
    let app = stage.deploy_one(&workload)?;
    let proxy = stage.other_container(app, "proxy")?;
    // Its own word comes before it listens: the first answer proves it.
    stage.wait_until_served(proxy)?;
    Ok((app, proxy))
}

fn sidecar(stage: &mut Stage<'_>) -> Result<()> {
    let (app, proxy) = deploy_with_nginx(stage, false)?;
    stage.idle(proxy, 2)?;
    stage.in_flight(proxy, 3, &Work::Endless)?;
    stage.begin_end(&[proxy]);
    stage.delete(app, &[])?;
    stage.await_end(proxy)?;
    stage.await_end(app)?;
    let find = |found: Expected| found.signal(Disposition::Handled).severed(Fate::UnansweredRequest, 3);
    stage.expect(proxy, Ending::exits("pod_deleted", Cause::ExitedWithoutDrain).finding(find));
    // Whom it served has gone: the service itself has lost nobody.
    stage.expect(
        app,
        Ending::exits("pod_deleted", Cause::Clean).finding(|found| found.signal(Disposition::Handled)),
    );
    Ok(())
}

/// The service stays until it is killed; what its proxy owes, it answers meanwhile.
fn stop_signal(stage: &mut Stage<'_>) -> Result<()> {
    let command = nginx();
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    let workload = Workload::node(Kind::Deployment, "none").grace(6).beside("proxy", &command, SIDE_PORT);
    let app = stage.deploy_one(&workload.with("/containers/1/image", json!(NGINX_IMAGE)))?;
    let proxy = stage.other_container(app, "proxy")?;
    stage.wait_until_served(proxy)?;
    let gate = stage.gate();
    let clients = stage.in_flight(proxy, 3, &gate)?;
    stage.begin_end(&[proxy]);
    stage.delete(app, &[])?;
    stage.wait_for_line(proxy, "gracefully shutting down")?;
    stage.open_gate(app, &gate)?;
    stage.wait_until_answered(&clients)?;
    stage.await_end(proxy)?;
    stage.await_end(app)?;
    let find = |found: Expected| found.signal(Disposition::Handled).drained(3);
    let drains = Ending::exits("pod_deleted", Cause::Clean).asked_by("SIGQUIT");
    stage.expect(proxy, drains.finding(find));
    let stays = Ending::stays("pod_deleted", Cause::IgnoredStopSignal).serving_within(3);
    stage.expect(app, stays.finding(|found| found.signal(Disposition::Ignored)));
    Ok(())
}

fn native_sidecar(stage: &mut Stage<'_>) -> Result<()> {
    let (app, proxy) = deploy_with_nginx(stage, true)?;
    let gate = stage.gate();
    let clients = stage.in_flight(proxy, 3, &gate)?;
    stage.begin_end(&[proxy]);
    stage.delete(app, &[])?;
    stage.wait_for_line(app, "closed")?;
    stage.open_gate(app, &gate)?;
    stage.wait_until_answered(&clients)?;
    stage.await_end(app)?;
    stage.await_end(proxy)?;
    // Three answers, all of them to the proxy.
    let find = |found: Expected| found.signal(Disposition::Handled);
    stage.expect(app, Ending::exits("pod_deleted", Cause::Clean).serving_within(3).finding(find));
    stage.expect(proxy, Ending::exits("pod_deleted", Cause::Clean).finding(find));
    Ok(())
}

fn shell(stage: &mut Stage<'_>) -> Result<()> {
    let command = ["sh", "-c", "node /zoo/server.js drain; true"];
    let web = stage.deploy_one(&Workload::command(Kind::Deployment, &command).grace(4))?;
    stage.idle(web, 1)?;
    stage.in_flight(web, 3, &Work::Endless)?;
    stage.delete(web, &[])?;
    stage.await_end(web)?;
    let find = |found: Expected| found.signal(Disposition::Ignored).severed(Fate::UnansweredRequest, 3);
    stage.expect(web, Ending::stays("pod_deleted", Cause::StopSignalNotForwarded).finding(find));
    Ok(())
}

fn drains(stage: &mut Stage<'_>, web: LifeId) -> Result<()> {
    let way = stage.target(web)?;
    drains_by(stage, web, &way)
}

/// Two idle clients, and three that get their answers while the pod is going.
pub fn drains_by(stage: &mut Stage<'_>, web: LifeId, way: &Target) -> Result<()> {
    let gate = stage.gate();
    stage.idle_by(web, way, 2)?;
    stage.in_flight_by(web, way, 3, &gate)?;
    stage.delete(web, &[])?;
    stage.wait_for_line(web, "closed")?;
    stage.open_gate(web, &gate)?;
    stage.await_end(web)?;
    let find = |found: Expected| found.signal(Disposition::Handled).drained(3);
    stage.expect(web, Ending::exits("pod_deleted", Cause::Clean).finding(find));
    Ok(())
}

fn pre_stop_exec(stage: &mut Stage<'_>) -> Result<()> {
    let hook = json!({"preStop": {"exec": {"command": ["sleep", "2"]}}});
    let web = stage.deploy_one(&Workload::node(Kind::Deployment, "drain").with_app("lifecycle", hook))?;
    drains(stage, web)
}

fn host_network(stage: &mut Stage<'_>) -> Result<()> {
    let workload = Workload::node(Kind::Deployment, "drain").with("/hostNetwork", json!(true));
    let web = stage.deploy_one(&workload)?;
    drains(stage, web)
}

fn host_port(stage: &mut Stage<'_>) -> Result<()> {
    let port = json!([{"containerPort": PORT, "hostPort": HOST_PORT}]);
    let web = stage.deploy_one(&Workload::node(Kind::Deployment, "exit").with_app("ports", port))?;
    let way = stage.host_target(web, HOST_PORT)?;
    stage.in_flight_by(web, &way, 3, &Work::Endless)?;
    stage.delete(web, &[])?;
    careless::exits(stage, web, "pod_deleted")
}

/// While clients of the first are waited for still, those of the second come to the same place.
fn same_address(stage: &mut Stage<'_>) -> Result<()> {
    let scaled_down = |stage: &mut Stage<'_>, name| -> Result<LifeId> {
        let workload = Workload::node(Kind::Deployment, "exit").named(name).with("/hostNetwork", json!(true));
        let web = stage.deploy_one(&workload)?;
        careless::audience(stage, web)?;
        let deployment = format!("deployment/{name}");
        stage.end_by(&[web], &["scale", &deployment, "--replicas=0"])?;
        Ok(web)
    };
    for name in ["first", "second"] {
        let web = scaled_down(stage, name)?;
        careless::exits(stage, web, "scaled_down")?;
    }
    Ok(())
}

fn bare_pod(stage: &mut Stage<'_>) -> Result<()> {
    let web = stage.deploy_one(&Workload::node(Kind::Pod, "drain"))?;
    drains(stage, web)
}
