//! The way to the API: from inside a pod by its service account, else by a kubeconfig.

use super::access::{Access, Need};
use axum::http::HeaderValue;
use axum::http::header::USER_AGENT;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use std::path::Path;
use std::time::Duration;

/// How long a request that is no watch may take.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// How long until the next attempt where token or certificates cannot be read.
const RETRY: Duration = Duration::from_secs(10);
/// A watch sends a bookmark a minute at least; a silence longer than this is a dead connection.
const SILENCE: Duration = Duration::from_secs(330);
const AGENT: &str = concat!("shutdown-probe/", env!("CARGO_PKG_VERSION"));

/// A client, as soon as there can be one. It need not reach the API yet.
pub async fn connect(kubeconfig: Option<&Path>, access: &Access) -> Client {
    loop {
        match client(kubeconfig).await {
            Ok(client) => return client,
            Err(reason) => access.refused(Need::Connection, reason),
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// A client.
///
/// # Errors
/// A sentence that says what could not be read.
pub async fn client(kubeconfig: Option<&Path>) -> Result<Client, String> {
    let mut config = match kubeconfig {
        Some(path) => from_file(path).await?,
        None => Config::incluster().map_err(|error| in_words(&error))?,
    };
    config.read_timeout = Some(SILENCE);
    config.headers.push((USER_AGENT, HeaderValue::from_static(AGENT)));
    Client::try_from(config).map_err(|error| in_words(&error))
}

async fn from_file(path: &Path) -> Result<Config, String> {
    let named = |error: String| format!("kubeconfig {}: {error}", path.display());
    let kubeconfig = Kubeconfig::read_from(path).map_err(|error| named(in_words(&error)))?;
    let options = KubeConfigOptions::default();
    Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| named(in_words(&error)))
}

/// Whether there is an answer that asking again would not change. A token that has expired is renewed, and a server that
/// has too much to do, or is in trouble, gets over it.
pub fn is_final<T>(outcome: &Result<T, kube::Error>) -> bool {
    match outcome {
        Ok(_) => true,
        Err(kube::Error::Api(status)) => !matches!(status.code, 401 | 429 | 500..),
        Err(_) => false,
    }
}

fn in_words(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |&error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
