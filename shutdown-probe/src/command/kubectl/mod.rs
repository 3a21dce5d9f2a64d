//! `kubectl`: what the daemons of a cluster saw, asked through the API server's proxy to their pods.

mod rollout;
mod subject;

pub use subject::Subject;

use super::api::Terminations;
use super::{print, print_json};
use crate::cli::{KubectlArgs, KubectlCommand, KubectlReportArgs};
use crate::exit::{Exit, Failure, OrExit};
use crate::kube::access::reason;
use crate::output::console::escape::escape;
use crate::output::console::{Paint, list, patiently, story};
use axum::http::Request;
use futures_util::{StreamExt, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, ResourceExt};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use shutdown_probe_core::report::Termination;
use shutdown_probe_core::trigger::Trigger;
use std::io::Write;
use std::time::Duration;

/// How many daemons are asked at a time.
const AT_A_TIME: usize = 16;
/// What stands for the last rollout: no revision is called so.
pub const LAST: &str = "last";
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// What was found.
struct Found {
    subject: Subject,
    /// Where it was looked for; nothing: everywhere.
    namespace: Option<String>,
    answer: Terminations,
}

/// Asks the daemons, and prints what they say.
pub fn run(args: &KubectlArgs, out: &mut impl Write) -> Result<Exit, Failure> {
    let KubectlCommand::Report(args) = &args.command;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .or_exit(Exit::Internal, || "cannot start the runtime")?;
    let found = patiently("waiting for the daemons", || runtime.block_on(ask(args)))?;
    let Found { subject, namespace, answer } = found;
    let paint = Paint::stdout();
    let terminations = answer.terminations.as_slice();
    if args.json {
        print_json(out, &answer)?;
        return Ok(Exit::Success);
    }
    if args.rollout.is_some() && !terminations.is_empty() {
        print(out, &rollout::summary(terminations))?;
    }
    match terminations {
        [] => eprintln!("{}", nothing(&subject, namespace.as_deref())),
        [one] => print(out, &story(one, paint))?,
        several => print(out, &list(several, paint))?,
    }
    Ok(Exit::Success)
}

/// As kubectl says it.
fn nothing(subject: &Subject, namespace: Option<&str>) -> String {
    let place = match (subject, namespace) {
        (Subject::Node(_), _) | (_, None) => String::new(),
        (_, Some(namespace)) => format!(" in namespace {namespace}"),
    };
    let text = format!("The daemons know of no termination of {subject}{place}.");
    escape(&text).to_string()
}

async fn ask(args: &KubectlReportArgs) -> Result<Found, Failure> {
    let subject = args.subject.clone().unwrap_or(Subject::All);
    if args.rollout.is_some() && !matches!(subject, Subject::Workload(..)) {
        let message = "--rollout is of a workload: name one, such as deployment/web";
        return Err(Failure::new(Exit::Usage, message));
    }
    let config = configuration(args).await?;
    let namespace = args.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let client = Client::try_from(config).or_exit(Exit::Unavailable, || "cannot reach a cluster")?;
    let daemons = daemons(&client, args, node(&client, &namespace, &subject).await?).await?;
    let namespace = (!args.all_namespaces).then_some(namespace);
    let path = query(args, &subject, namespace.as_deref());
    let answers = stream::iter(daemons).map(|pod| one(&client, args, pod, &path)).buffer_unordered(AT_A_TIME);
    let answers: Vec<_> = answers.collect().await;
    if answers.iter().all(Result::is_err) {
        return Err(answers.into_iter().find_map(Result::err).unwrap_or_else(|| no_daemon(None)));
    }
    let mut terminations: Vec<Termination> = Vec::new();
    for answer in answers {
        match answer {
            Ok(found) => terminations.extend(found.terminations),
            Err(failure) => eprintln!("shutdown-probe: {failure}"),
        }
    }
    choose(args, &subject, &mut terminations);
    Ok(Found { subject, namespace, answer: Terminations { terminations } })
}

/// The newest first, and those alone that were asked for.
fn choose(args: &KubectlReportArgs, subject: &Subject, terminations: &mut Vec<Termination>) {
    if let Subject::Workload(kind, _) = subject {
        let is_meant =
            |found: &Termination| found.container.workload.as_ref().is_some_and(|it| kind.is(&it.kind));
        terminations.retain(is_meant);
    }
    terminations.sort_by(|a, b| b.began_at.total_cmp(&a.began_at));
    if args.rollout.as_deref() == Some(LAST) {
        rollout::keep_last(terminations);
    }
    terminations.truncate(args.limit.into());
}

async fn configuration(args: &KubectlReportArgs) -> Result<Config, Failure> {
    let options = KubeConfigOptions { context: args.context.clone(), ..KubeConfigOptions::default() };
    match &args.kubeconfig {
        None => Config::from_kubeconfig(&options).await,
        Some(path) => {
            let file = Kubeconfig::read_from(path).or_exit(Exit::Usage, || format!("{}", path.display()))?;
            Config::from_custom_kubeconfig(file, &options).await
        }
    }
    .or_exit(Exit::Usage, || "cannot read the kubeconfig")
}

/// The node to ask, where one is known: that of a pod that is still there, too.
async fn node(client: &Client, namespace: &str, subject: &Subject) -> Result<Option<String>, Failure> {
    match subject {
        Subject::Node(name) => Ok(Some(name.clone())),
        Subject::Pod(name) => {
            let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
            let pod = pods.get_opt(name).await.map_err(refused)?;
            Ok(pod.and_then(|pod| pod.spec?.node_name))
        }
        Subject::Workload(..) | Subject::All => Ok(None),
    }
}

/// The names of the daemons' pods, on this node or on all.
async fn daemons(
    client: &Client,
    args: &KubectlReportArgs,
    node: Option<String>,
) -> Result<Vec<String>, Failure> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), &args.daemon_namespace);
    let mut wanted = ListParams::default().labels(&args.daemon_selector);
    if let Some(node) = &node {
        wanted = wanted.fields(&format!("spec.nodeName={node}"));
    }
    let found = pods.list(&wanted).await.map_err(refused)?;
    let runs = |pod: &Pod| pod.status.as_ref().and_then(|it| it.phase.as_deref()) == Some("Running");
    let names: Vec<_> = found.items.iter().filter(|pod| runs(pod)).map(ResourceExt::name_any).collect();
    if names.is_empty() { Err(no_daemon(node.as_deref())) } else { Ok(names) }
}

fn no_daemon(node: Option<&str>) -> Failure {
    let place = node.map_or_else(|| "in the cluster".to_owned(), |node| format!("on node {node:?}"));
    let message = format!(
        "no daemon runs {place}; see `kubectl get pods -A -l app.kubernetes.io/name=shutdown-probe -o wide`, \
         --daemon-namespace and --daemon-selector"
    );
    Failure::new(Exit::Unavailable, message)
}

fn refused(error: kube::Error) -> Failure {
    Failure::new(Exit::Unavailable, reason(&error))
}

fn through_proxy(error: kube::Error, namespace: &str) -> Failure {
    let is_forbidden = matches!(&error, kube::Error::Api(status) if status.code == 403);
    let hint =
        if is_forbidden { format!("; ask for `get` on pods/proxy in {namespace}") } else { String::new() };
    Failure::new(Exit::Unavailable, format!("{}{hint}", reason(&error)))
}

/// What a daemon is asked.
fn query(args: &KubectlReportArgs, subject: &Subject, namespace: Option<&str>) -> String {
    let encoded = |value: &str| utf8_percent_encode(value, NON_ALPHANUMERIC).to_string();
    let mut path = format!("api/v1/terminations?limit={}", args.limit);
    let mut add = |name: &str, value: &str| path.push_str(&format!("&{name}={}", encoded(value)));
    match subject {
        Subject::Pod(name) => add("pod", name),
        Subject::Workload(_, name) => add("workload", name),
        Subject::Node(_) | Subject::All => {}
    }
    // A node has pods of every namespace.
    if let Some(namespace) = namespace.filter(|_| !matches!(subject, Subject::Node(_))) {
        add("namespace", namespace);
    }
    if let Some(since) = &args.since {
        add("since", since);
    }
    if let Some(revision) = &args.rollout {
        add("trigger", Trigger::Rollout.as_str());
        if revision != LAST {
            add("revision", revision);
        }
    }
    path
}

async fn one(
    client: &Client,
    args: &KubectlReportArgs,
    pod: String,
    path: &str,
) -> Result<Terminations, Failure> {
    let (namespace, port) = (&args.daemon_namespace, args.daemon_port);
    let url = format!("/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy/{path}");
    let request =
        Request::get(url).body(Vec::new()).or_exit(Exit::Usage, || "no request can be made of this")?;
    let answer = tokio::time::timeout(PATIENCE, client.request_text(request)).await;
    let silent = |_| Failure::new(Exit::Unavailable, format!("{pod} does not answer"));
    let text = answer.map_err(silent)?.map_err(|error| through_proxy(error, namespace))?;
    serde_json::from_str(&text)
        .or_exit(Exit::Unavailable, || format!("{pod} is no shutdown-probe of this version"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use crate::output::sample;
    use clap::Parser;
    use shutdown_probe_core::report::{Container, Workload};

    fn arguments(line: &str) -> KubectlReportArgs {
        let cli = Cli::try_parse_from(line.split(' ')).expect("a sound command line");
        let Command::Kubectl(KubectlArgs { command: KubectlCommand::Report(args) }) = cli.command else {
            panic!("another command")
        };
        args
    }

    #[test]
    fn the_question_has_what_was_asked() {
        let args = arguments("shutdown-probe kubectl report deploy/web&x -n shop --since 1h --limit 7");
        let subject = args.subject.clone().expect("a subject");
        let path = query(&args, &subject, args.namespace.as_deref());
        assert_eq!(path, "api/v1/terminations?limit=7&workload=web%26x&namespace=shop&since=1h");
        let args = arguments("shutdown-probe kubectl report deploy/web -n shop --rollout=3");
        let subject = args.subject.clone().expect("a subject");
        let path = query(&args, &subject, args.namespace.as_deref());
        assert_eq!(
            path,
            "api/v1/terminations?limit=100&workload=web&namespace=shop&trigger=rollout&revision=3"
        );
        let args = arguments("shutdown-probe kubectl report node/node-a --since 1h --limit 7");
        let node = Subject::Node("node-a".into());
        assert_eq!(query(&args, &node, Some("shop")), "api/v1/terminations?limit=7&since=1h");
    }

    #[test]
    fn a_namesake_of_another_kind_is_not_meant() {
        let of = |kind: &str| Termination {
            container: Container {
                workload: Some(Workload { kind: kind.into(), name: "web".into(), revision: None }),
                ..Container::default()
            },
            ..sample::termination()
        };
        let mut terminations = vec![of("StatefulSet"), of("Deployment"), sample::termination()];
        let args = arguments("shutdown-probe kubectl report sts/web");
        choose(&args, &args.subject.clone().expect("a subject"), &mut terminations);
        assert_eq!(terminations, [of("StatefulSet")]);
    }

    #[test]
    fn nothing_is_said_in_a_sentence() {
        let web = "deploy/web".parse().expect("a subject");
        assert_eq!(
            nothing(&web, Some("shop")),
            "The daemons know of no termination of Deployment web in namespace shop."
        );
        assert_eq!(nothing(&Subject::All, None), "The daemons know of no termination of anything.");
    }
}
