//! An API server that says what a test wants it to, on loopback.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use shutdown_probe::admin::{self, Limits};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;

/// What it knows.
#[derive(Default)]
struct Script {
    pods: Vec<Value>,
    /// Other objects, by path.
    objects: HashMap<String, Value>,
    /// Paths that are answered so, whatever there is.
    statuses: HashMap<String, u16>,
    /// How far ahead its clock is, in seconds.
    ahead: i64,
    /// Requests by method and path, with watches marked.
    requests: Vec<String>,
    watches: Vec<UnboundedSender<String>>,
}

/// The server, until it is dropped.
pub struct Server {
    script: Arc<Mutex<Script>>,
    pub address: SocketAddr,
    directory: TempDir,
    stop: CancellationToken,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Server {
    /// A server that is away: nobody listens at its address yet.
    pub fn away() -> (Self, std::net::TcpListener) {
        let listener = admin::bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
        let address = listener.local_addr().expect("bound");
        let directory = tempfile::tempdir().expect("a directory");
        let (script, stop) = (Arc::default(), CancellationToken::new());
        let server = Self { script, address, directory, stop };
        std::fs::write(server.kubeconfig(), server.kubeconfig_text()).expect("a file");
        (server, listener)
    }

    /// A server with these pods.
    pub fn start(pods: Vec<Value>) -> Self {
        let (server, listener) = Self::away();
        server.edit(|script| script.pods = pods);
        server.come(listener);
        server
    }

    pub fn come(&self, listener: std::net::TcpListener) {
        let router = Router::new().fallback(answer).with_state(Arc::clone(&self.script));
        let serving = admin::serve(listener, router, Limits::default(), self.stop.clone());
        tokio::spawn(async { serving.await.expect("it serves") });
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.directory.path().join("kubeconfig")
    }

    fn kubeconfig_text(&self) -> String {
        let server = format!("http://{}", self.address);
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": server}}],
            "users": [{"name": "c", "user": {"token": "t"}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}]
        })
        .to_string()
    }

    fn edit<T>(&self, edit: impl FnOnce(&mut Script) -> T) -> T {
        edit(&mut self.script.lock().expect("no test panicked with it"))
    }

    pub fn list(&self, pods: Vec<Value>) {
        self.edit(|script| script.pods = pods);
    }

    pub fn object(&self, path: &str, object: Value) {
        self.edit(|script| script.objects.insert(path.to_owned(), object));
    }

    /// Answers so to everything at this path; 0: as usual again.
    pub fn status(&self, path: &str, status: u16) {
        self.edit(|script| match status {
            0 => script.statuses.remove(path),
            status => script.statuses.insert(path.to_owned(), status),
        });
    }

    pub fn clock_ahead(&self, seconds: i64) {
        self.edit(|script| script.ahead = seconds);
    }

    /// Sends something to whoever watches.
    pub fn event(&self, kind: &str, object: &Value) {
        let line = format!("{}\n", json!({"type": kind, "object": object}));
        self.edit(|script| script.watches.retain(|watch| watch.send(line.clone()).is_ok()));
    }

    /// Ends every watch.
    pub fn hang_up(&self) {
        self.edit(|script| script.watches.clear());
    }

    pub async fn watched(&self) {
        while self.edit(|script| script.watches.is_empty()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// How often something of this method and path was asked for.
    pub fn asked(&self, what: &str) -> usize {
        self.edit(|script| script.requests.iter().filter(|request| *request == what).count())
    }
}

async fn answer(State(script): State<Arc<Mutex<Script>>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let is_watch = request.uri().query().is_some_and(|query| query.contains("watch=true"));
    let mut script = script.lock().expect("no test panicked with it");
    let mark = if is_watch { " watch" } else { "" };
    script.requests.push(format!("{} {path}{mark}", request.method()));
    let now = jiff::Timestamp::now().as_second() + script.ahead;
    let date = jiff::Timestamp::from_second(now).expect("a date").strftime("%a, %d %b %Y %H:%M:%S GMT");
    let date = HeaderValue::from_str(&date.to_string()).expect("a header");
    let mut response = respond(&mut script, &path, is_watch);
    response.headers_mut().insert(header::DATE, date);
    response
}

fn respond(script: &mut Script, path: &str, is_watch: bool) -> Response {
    if let Some(&status) = script.statuses.get(path) {
        return refusal(status);
    }
    match path {
        "/api/v1/pods" if is_watch => {
            let (sender, receiver) = unbounded_channel();
            script.watches.push(sender);
            Body::from_stream(lines(receiver)).into_response()
        }
        "/api/v1/pods" => {
            let metadata = json!({"resourceVersion": "1"});
            let list =
                json!({"kind": "PodList", "apiVersion": "v1", "metadata": metadata, "items": script.pods});
            Json(list).into_response()
        }
        "/version" => Json(json!({"major": "1", "minor": "34"})).into_response(),
        path => match script.objects.get(path) {
            Some(object) => Json(object.clone()).into_response(),
            None => refusal(404),
        },
    }
}

fn lines(receiver: UnboundedReceiver<String>) -> impl futures_util::Stream<Item = std::io::Result<String>> {
    stream::unfold(receiver, |mut receiver| async {
        let line = receiver.recv().await?;
        Some((Ok(line), receiver))
    })
    .boxed()
}

fn refusal(status: u16) -> Response {
    let reason = match status {
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        _ => "InternalError",
    };
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status, "reason": reason,
        "message": format!("the test refuses with {status}")
    });
    (StatusCode::from_u16(status).expect("a status"), Json(body)).into_response()
}
