//! The API server itself: its clock, and its version, which says what a pod's spec may have.

use super::Desk;
use super::access::Need;
use super::client::PATIENCE;
use crate::clock::boot_now;
use axum::http::Request;
use axum::http::header::DATE;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use k8s_openapi::apimachinery::pkg::version::Info;
use kube::client::Body;
use shutdown_probe_core::Input;

/// Asks it; what it does not answer stays unknown.
pub(crate) async fn look(desk: &Desk) {
    let Ok(request) = Request::get("/version").body(Body::empty()) else { return };
    let asked = tokio::time::timeout(PATIENCE, desk.client.send(request)).await;
    let Ok(Ok(answer)) = asked else { return };
    // Every answer has its date.
    let date = answer.headers().get(DATE).and_then(|date| date.to_str().ok());
    if let Some(date) = date.and_then(|date| rfc2822::DateTimeParser::new().parse_timestamp(date).ok()) {
        compare_clocks(desk, date);
    }
    let body = tokio::time::timeout(PATIENCE, answer.into_body().collect_bytes()).await;
    if let Ok(Ok(body)) = body
        && let Some((major, minor)) = version(&body)
    {
        // The daemon may be about to end.
        let _ = desk.inputs.send(Input::ServerVersion { at: boot_now(), major, minor }).await;
    }
}

fn compare_clocks(desk: &Desk, date: Timestamp) {
    match desk.clock.learn(date, Timestamp::now()) {
        None => desk.access.granted(Need::Clock),
        Some(ahead) => {
            let seconds = ahead as f64 / 1e3;
            let reason = format!("the API server's clock is {seconds:.1} s ahead of this node's");
            desk.access.refused(Need::Clock, reason);
        }
    }
}

/// Major and minor; some clouds write `34+`.
fn version(body: &[u8]) -> Option<(u32, u32)> {
    let info: Info = serde_json::from_slice(body).ok()?;
    let number = |text: &str| text.trim_end_matches('+').parse().ok();
    Some((number(&info.major)?, number(&info.minor)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn versions_are_numbers_or_unknown() {
        let of = |major: &str, minor: &str| {
            let info = json!({
                "major": major, "minor": minor, "gitVersion": "v1.34.4", "gitCommit": "", "gitTreeState": "",
                "buildDate": "", "goVersion": "", "compiler": "", "platform": ""
            });
            version(info.to_string().as_bytes())
        };
        assert_eq!(of("1", "34"), Some((1, 34)));
        assert_eq!(of("1", "29+"), Some((1, 29)));
        assert_eq!(of("", ""), None);
        assert_eq!(version(b"<html>"), None);
    }
}
