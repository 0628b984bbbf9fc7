//! The dashboard: its JSON, and every query in it asked of a real Prometheus that scrapes the demo's servers.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::command::{run, wait_for};
use super::compose::{Demo, SERVERS};
use super::docker::Docker;

pub(crate) fn queries_are_answered(docker: &Docker) {
    let dashboard = fs::read_to_string(docker.context().join("docker/grafana/heraldns.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
    let queries = queries(&dashboard);
    assert!(queries.len() >= 10, "{queries:?}");
    let demo = Demo::up(docker, &["compose.yaml"]);
    let prometheus = Prometheus::start(docker, &demo);
    wait_for(Duration::from_secs(30), "all servers are scraped", || {
        (prometheus.ask("sum(up)")?[0]["value"][1] == "3").then_some(())
    });
    for query in queries {
        // Grafana puts at least four scrapes there.
        let asked = query.replace("$__rate_interval", "4s");
        wait_for(Duration::from_secs(15), &format!("an answer to {query}"), || {
            prometheus.ask(&asked).filter(|answer| !answer.as_array().is_none_or(Vec::is_empty))
        });
    }
}

/// The queries of all panels; panics if a panel is not what Grafana takes.
fn queries(dashboard: &Value) -> Vec<String> {
    let datasource = "prometheus";
    let provisioned = include_str!("../../docker/grafana/provisioning/datasources/prometheus.yaml");
    assert!(provisioned.contains(&format!("uid: {datasource}")));
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "each panel has an id of its own");
    let mut queries = Vec::new();
    for panel in panels {
        let title = panel["title"].as_str().unwrap();
        assert_eq!(panel["datasource"]["uid"], datasource, "{title}");
        let place = &panel["gridPos"];
        assert!(place["x"].as_u64().unwrap() + place["w"].as_u64().unwrap() <= 24, "{title}");
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{title}");
        queries.extend(targets.iter().map(|target| target["expr"].as_str().unwrap().to_owned()));
    }
    queries
}

/// Debian's Prometheus with the demo's configuration, but for the servers' names, which only Docker knows.
#[derive(Debug)]
struct Prometheus {
    address: String,
    process: Child,
    _folder: TempDir,
}

impl Prometheus {
    fn start(docker: &Docker, demo: &Demo<'_>) -> Self {
        let mut configuration = fs::read_to_string(docker.context().join("docker/prometheus/prometheus.yml")).unwrap();
        for server in SERVERS {
            let container = demo.container(server);
            let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
            let address = run(docker.docker().args(["inspect", "--format", format, &container]));
            let named = format!("\"{server}:8053\"");
            assert!(configuration.contains(&named), "{configuration}");
            configuration = configuration.replace(&named, &format!("\"{}:8053\"", address.trim()));
        }
        let folder = tempfile::Builder::new().prefix("heraldns-demo-").tempdir().unwrap();
        let file = folder.path().join("prometheus.yml");
        fs::write(&file, configuration).unwrap();
        run(Command::new("promtool").args(["check", "config"]).arg(&file));
        let address = free_address();
        let process = spawn(&address, &file, folder.path());
        Self {
            address,
            process,
            _folder: folder,
        }
    }

    /// The result of a query now, as Prometheus gives it; nothing while it does not answer.
    fn ask(&self, query: &str) -> Option<Value> {
        let mut ask = Command::new("promtool");
        ask.args(["query", "instant", "--format=json", &format!("http://{}", self.address), query]);
        let output = ask.output().unwrap();
        output.status.success().then(|| serde_json::from_slice(&output.stdout).unwrap())
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _already_gone = self.process.kill();
        let _reaped = self.process.wait();
    }
}

fn spawn(address: &str, configuration: &Path, folder: &Path) -> Child {
    Command::new("prometheus")
        .arg(format!("--config.file={}", configuration.display()))
        .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
        .arg(format!("--web.listen-address={address}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(folder.join("log")).unwrap())
        .spawn()
        .unwrap()
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}
