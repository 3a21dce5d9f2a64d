//! The daemon's API, asked.

use crate::exit::{Exit, Failure, OrExit};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use shutdown_probe_core::report::Termination;
use std::time::Duration;
use ureq::Agent;
use ureq::http::Uri;
use ureq::http::uri::{Authority, InvalidUri};

/// How long the daemon may take for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The largest answer taken: a thousand terminations of a thousand connections each.
const ANSWER_MOST: u64 = 512 << 20;

/// A daemon to ask.
pub struct Api {
    agent: Agent,
    base: String,
}

/// The answer to a question for several.
#[derive(Debug, Serialize, Deserialize)]
pub struct Terminations {
    /// Newest first.
    pub terminations: Vec<Termination>,
}

/// Which terminations are asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// Only those that had not ended by then.
    pub since: Option<&'a str>,
    /// Only of this namespace.
    pub namespace: Option<&'a str>,
    /// Only of this workload.
    pub workload: Option<&'a str>,
    /// Only of this pod.
    pub pod: Option<&'a str>,
    /// How many at most.
    pub limit: u16,
}

impl Wanted<'_> {
    fn path(&self) -> String {
        let mut path = format!("/api/v1/terminations?limit={}", self.limit);
        let fields = [
            ("since", self.since),
            ("namespace", self.namespace),
            ("workload", self.workload),
            ("pod", self.pod),
        ];
        for (name, value) in fields {
            if let Some(value) = value {
                path.push_str(&format!("&{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)));
            }
        }
        path
    }
}

/// A port that is no number of 16 bits is none to the parser, and no error.
fn has_wrong_port(authority: &Authority) -> bool {
    authority.port_u16().is_none() && !authority.as_str().ends_with(authority.host())
}

#[derive(Deserialize)]
struct Problem {
    error: String,
}

impl Api {
    /// A daemon at this URL.
    ///
    /// # Errors
    /// [`Exit::Usage`] where it is no `http` URL.
    pub fn new(url: &str) -> Result<Self, Failure> {
        let wrong = |why: &str| Failure::new(Exit::Usage, format!("{url:?} is no URL of a daemon: {why}"));
        let parsed: Uri = url.parse().map_err(|error: InvalidUri| wrong(&error.to_string()))?;
        match (parsed.scheme_str(), parsed.authority()) {
            (Some("http"), Some(authority)) if !has_wrong_port(authority) => {}
            (Some("http"), _) => return Err(wrong("there is no such host or port")),
            (Some("https"), _) => return Err(wrong("it speaks plain HTTP")),
            _ => return Err(wrong("it begins with http://, as in http://127.0.0.1:9464")),
        }
        let config = Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("shutdown-probe/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self { agent: config.new_agent(), base: url.trim_end_matches('/').to_owned() })
    }

    /// The terminations of late.
    ///
    /// # Errors
    /// [`Exit::Unavailable`] where the daemon does not answer as it should.
    pub fn terminations(&self, wanted: &Wanted<'_>) -> Result<Terminations, Failure> {
        self.get(&wanted.path())
    }

    /// One termination.
    ///
    /// # Errors
    /// As above, and [`Exit::NoInput`] where there is none of this id.
    pub fn termination(&self, id: &str) -> Result<Termination, Failure> {
        self.get(&format!("/api/v1/terminations/{}", utf8_percent_encode(id, NON_ALPHANUMERIC)))
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let answer = self.agent.get(format!("{}{path}", self.base)).call();
        let mut answer = answer.map_err(|error| self.unreachable(&error))?;
        let status = answer.status();
        let body = answer.body_mut().with_config().limit(ANSWER_MOST).read_to_vec();
        let body = body.map_err(|error| self.unreachable(&error))?;
        if status.is_success() {
            let stranger = || format!("what answers at {} is no shutdown-probe of this version", self.base);
            return serde_json::from_slice(&body).or_exit(Exit::Unavailable, stranger);
        }
        let problem: Result<Problem, _> = serde_json::from_slice(&body);
        let (exit, message) = match (problem, status.as_u16()) {
            (Err(_), _) => {
                (Exit::Unavailable, format!("{} answers {status}; is it a shutdown-probe?", self.base))
            }
            (Ok(problem), 400) => (Exit::Usage, problem.error),
            (Ok(problem), 404) => (Exit::NoInput, problem.error),
            (Ok(problem), _) => (Exit::Unavailable, problem.error),
        };
        Err(Failure::new(exit, message))
    }

    fn unreachable(&self, error: &ureq::Error) -> Failure {
        let why = match error {
            ureq::Error::Timeout(_) => format!("no answer within {} s", PATIENCE.as_secs()),
            ureq::Error::Io(error) => error.to_string(),
            error => error.to_string(),
        };
        let base = &self.base;
        let message =
            format!("the daemon at {base} cannot be reached: {why}; is `shutdown-probe run` running there?");
        Failure::new(Exit::Unavailable, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_has_what_was_asked() {
        let wanted =
            Wanted { namespace: Some("shop"), workload: Some("web&x"), limit: 7, ..Wanted::default() };
        assert_eq!(wanted.path(), "/api/v1/terminations?limit=7&namespace=shop&workload=web%26x");
    }
}
