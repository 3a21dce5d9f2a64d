//! A real Prometheus beside the cluster, told of the daemon's pods by a file: distributions build it without the
//! discovery of Kubernetes.

use crate::daemon::PORT;
use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const START: Duration = Duration::from_secs(30);

/// It runs until this is dropped.
#[derive(Debug)]
pub struct Prometheus {
    child: Child,
    agent: ureq::Agent,
    base: String,
    targets: PathBuf,
}

impl Prometheus {
    /// `directory`: for its data and its log.
    pub fn start(program: &Path, addresses: &[String], directory: &Path) -> Result<Self> {
        let directory = directory.join("prometheus");
        if directory.exists() {
            fs::remove_dir_all(&directory).with_context(|| directory.display().to_string())?;
        }
        fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
        let config = directory.join("prometheus.yml");
        let targets = directory.join("targets.json");
        fs::write(&config, configuration(&targets)).with_context(|| config.display().to_string())?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let log = File::create(directory.join("log")).context("the log of Prometheus")?;
        let child = Command::new(program)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", directory.join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("{}: install Debian's package prometheus", program.display()))?;
        let agent = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(5))).build().into();
        let mut prometheus = Self { child, agent, base: format!("http://127.0.0.1:{port}"), targets };
        prometheus.look_at(addresses)?;
        prometheus.await_scrape()?;
        Ok(prometheus)
    }

    /// Scrapes these from now on. It notices by itself.
    pub fn look_at(&self, addresses: &[String]) -> Result<()> {
        let targets: Vec<String> = addresses.iter().map(|address| format!("{address}:{PORT}")).collect();
        let text = json!([{"targets": targets}]).to_string();
        if fs::read_to_string(&self.targets).is_ok_and(|old| old == text) {
            return Ok(());
        }
        // In one step: what is half written is not read.
        let new = self.targets.with_extension("new");
        fs::write(&new, text).with_context(|| new.display().to_string())?;
        fs::rename(&new, &self.targets).with_context(|| self.targets.display().to_string())
    }

    fn await_scrape(&mut self) -> Result<()> {
        let deadline = Instant::now() + START;
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("prometheus ended: {status}");
            }
            if self.query("up == 1").is_ok_and(|found| !found.is_empty()) {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("prometheus has not scraped the daemon within {START:?}");
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Values of an instant query, by one label.
    pub fn counts(&self, query: &str, label: &str) -> Result<BTreeMap<String, u64>> {
        let samples = self.query(query)?;
        let pair = |sample: &Value| {
            let value = sample.pointer("/value/1")?.as_str()?.parse::<f64>().ok()?;
            Some((sample["metric"][label].as_str().unwrap_or_default().to_owned(), value as u64))
        };
        Ok(samples.iter().filter_map(pair).collect())
    }

    fn query(&self, query: &str) -> Result<Vec<Value>> {
        let request = self.agent.get(format!("{}/api/v1/query", self.base)).query("query", query);
        let body = request.call().context("asking Prometheus")?.body_mut().read_to_string()?;
        let answer: Value = serde_json::from_str(&body).context("the answer of Prometheus")?;
        Ok(answer.pointer("/data/result").and_then(Value::as_array).cloned().unwrap_or_default())
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // One that has ended needs no ending.
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

fn configuration(targets: &Path) -> String {
    let targets = targets.display();
    format!(
        "\
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: shutdown-probe
    honor_labels: true
    file_sd_configs: [{{files: [\"{targets}\"], refresh_interval: 1s}}]
"
    )
}
