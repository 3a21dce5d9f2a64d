//! A service in Rust: this program itself, told by a variable to serve instead of to test.
//!
//! What was added to it, in a file, may be nothing, or the advice of `check` for Rust, which is compiled in.

use crate::gate::Service;
use crate::project::{Place, Project, Source, as_it_is};
use axum::Router;
use axum::extract::RawQuery;
use axum::routing::get;
use std::io;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::TcpListener;

/// Names the file, and makes a service of this program.
const ADDED: &str = "KERNEL_CHECK_ADDED";
const ADVICE: &str = include_str!("../../src/check/advice/fix/rust.rs");

/// The service; what is added to it must be what was compiled into it.
pub fn project() -> Project {
    let directory = Rc::new(tempfile::tempdir().expect("a directory"));
    let path = directory.path().join("added.rs");
    std::fs::write(&path, "").expect("written");
    let program = std::env::current_exe().expect("this program");
    let service = Service::new([program.into_os_string(), "--exact".into(), "axum_service::serve".into()]);
    Project {
        service: service.with(ADDED, path.to_str().expect("UTF-8")),
        source: Some(Source { path, place: Place::End, build: as_it_is }),
        style: None,
        pod: Vec::new(),
        _directory: Some(directory),
    }
}

/// Serves, where it is told to; as a test, it holds only that nobody did.
#[test]
fn serve() {
    let Ok(path) = std::env::var(ADDED) else { return };
    let added = std::fs::read_to_string(path).expect("what was added");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let served = runtime.block_on(async {
        match added.as_str() {
            "" => as_it_was().await,
            ADVICE => with_advice().await,
            other => Err(io::Error::other(format!("this is not what was compiled in: {other}"))),
        }
    });
    served.expect("it serves");
}

async fn as_it_was() -> io::Result<()> {
    let (listener, app) = listen().await?;
    axum::serve(listener, app).await
}

async fn with_advice() -> io::Result<()> {
    let (listener, app) = listen().await?;
    include!("../../src/check/advice/fix/rust.rs")
}

async fn listen() -> io::Result<(TcpListener, Router)> {
    let variable = |name: &str| std::env::var(name).map_err(io::Error::other);
    let listener = TcpListener::bind(format!("{}:{}", variable("ADDRESS")?, variable("PORT")?)).await?;
    Ok((listener, Router::new().route("/", get(answer))))
}

/// Takes `ms=200` milliseconds.
async fn answer(RawQuery(query): RawQuery) -> &'static str {
    let taken = query.as_deref().and_then(|query| query.strip_prefix("ms=")?.parse().ok());
    tokio::time::sleep(Duration::from_millis(taken.unwrap_or_default())).await;
    "ok\n"
}
