//! `kubectl`: what the daemons of a cluster saw, asked through the API server's proxy to their pods.

use super::api::Terminations;
use super::{print, print_json};
use crate::cli::{KubectlArgs, KubectlCommand, KubectlReportArgs};
use crate::exit::{Exit, Failure, OrExit};
use crate::kube::access::reason;
use crate::output::console::{Paint, list, patiently, story};
use axum::http::Request;
use futures_util::{StreamExt, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, ResourceExt};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use shutdown_probe_core::report::Termination;
use std::io::Write;
use std::str::FromStr;
use std::time::Duration;

/// How many daemons are asked at a time.
const AT_A_TIME: usize = 16;
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// Whose terminations are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A pod, by name.
    Pod(String),
    /// A workload, by name, whatever its kind.
    Workload(String),
    /// A node, by name.
    Node(String),
    /// Everything.
    All,
}

impl FromStr for Subject {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((kind, name)) = text.split_once('/') else { return Ok(Self::Pod(text.to_owned())) };
        match kind {
            _ if name.is_empty() => Err(format!("{text:?} has no name")),
            "pod" | "pods" | "po" => Ok(Self::Pod(name.to_owned())),
            "node" | "nodes" | "no" => Ok(Self::Node(name.to_owned())),
            _ => Ok(Self::Workload(name.to_owned())),
        }
    }
}

/// Asks the daemons, and prints what they say.
pub fn run(args: &KubectlArgs, out: &mut impl Write) -> Result<Exit, Failure> {
    let KubectlCommand::Report(args) = &args.command;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .or_exit(Exit::Internal, || "cannot start the runtime")?;
    let answer = patiently("waiting for the daemons", || runtime.block_on(ask(args)))?;
    let paint = Paint::stdout();
    match answer.terminations.as_slice() {
        _ if args.json => print_json(out, &answer)?,
        [one] => print(out, &story(one, paint))?,
        several => print(out, &list(several, paint))?,
    }
    Ok(Exit::Success)
}

async fn ask(args: &KubectlReportArgs) -> Result<Terminations, Failure> {
    let config = configuration(args).await?;
    let namespace = args.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let client = Client::try_from(config).or_exit(Exit::Unavailable, || "cannot reach a cluster")?;
    let subject = args.subject.clone().unwrap_or(Subject::All);
    let daemons = daemons(&client, args, node(&client, &namespace, &subject).await?).await?;
    let path = query(args, &subject, (!args.all_namespaces).then_some(namespace.as_str()));
    let answers = stream::iter(daemons).map(|pod| one(&client, args, pod, &path)).buffer_unordered(AT_A_TIME);
    let answers: Vec<_> = answers.collect().await;
    if answers.iter().all(Result::is_err) {
        return Err(answers.into_iter().find_map(Result::err).unwrap_or_else(no_daemon));
    }
    let mut terminations: Vec<Termination> = Vec::new();
    for answer in answers {
        match answer {
            Ok(found) => terminations.extend(found.terminations),
            Err(failure) => eprintln!("shutdown-probe: {failure}"),
        }
    }
    terminations.sort_by(|a, b| b.began_at.total_cmp(&a.began_at));
    terminations.truncate(args.limit.into());
    Ok(Terminations { terminations })
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
        Subject::Workload(_) | Subject::All => Ok(None),
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
    if let Some(node) = node {
        wanted = wanted.fields(&format!("spec.nodeName={node}"));
    }
    let found = pods.list(&wanted).await.map_err(refused)?;
    let runs = |pod: &Pod| pod.status.as_ref().and_then(|it| it.phase.as_deref()) == Some("Running");
    let names: Vec<_> = found.items.iter().filter(|pod| runs(pod)).map(ResourceExt::name_any).collect();
    if names.is_empty() { Err(no_daemon()) } else { Ok(names) }
}

fn no_daemon() -> Failure {
    let message = "no daemon runs there; look at --daemon-namespace and --daemon-selector";
    Failure::new(Exit::Unavailable, message)
}

fn refused(error: kube::Error) -> Failure {
    Failure::new(Exit::Unavailable, reason(&error))
}

/// What a daemon is asked.
fn query(args: &KubectlReportArgs, subject: &Subject, namespace: Option<&str>) -> String {
    let encoded = |value: &str| utf8_percent_encode(value, NON_ALPHANUMERIC).to_string();
    let mut path = format!("api/v1/terminations?limit={}", args.limit);
    let mut add = |name: &str, value: &str| path.push_str(&format!("&{name}={}", encoded(value)));
    match subject {
        Subject::Pod(name) => add("pod", name),
        Subject::Workload(name) => add("workload", name),
        Subject::Node(_) | Subject::All => {}
    }
    // A node has pods of every namespace.
    if let Some(namespace) = namespace.filter(|_| !matches!(subject, Subject::Node(_))) {
        add("namespace", namespace);
    }
    if let Some(since) = &args.since {
        add("since", since);
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
    let text = answer.map_err(silent)?.map_err(refused)?;
    serde_json::from_str(&text)
        .or_exit(Exit::Unavailable, || format!("{pod} is no shutdown-probe of this version"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser;

    fn arguments(line: &str) -> KubectlReportArgs {
        let cli = Cli::try_parse_from(line.split(' ')).expect("a sound command line");
        let Command::Kubectl(KubectlArgs { command: KubectlCommand::Report(args) }) = cli.command else {
            panic!("another command")
        };
        args
    }

    #[test]
    fn subjects_are_named_as_kubectl_names_them() {
        for (text, subject) in [
            ("web-1", Subject::Pod("web-1".into())),
            ("pod/web-1", Subject::Pod("web-1".into())),
            ("deploy/web", Subject::Workload("web".into())),
            ("statefulset.apps/db", Subject::Workload("db".into())),
            ("no/node-a", Subject::Node("node-a".into())),
        ] {
            assert_eq!(text.parse(), Ok(subject));
        }
        assert!("pod/".parse::<Subject>().is_err());
    }

    #[test]
    fn the_question_has_what_was_asked() {
        let args = arguments("shutdown-probe kubectl report deploy/web&x -n shop --since 1h --limit 7");
        let subject = args.subject.clone().expect("a subject");
        let path = query(&args, &subject, args.namespace.as_deref());
        assert_eq!(path, "api/v1/terminations?limit=7&workload=web%26x&namespace=shop&since=1h");
        let node = Subject::Node("node-a".into());
        assert_eq!(query(&args, &node, Some("shop")), "api/v1/terminations?limit=7&since=1h");
    }
}
