//! As much of HTTP as asking the daemon takes.

use anyhow::{Context as _, Result, ensure};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(5);

/// The body of a 200.
///
/// # Errors
/// When there is another answer, or none.
pub fn get(address: SocketAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    // In version 1.0 the end of the connection is the end of the answer.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    body_of(&answer).with_context(|| format!("http://{address}{path}"))
}

fn body_of(answer: &str) -> Result<String> {
    let (head, body) = answer.split_once("\r\n\r\n").context("half an answer")?;
    let status = head.lines().next().unwrap_or_default();
    ensure!(status.split(' ').nth(1) == Some("200"), "{status}");
    Ok(body.to_owned())
}

/// A free port of the loopback interface.
///
/// # Errors
/// When there is none.
pub fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}

/// The sum of a family's samples in the text format of Prometheus.
pub fn sum_of(metrics: &str, family: &str) -> f64 {
    metrics.lines().filter_map(|line| sample(line, family)).sum()
}

fn sample(line: &str, family: &str) -> Option<f64> {
    let rest = line.strip_prefix(family)?;
    if !rest.starts_with(['{', ' ']) {
        return None;
    }
    rest.rsplit(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_200_has_a_body() {
        assert_eq!(body_of("HTTP/1.0 200 OK\r\nA: b\r\n\r\nx\n").unwrap(), "x\n");
        let error = body_of("HTTP/1.0 503 Service Unavailable\r\n\r\nno").unwrap_err();
        assert_eq!(error.to_string(), "HTTP/1.0 503 Service Unavailable");
        assert!(body_of("HTTP/1.0 200 OK\r\n").is_err());
    }

    #[test]
    fn samples_of_one_family_are_added() {
        let metrics = "# HELP a_total x 9\n# TYPE a_total counter\na_total{b=\"c d\"} 1\na_total{b=\"e\"} 2\n\
                       a_total_other 4\nb 8\n";
        assert_eq!(sum_of(metrics, "a_total"), 3.0);
        assert_eq!(sum_of(metrics, "b"), 8.0);
        assert_eq!(sum_of(metrics, "none"), 0.0);
    }
}
