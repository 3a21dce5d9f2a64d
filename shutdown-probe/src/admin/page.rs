//! The page at `/`: what is served, and where.

/// The whole page. It is constant: nothing that was observed is in it.
pub const PAGE: &str = concat!(
    "<!doctype html>\n",
    "<html lang=\"en\">\n",
    "<meta charset=\"utf-8\">\n",
    "<meta name=\"viewport\" content=\"width=device-width\">\n",
    "<title>shutdown-probe</title>\n",
    "<h1>shutdown-probe ",
    env!("CARGO_PKG_VERSION"),
    "</h1>\n",
    "<p>Which connections each shutdown on this node severed, and why.</p>\n",
    "<ul>\n",
    "<li><a href=\"api/v1/terminations\">Terminations</a>, newest first; ",
    "parameters: namespace, pod, workload, cgroup, since (RFC 3339, or as 10m), limit</li>\n",
    "<li><a href=\"metrics\">Metrics</a> for Prometheus</li>\n",
    "<li><a href=\"probes\">Probes</a> and what became of each</li>\n",
    "<li><a href=\"readyz\">Ready</a>? <a href=\"livez\">Alive</a>?</li>\n",
    "</ul>\n",
    "</html>\n",
);
