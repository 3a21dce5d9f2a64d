//! A Prometheus, or whatever speaks its HTTP API, asked.
//!
//! Invariant: no header and no token is ever part of a message. It follows no redirect, for that would hand them on.

use super::answer::{self, Answer, Envelope, Series};
use super::options::Header;
use crate::exit::{Exit, Failure, OrExit};
use std::sync::Arc;
use std::time::Duration;
use ureq::http::StatusCode;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Error, Timeout};

/// How long it may take for one answer: two minutes are what Prometheus gives a query.
pub const PATIENCE: Duration = Duration::from_secs(125);
/// The largest answer taken.
const ANSWER_MOST: u64 = 256 << 20;
/// How much of a stranger's answer is shown.
const EXCERPT: usize = 200;

/// A Prometheus to ask.
pub struct Client {
    agent: Agent,
    base: String,
    headers: Vec<Header>,
    patience: Duration,
}

/// The moments for which something is asked, in seconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steps {
    /// The first.
    pub start: u64,
    /// The last.
    pub end: u64,
    /// From one to the next.
    pub step: u64,
}

impl Client {
    /// One at this URL.
    ///
    /// # Errors
    /// [`Exit::Usage`] where it is no URL that can be asked.
    pub fn new(url: &str, headers: Vec<Header>, patience: Duration) -> Result<Self, Failure> {
        let usage = |message: String| Failure::new(Exit::Usage, message);
        let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        let rest = rest.filter(|rest| !rest.is_empty() && !rest.starts_with('/'));
        let rest = rest.ok_or_else(|| usage(format!("{url:?} is no http:// or https:// URL")))?;
        if rest.split('/').next().is_some_and(|authority| authority.contains('@')) {
            let message = "the URL has a user and a password in it; send them with --prometheus-header \
                           'Authorization: Basic ...'";
            return Err(usage(message.into()));
        }
        if rest.contains(['?', '#']) {
            return Err(usage(format!("{url:?} has a query; give the URL up to where /api/v1 begins")));
        }
        let base = url.trim_end_matches('/').trim_end_matches("/api/v1").trim_end_matches('/').to_owned();
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::PlatformVerifier)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let config = Agent::config_builder()
            .timeout_global(Some(patience))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .tls_config(tls.build())
            .user_agent(concat!("shutdown-probe/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self { agent: config.new_agent(), base, headers, patience })
    }

    /// Where it is.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// What time it is there, in seconds since the epoch.
    ///
    /// # Errors
    /// [`Exit::Unavailable`] where no Prometheus answers.
    pub fn now(&self) -> Result<u64, Failure> {
        let envelope = self.get("/api/v1/query", &[("query", "time()")])?;
        let time = envelope.data.and_then(|data| answer::scalar(&data.result));
        time.map(|time| time as u64).ok_or_else(|| self.stranger("has no time"))
    }

    /// The values of an expression at one moment.
    ///
    /// # Errors
    /// As above, also where it cannot evaluate the expression.
    pub fn instant(&self, query: &str, at: u64) -> Result<Answer, Failure> {
        let time = at.to_string();
        self.series("/api/v1/query", &[("query", query), ("time", &time)])
    }

    /// The values of an expression at several.
    ///
    /// # Errors
    /// As above.
    pub fn range(&self, query: &str, steps: Steps) -> Result<Answer, Failure> {
        let [start, end, step] = [steps.start, steps.end, steps.step].map(|number| number.to_string());
        let parameters = [("query", query), ("start", &*start), ("end", &*end), ("step", &*step)];
        self.series("/api/v1/query_range", &parameters)
    }

    fn series(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Answer, Failure> {
        // Thanos: replicas of one Prometheus are one; half an answer comes with a warning. Others do not look at them.
        let more = [("dedup", "true"), ("partial_response", "true")];
        let envelope = self.get(path, &[parameters, &more].concat())?;
        let warnings = envelope.warnings.into_iter().chain(envelope.infos).collect();
        let data = envelope.data.ok_or_else(|| self.stranger("has no data"))?;
        let series: Option<Vec<Series>> = answer::series(data.result);
        let series = series.ok_or_else(|| self.stranger("has no series"))?;
        Ok(Answer { series, warnings })
    }

    fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Envelope, Failure> {
        let mut request = self.agent.get(format!("{}{path}", self.base));
        for (name, value) in parameters {
            request = request.query(name, value);
        }
        for header in &self.headers {
            request = request.header(&header.name, &header.value);
        }
        let mut response = request.call().map_err(|error| self.unreachable(error))?;
        let status = response.status();
        if status.is_redirection() {
            let place = response.headers().get("location").and_then(|place| place.to_str().ok());
            return Err(self.redirected(place));
        }
        let body = response.body_mut().with_config().limit(ANSWER_MOST).read_to_vec();
        let body = body.map_err(|error| self.unreachable(error))?;
        self.understood(path, status, &body)
    }

    fn understood(&self, path: &str, status: StatusCode, body: &[u8]) -> Result<Envelope, Failure> {
        let base = &self.base;
        if matches!(status.as_u16(), 401 | 403) {
            let message = format!(
                "{base} refuses ({status}): give the right --prometheus-token-file, the variable {} or \
                 --prometheus-header",
                super::TOKEN
            );
            return Err(Failure::new(Exit::Unavailable, message));
        }
        let envelope: Option<Envelope> = serde_json::from_slice(body).ok();
        match envelope {
            Some(envelope) if envelope.status == "success" => Ok(envelope),
            Some(envelope) => Err(self.complaint(&envelope)),
            None => {
                let excerpt: String = String::from_utf8_lossy(body).chars().take(EXCERPT).collect();
                let excerpt = excerpt.split_whitespace().collect::<Vec<_>>().join(" ");
                Err(self.stranger(&format!("answers {path} with {status} {excerpt:?}")))
            }
        }
    }

    /// It is one, and says what it does not like.
    fn complaint(&self, envelope: &Envelope) -> Failure {
        let advice = match envelope.error_type.as_str() {
            "execution" | "timeout" => "; ask for less: --since, --namespace, --workload",
            _ => "",
        };
        let error = envelope.error.split_whitespace().collect::<Vec<_>>().join(" ");
        Failure::new(Exit::Unavailable, format!("{} cannot answer: {error}{advice}", self.base))
    }

    fn stranger(&self, what: &str) -> Failure {
        let message = format!(
            "what answers at {} is no Prometheus: it {what}. The path before /api/v1 is part of the URL: /prometheus \
             for Mimir",
            self.base
        );
        Failure::new(Exit::Unavailable, message)
    }

    fn redirected(&self, place: Option<&str>) -> Failure {
        // A log-in page has secrets of its own in its query.
        let place = place.and_then(|place| place.split(['?', '#']).next()).unwrap_or("nowhere");
        let place = place.split("/api/v1").next().unwrap_or(place);
        let message = format!(
            "{} sends to {place}, where headers and tokens are not sent along: if that is a log-in page, give a token; \
             else give that URL",
            self.base
        );
        Failure::new(Exit::Unavailable, message)
    }

    fn unreachable(&self, error: Error) -> Failure {
        let base = &self.base;
        match error {
            Error::Timeout(Timeout::Global | Timeout::RecvResponse | Timeout::RecvBody) => {
                let message = format!(
                    "{base} has not answered within {} s; ask for less: --since, --namespace, --workload",
                    self.patience.as_secs_f64()
                );
                Failure::new(Exit::Unavailable, message)
            }
            error => Err::<(), _>(error)
                .or_exit(Exit::Unavailable, || format!("{base} cannot be reached"))
                .expect_err("an error"),
        }
    }
}
