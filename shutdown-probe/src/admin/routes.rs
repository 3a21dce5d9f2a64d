//! What is answered to which path.

use super::page;
use super::query::Query;
use super::{ProbeStatus, Shared, Stage};
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query as Parameters, State};
use axum::http::header::{ALLOW, CONTENT_TYPE};
use axum::http::{HeaderName, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures_util::stream;
use jiff::Timestamp;
use serde::Serialize;
use shutdown_probe_core::report::Termination;
use std::iter::once;
use std::sync::Arc;

/// How many terminations an answer has unless it is asked for more.
const LIMIT: usize = 100;
const TEXT: (HeaderName, &str) = (CONTENT_TYPE, "text/plain; charset=utf-8");
/// The media type of Prometheus' text format.
const EXPOSITION: (HeaderName, &str) = (CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8");
const JSON: (HeaderName, &str) = (CONTENT_TYPE, "application/json");

/// Every path and what it answers.
pub fn router(shared: Shared) -> Router {
    Router::new()
        .merge(page::routes())
        .route("/metrics", get(metrics))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/probes", get(probes))
        .route("/api/v1/terminations", get(terminations))
        .route("/api/v1/terminations/{id}", get(termination))
        .fallback(not_found)
        .method_not_allowed_fallback(not_allowed)
        .with_state(shared)
}

#[derive(Serialize)]
struct Probes<'a> {
    stage: &'static str,
    probes: &'a [ProbeStatus],
}

#[derive(Serialize)]
struct Problem {
    error: String,
}

fn problem(status: StatusCode, error: impl Into<String>) -> Response {
    (status, Json(Problem { error: error.into() })).into_response()
}

async fn metrics(State(shared): State<Shared>) -> Response {
    shared.metrics.set_kept(shared.store.count());
    match shared.metrics.render() {
        Ok(text) => ([EXPOSITION], text).into_response(),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, format!("no exposition: {error}")),
    }
}

async fn livez() -> impl IntoResponse {
    ([TEXT], "alive\n")
}

async fn readyz(State(shared): State<Shared>) -> impl IntoResponse {
    let (status, text) = match shared.readiness.stage() {
        Stage::Observing(_) => (StatusCode::OK, "ready\n"),
        Stage::Attaching => (StatusCode::SERVICE_UNAVAILABLE, "not ready: the probes are being attached\n"),
        Stage::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "not ready: the daemon is stopping\n"),
    };
    (status, [TEXT], text)
}

async fn probes(State(shared): State<Shared>) -> Response {
    let stage = shared.readiness.stage();
    let (stage, probes) = match &stage {
        Stage::Attaching => ("attaching", [].as_slice()),
        Stage::Observing(probes) => ("observing", probes.as_ref()),
        Stage::Stopping => ("stopping", [].as_slice()),
    };
    Json(Probes { stage, probes }).into_response()
}

async fn terminations(
    State(shared): State<Shared>,
    query: Result<Parameters<Query>, QueryRejection>,
) -> Response {
    let query = match query {
        Ok(Parameters(query)) => query,
        Err(rejection) => return problem(StatusCode::BAD_REQUEST, rejection.body_text()),
    };
    let window = match query.window(LIMIT) {
        Ok(window) => window,
        Err(error) => return problem(StatusCode::BAD_REQUEST, error),
    };
    let now = Timestamp::now();
    let all = shared.store.newest(|termination| query.fits(termination, now));
    let found = all.into_iter().skip(window.skip).take(window.limit);
    ([JSON], Body::from_stream(stream::iter(listing(found)))).into_response()
}

/// The list, a termination at a time: all of them at once, for as many clients as there may be, could be more than
/// the memory we are granted.
fn listing(
    found: impl Iterator<Item = Arc<Termination>>,
) -> impl Iterator<Item = serde_json::Result<Vec<u8>>> {
    let one = |(index, termination): (usize, Arc<Termination>)| {
        let mut text = if index == 0 { Vec::new() } else { b",".to_vec() };
        serde_json::to_writer(&mut text, termination.as_ref())?;
        Ok(text)
    };
    let (head, tail) = (b"{\"terminations\":[".to_vec(), b"]}".to_vec());
    once(Ok(head)).chain(found.enumerate().map(one)).chain(once(Ok(tail)))
}

async fn termination(State(shared): State<Shared>, Path(id): Path<String>) -> Response {
    match shared.store.get(&id) {
        Some(termination) => Json(termination.as_ref()).into_response(),
        None => problem(StatusCode::NOT_FOUND, format!("there is no termination {id:?}, or no longer")),
    }
}

async fn not_found(uri: Uri) -> Response {
    problem(StatusCode::NOT_FOUND, format!("there is nothing at {:?}", uri.path()))
}

async fn not_allowed() -> Response {
    let mut response = problem(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered");
    response.headers_mut().insert(ALLOW, axum::http::HeaderValue::from_static("GET, HEAD"));
    response
}
