//! The page at `/`: what the daemon saw, for people.
//!
//! It does without scripts: every view has an address, and a form that changes the view is a plain GET. All links are
//! relative, so that it works behind `kubectl port-forward` and `kubectl proxy`.
//!
//! Invariant: whatever came from outside passes [`text::Shown`].

mod asked;
mod fate;
mod home;
mod layout;
mod termination;
mod text;

use super::Shared;
use asked::Asked;
use axum::Router;
use axum::extract::{Path, Query as Parameters, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use jiff::Timestamp;
use maud::Markup;

const STYLE: &str = include_str!("page.css");
const ICON: &str = include_str!("icon.svg");

const HTML: (HeaderName, &str) = (CONTENT_TYPE, "text/html; charset=utf-8");
/// The page loads its style and its icon, sends its form to where it came from, and is framed by nobody.
const OWN_ONLY: (HeaderName, &str) = (
    CONTENT_SECURITY_POLICY,
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
     frame-ancestors 'none'",
);
const AS_DECLARED: (HeaderName, &str) = (X_CONTENT_TYPE_OPTIONS, "nosniff");
/// What it shows changes; what it looks like does not, for a while.
const FRESH: (HeaderName, &str) = (CACHE_CONTROL, "no-store");
const KEPT: (HeaderName, &str) = (CACHE_CONTROL, "max-age=300");

/// The addresses that people type or follow.
pub fn routes() -> Router<Shared> {
    Router::new()
        .route("/", get(home))
        .route("/terminations/{id}", get(termination))
        .route("/page.css", get(async || asset("text/css; charset=utf-8", STYLE)))
        .route("/icon.svg", get(async || asset("image/svg+xml", ICON)))
}

fn answer(status: StatusCode, page: Markup) -> Response {
    (status, [HTML, OWN_ONLY, AS_DECLARED, FRESH], page.into_string()).into_response()
}

fn asset(kind: &'static str, body: &'static str) -> Response {
    ([(CONTENT_TYPE, kind), AS_DECLARED, KEPT], body).into_response()
}

async fn home(
    State(shared): State<Shared>,
    Parameters(pairs): Parameters<Vec<(String, String)>>,
) -> Response {
    let asked = Asked::new(pairs);
    let status = if asked.problem().is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    answer(status, home::page(&shared, &asked, Timestamp::now()))
}

async fn termination(State(shared): State<Shared>, Path(id): Path<String>) -> Response {
    match shared.store.get(&id) {
        Some(it) => answer(StatusCode::OK, termination::page(&it, Timestamp::now())),
        None => answer(StatusCode::NOT_FOUND, termination::missing(&id)),
    }
}

#[cfg(test)]
mod tests;
