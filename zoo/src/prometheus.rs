//! A real Prometheus, told by a file whom to scrape: distributions build it without the discovery of Kubernetes.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
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
    /// `directory`: for its data and its log. It scrapes once a second, and evaluates these rules.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn start(program: &Path, directory: &Path, rules: &[PathBuf]) -> Result<Self> {
        let directory = directory.join("prometheus");
        if directory.exists() {
            fs::remove_dir_all(&directory).with_context(|| directory.display().to_string())?;
        }
        fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
        let config = directory.join("prometheus.yml");
        let targets = directory.join("targets.json");
        fs::write(&config, configuration(&targets, rules)).with_context(|| config.display().to_string())?;
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
        let agent =
            ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(20))).build().into();
        let mut prometheus = Self { child, agent, base: format!("http://127.0.0.1:{port}"), targets };
        prometheus.look_at(&[])?;
        prometheus.wait_for("an answer", "vector(1)", |found| !found.is_empty())?;
        Ok(prometheus)
    }

    /// Where it answers.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Scrapes these from now on: `address:port`. It notices by itself.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn look_at(&self, targets: &[String]) -> Result<()> {
        let text = json!([{"targets": targets}]).to_string();
        if fs::read_to_string(&self.targets).is_ok_and(|old| old == text) {
            return Ok(());
        }
        // In one step: what is half written is not read.
        let new = self.targets.with_extension("new");
        fs::write(&new, text).with_context(|| new.display().to_string())?;
        fs::rename(&new, &self.targets).with_context(|| self.targets.display().to_string())
    }

    /// Waits until the answer to an expression is as it should be, and gives it.
    ///
    /// # Errors
    /// Where it is not in time.
    pub fn wait_for(
        &mut self,
        what: &str,
        query: &str,
        is_so: impl Fn(&[Value]) -> bool,
    ) -> Result<Vec<Value>> {
        let deadline = Instant::now() + START;
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("prometheus ended: {status}");
            }
            let found = self.query(query).unwrap_or_default();
            if is_so(&found) {
                return Ok(found);
            }
            ensure!(Instant::now() < deadline, "no {what} within {START:?}: {query} is {found:?}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// The samples of an expression now.
    ///
    /// # Errors
    /// Where it has no answer.
    pub fn query(&self, query: &str) -> Result<Vec<Value>> {
        self.list("/api/v1/query", "/data/result", &[("query", query)])
    }

    /// The samples of an expression from then to now.
    ///
    /// # Errors
    /// Where it has no answer.
    pub fn range(&self, query: &str, [start, end, step]: [u64; 3]) -> Result<Vec<Value>> {
        let [start, end, step] = [start, end, step].map(|number| number.to_string());
        let parameters = [("query", query), ("start", &*start), ("end", &*end), ("step", &*step)];
        self.list("/api/v1/query_range", "/data/result", &parameters)
    }

    /// What a label of these series says.
    ///
    /// # Errors
    /// Where it has no answer.
    pub fn label(&self, label: &str, series: &str) -> Result<Vec<Value>> {
        self.list(&format!("/api/v1/label/{label}/values"), "/data", &[("match[]", series)])
    }

    fn list(&self, path: &str, place: &str, parameters: &[(&str, &str)]) -> Result<Vec<Value>> {
        let mut request = self.agent.get(format!("{}{path}", self.base));
        request = parameters.iter().fold(request, |request, (name, value)| request.query(name, value));
        let mut response =
            request.config().http_status_as_error(false).build().call().context("asking Prometheus")?;
        let body = response.body_mut().with_config().limit(64 << 20).read_to_string()?;
        let answer: Value = serde_json::from_str(&body).context("the answer of Prometheus")?;
        let list = answer.pointer(place).and_then(Value::as_array).cloned();
        list.with_context(|| format!("Prometheus says {} to {parameters:?}", answer["error"]))
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // One that has ended needs no ending.
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

/// The value of a sample.
pub fn value(sample: &Value) -> Option<f64> {
    sample.pointer("/value/1")?.as_str()?.parse().ok()
}

fn configuration(targets: &Path, rules: &[PathBuf]) -> String {
    let targets = targets.display();
    let rules: Vec<String> = rules.iter().map(|path| format!("\"{}\"", path.display())).collect();
    let rules = rules.join(", ");
    format!(
        "\
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [{rules}]
scrape_configs:
  - job_name: shutdown-probe
    honor_labels: true
    file_sd_configs: [{{files: [\"{targets}\"], refresh_interval: 1s}}]
"
    )
}
