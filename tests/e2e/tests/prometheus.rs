//! A real Prometheus scrapes a running instance, answers questions about it, and fires the alerts that are shipped.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mixcord_e2e::{Fake, FakeOptions, Program, Stack, until};
use nix::sys::signal::Signal;
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(90);
const RULES: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/prometheus/mixcord.rules.yml");

/// A Prometheus that scrapes one address every half second; killed when dropped.
struct Prometheus {
    program: Program,
    url: String,
}

impl Prometheus {
    fn start(folder: &Path, monitor: &str) -> Result<Self> {
        let target = monitor.trim_start_matches("http://").trim_end_matches('/');
        // How long something has to last is `promtool test rules`' affair; here it is whether it is seen at all.
        let rules = std::fs::read_to_string(RULES)?;
        let rules = rules.lines().filter(|line| !line.trim_start().starts_with("for: "));
        std::fs::write(folder.join("rules.yml"), rules.collect::<Vec<_>>().join("\n"))?;
        let config = format!(
            "global: {{scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms}}\n\
             rule_files: [rules.yml]\n\
             scrape_configs: [{{job_name: mixcord, static_configs: [{{targets: ['{target}']}}]}}]\n"
        );
        std::fs::write(folder.join("prometheus.yml"), config)?;
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", folder.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("tsdb").display()))
            .arg("--web.listen-address=127.0.0.1:0");
        let program = Program::start("prometheus", folder, &mut command)?;
        let address = || {
            let said = program.stderr();
            let line = said.lines().find(|line| line.contains("Listening on"))?;
            let (_, address) = line.split_once("address=")?;
            Some(address.split([' ', '"']).next()?.to_owned())
        };
        until("Prometheus to listen", PATIENCE, || address().is_some())?;
        let url = format!("http://{}/api/v1", address().context("an address")?);
        Ok(Self { program, url })
    }

    fn get(&self, path: &str) -> Result<Value> {
        let mut answer = ureq::get(format!("{}/{path}", self.url)).call()?;
        let answer: Value = serde_json::from_str(&answer.body_mut().read_to_string()?)?;
        ensure!(answer["status"] == "success", "{answer}");
        Ok(answer["data"].clone())
    }

    /// The values that a question has now.
    fn ask(&self, query: &str) -> Result<Vec<f64>> {
        let mut encoded = String::new();
        for byte in query.bytes() {
            encoded.push_str(&format!("%{byte:02x}"));
        }
        let data = self.get(&format!("query?query={encoded}"))?;
        let found = data["result"].as_array().context("a result")?.iter();
        found.map(|it| Ok(it["value"][1].as_str().context("text")?.parse()?)).collect()
    }

    fn until(&self, query: &str, wanted: impl Fn(&[f64]) -> bool) -> Result<()> {
        until(query, PATIENCE, || self.ask(query).is_ok_and(|values| wanted(&values)))
            .with_context(|| format!("{:?}, {}", self.ask(query), self.program.stderr()))
    }

    /// The names of the alerts that fire, with a label of each.
    fn firing(&self, label: &str) -> Result<Vec<(String, String)>> {
        let data = self.get("alerts")?;
        let alerts = data["alerts"].as_array().context("alerts")?.iter();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let firing = alerts.filter(|alert| alert["state"] == "firing");
        Ok(firing
            .map(|it| (text(&it["labels"]["alertname"]), text(&it["labels"][label])))
            .collect())
    }

    fn until_fires(&self, alert: &str, label: &str, value: &str) -> Result<()> {
        let wanted = (alert.to_owned(), value.to_owned());
        let fires = || self.firing(label).is_ok_and(|firing| firing.contains(&wanted));
        until(&format!("{alert} of {value:?}"), PATIENCE, fires)
            .with_context(|| format!("{:?}", self.firing(label)))
    }
}

fn is_installed() -> bool {
    let mut command = Command::new("prometheus");
    let version = command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    version.status().is_ok_and(|status| status.success())
}

#[test]
fn prometheus_answers_and_alerts_fire() -> Result<()> {
    if !is_installed() {
        eprintln!("left out: Prometheus is not installed (on Debian: apt-get install prometheus)");
        return Ok(());
    }
    let stack = Stack::new()?;
    let options = FakeOptions { shards: 2, events: 1_000_000, rate: 400, ..FakeOptions::default() };
    let fake = Fake::start(stack.folder(), &options)?;
    let spacing = ["--identify-spacing-ms", "50", "--ring-bytes", "256KiB"];
    let first = stack.gateway(&fake, "0..0/2", &spacing)?;
    let _second = stack.gateway(&fake, "1..1/2", &spacing)?;
    let cache = stack.cache(&["--output-slots", "1024", "--output-bytes", "4MiB"])?;
    let tail = stack.tail(&["--group", "bot", "--from", "earliest"])?;
    let mut command = stack.mixcord();
    command.args(["monitor", "--instance", stack.instance(), "--listen", "127.0.0.1:0"]);
    let monitor = Program::start("monitor", stack.folder(), &mut command)?;
    let listens =
        || monitor.stdout().lines().next()?.strip_prefix("listening on ").map(str::to_owned);
    until("the monitor to listen", PATIENCE, || listens().is_some())?;
    let prometheus = Prometheus::start(stack.folder(), &listens().context("an address")?)?;

    prometheus.until("sum(mixcord_shard_state{state=\"connected\"})", |values| values == [2.0])?;
    let flows = "sum(rate(mixcord_ring_records_total{ring=~\"shard-.*\"}[5s])) > 0";
    prometheus.until(flows, |values| values.len() == 1)?;
    prometheus.until("mixcord_group_members{group=\"bot\"}", |values| values == [1.0])?;
    prometheus.until("sum(mixcord_events_total{kind=\"GUILD_CREATE\"})", |values| {
        values == [f64::from(options.guilds)]
    })?;
    prometheus
        .until("mixcord_cache_commit_duration_seconds_count > 0", |values| values.len() == 1)?;
    let quiet = || prometheus.firing("shard").is_ok_and(|firing| firing.is_empty());
    until("all to be well", PATIENCE, quiet)
        .with_context(|| format!("{:?}", prometheus.firing("shard")))?;

    // A group whose only member does not move; a shard whose gateway is gone; a cache that is.
    tail.signal(Signal::SIGSTOP)?;
    prometheus.until_fires("MixcordGroupHoldsTheRing", "group", "bot")?;
    tail.signal(Signal::SIGCONT)?;
    first.kill()?;
    prometheus.until_fires("MixcordShardDown", "shard", "0")?;
    cache.kill()?;
    prometheus.until_fires("MixcordCacheDown", "process", "cache")?;
    Ok(())
}
