//! Containers that share a pod, and processes that share a container.

use super::Case;
use super::pods::SIDE_PORT;
use crate::manifest::{Kind, PORT, Workload};
use crate::stage::{Ending, Stage, Work};
use anyhow::Result;
use serde_json::json;
use shutdown_probe_common::fate::Fate;
use zoo::expect::{Cause, Disposition, Expected};

pub const CASES: &[Case] = &[
    Case::new("two-services", "two containers of a pod: one drains, the other severs", two_services),
    Case::new("one-port", "two containers of a pod listen on the same port", one_port),
    Case::new("shared-processes", "a shared PID namespace: nobody is PID 1, SIGTERM kills", shared_processes),
    Case::new("trap", "a shell that traps SIGTERM and exits: its child is killed with it", trap),
    Case::new("exec", "somebody is logged in (kubectl exec) while the pod ends", exec),
    Case::new("debug", "a pod with an ephemeral container (kubectl debug) ends", debug),
    Case::new("udp", "a pod that serves UDP alone", |stage| silent(stage, &["node", "-e", UDP])),
    Case::new("no-sockets", "a pod without any socket", |stage| silent(stage, &["sleep", "600"])),
];

const UDP: &str = "require('dgram').createSocket('udp4').bind(8080)";

fn three_lost(found: Expected) -> Expected {
    found.signal(Disposition::Handled).severed(Fate::UnansweredRequest, 3)
}

fn two_services(stage: &mut Stage<'_>) -> Result<()> {
    let other = ["node", "/zoo/server.js", "exit"];
    let app =
        stage.deploy_one(&Workload::node(Kind::Deployment, "drain").beside("other", &other, SIDE_PORT))?;
    let other = stage.other_container(app, "other")?;
    stage.wait_for_line(other, "listening")?;
    let gate = stage.gate();
    stage.in_flight(app, 3, &gate)?;
    stage.in_flight(other, 3, &Work::Endless)?;
    stage.begin_end(&[other]);
    stage.delete(app, &[])?;
    stage.wait_for_line(app, "closed")?;
    stage.open_gate(app, &gate)?;
    stage.await_end(app)?;
    stage.await_end(other)?;
    let drains = Ending::exits("pod_deleted", Cause::Clean);
    stage.expect(app, drains.finding(|found| found.signal(Disposition::Handled).drained(3)));
    stage.expect(other, Ending::exits("pod_deleted", Cause::ExitedWithoutDrain).finding(three_lost));
    Ok(())
}

/// nginx that shares its port with another, and says so when it is asked.
fn nginx(name: &str) -> Vec<String> {
    let config = format!(
        "daemon off; user root; worker_processes 1; error_log stderr notice; pid /tmp/nginx.pid; \
         events {{ worker_connections 64; }} \
         http {{ access_log off; client_body_temp_path /tmp/b; proxy_temp_path /tmp/p; fastcgi_temp_path /tmp/f; \
         uwsgi_temp_path /tmp/u; scgi_temp_path /tmp/s; keepalive_timeout 60s; \
         server {{ listen {PORT} reuseport; location / {{ return 200 {name}; }} }} }}"
    );
    let line =
        format!("echo '{config}' > /tmp/nginx.conf; echo listening; exec nginx -e stderr -c /tmp/nginx.conf");
    vec!["sh".into(), "-c".into(), line]
}

fn one_port(stage: &mut Stage<'_>) -> Result<()> {
    let commands = [nginx("app"), nginx("other")];
    let [first, second] =
        commands.each_ref().map(|command| command.iter().map(String::as_str).collect::<Vec<_>>());
    let app =
        stage.deploy_one(&Workload::command(Kind::Deployment, &first).beside("other", &second, SIDE_PORT))?;
    let other = stage.other_container(app, "other")?;
    stage.wait_until_served(app)?;
    // The kernel spreads them over both: whose client each is, only the kernel knows.
    stage.idle(app, 8)?;
    stage.begin_end(&[other]);
    stage.delete(app, &[])?;
    stage.await_end(app)?;
    stage.await_end(other)?;
    for container in [app, other] {
        let find = |found: Expected| found.signal(Disposition::Handled);
        stage.expect(container, Ending::exits("pod_deleted", Cause::Clean).finding(find));
    }
    Ok(())
}

fn shared_processes(stage: &mut Stage<'_>) -> Result<()> {
    let workload = Workload::node(Kind::Deployment, "none").with("/shareProcessNamespace", json!(true));
    let web = stage.deploy_one(&workload)?;
    stage.idle(web, 2)?;
    stage.in_flight(web, 3, &Work::Endless)?;
    stage.delete(web, &[])?;
    stage.await_end(web)?;
    stage.expect(
        web,
        Ending::by_signal("pod_deleted", Cause::StopSignalKilledProcess, 15)
            .finding(|found| found.severed(Fate::UnansweredRequest, 3)),
    );
    Ok(())
}

fn trap(stage: &mut Stage<'_>) -> Result<()> {
    let line = "trap 'exit 0' TERM; node /zoo/server.js drain & wait";
    let web = stage.deploy_one(&Workload::command(Kind::Deployment, &["sh", "-c", line]))?;
    stage.in_flight(web, 3, &Work::Endless)?;
    stage.delete(web, &[])?;
    stage.await_end(web)?;
    let ending = Ending::exits("pod_deleted", Cause::StopSignalNotForwarded).with_rest_killed();
    stage.expect(web, ending.finding(three_lost));
    Ok(())
}

fn exec(stage: &mut Stage<'_>) -> Result<()> {
    let web = stage.deploy_one(&Workload::node(Kind::Deployment, "exit"))?;
    stage.in_flight(web, 3, &Work::Endless)?;
    let session = stage.log_in(web, &["sleep", "600"])?;
    stage.delete(web, &[])?;
    stage.await_end(web)?;
    drop(session);
    let ending = Ending::exits("pod_deleted", Cause::ExitedWithoutDrain).with_rest_killed();
    stage.expect(web, ending.finding(three_lost));
    Ok(())
}

fn debug(stage: &mut Stage<'_>) -> Result<()> {
    let web = stage.deploy_one(&Workload::node(Kind::Deployment, "exit"))?;
    stage.in_flight(web, 3, &Work::Endless)?;
    stage.attach_debugger(web, "debugger", &["sleep", "600"])?;
    stage.delete(web, &["--grace-period=3"])?;
    stage.await_end(web)?;
    stage.expect(web, Ending::exits("pod_deleted", Cause::ExitedWithoutDrain).finding(three_lost));
    Ok(())
}

/// Nobody's client can lose anything: only the end itself is told.
fn silent(stage: &mut Stage<'_>, command: &[&str]) -> Result<()> {
    let workload = Workload::command(Kind::Deployment, command).grace(2);
    let quiet = stage.deploy_saying(&workload, None)?;
    for pod in &quiet {
        stage.delete(*pod, &[])?;
        stage.await_end(*pod)?;
        stage.expect(
            *pod,
            // Whoever never listens was never ready, either.
            Ending::stays("pod_deleted", Cause::IgnoredStopSignal)
                .finding(|found| found.signal(Disposition::Ignored).or(Cause::SignalBeforeReady)),
        );
    }
    Ok(())
}
