//! The cases, by the server that is stopped. Each plays a scene and says what is to be found.

mod curl;
mod exit;
mod go;
mod grpc;
mod hostile;
mod http1_body;
mod http1_head;
mod http1_order;
mod http2;
mod http2_frames;
mod java;
mod long_lived;
mod neighbours;
mod node;
mod own;
mod protocol;
mod proxies;
mod python;
mod queue;
mod static_file;
mod storm;
mod sudden;
mod tls;
mod tls_http2;
mod tls_servers;
mod wrapper;
mod wsgi;

use crate::stage::Stage;
use crate::tool::Tool;
use anyhow::Result;

/// One case.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Its name, also that of its cgroup.
    pub name: &'static str,
    /// What it shows, in a few words.
    pub about: &'static str,
    /// What it needs.
    pub needs: &'static [Tool],
    /// Bytes alone do not tell what is owed: what the daemon says of the protocol is judged too.
    pub framing: bool,
    /// The scene.
    pub play: fn(&mut Stage<'_>) -> Result<()>,
}

impl Case {
    pub(crate) const fn new(
        name: &'static str,
        needs: &'static [Tool],
        about: &'static str,
        play: fn(&mut Stage<'_>) -> Result<()>,
    ) -> Self {
        Self { name, about, needs, framing: false, play }
    }

    /// The same, where bytes alone do not tell.
    pub(crate) const fn of_framing(self) -> Self {
        Self { framing: true, ..self }
    }
}

/// All of them.
pub fn all() -> Vec<Case> {
    [
        node::CASES,
        python::CASES,
        wsgi::CASES,
        go::CASES,
        java::CASES,
        proxies::CASES,
        own::CASES,
        queue::CASES,
        protocol::CASES,
        http1_body::CASES,
        http1_order::CASES,
        http1_head::CASES,
        long_lived::CASES,
        static_file::CASES,
        http2::CASES,
        http2_frames::CASES,
        grpc::CASES,
        curl::CASES,
        tls::CASES,
        tls_servers::CASES,
        tls_http2::CASES,
        hostile::CASES,
        sudden::CASES,
        storm::CASES,
        wrapper::CASES,
        neighbours::CASES,
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_fit_a_cgroup() {
        let mut names: Vec<_> = all().iter().map(|case| case.name).collect();
        let count = names.len();
        assert!(names.iter().all(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
