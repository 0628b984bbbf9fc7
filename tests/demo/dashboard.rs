//! The dashboard: its JSON, and every query in it asked of the demo's Prometheus, which scrapes the demo's servers.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::command::{run, wait_for};
use super::compose::{Demo, PROMETHEUS_PORT};
use super::docker::Docker;

pub(crate) fn queries_are_answered(docker: &Docker) {
    let dashboard = fs::read_to_string(docker.context().join("docker/grafana/heraldns.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
    let queries = queries(&dashboard);
    assert!(queries.len() >= 10, "{queries:?}");
    let configuration = docker.context().join("docker/prometheus/prometheus.yml");
    run(Command::new("promtool").args(["check", "config"]).arg(configuration));
    let _demo = Demo::up(docker, &["compose.yaml"]);
    wait_for(Duration::from_secs(30), "all servers are scraped", || {
        (ask("sum(up)")?[0]["value"][1] == "3").then_some(())
    });
    for query in queries {
        // Grafana puts at least four scrapes there.
        let asked = query.replace("$__rate_interval", "4s");
        wait_for(Duration::from_secs(15), &format!("an answer to {query}"), || {
            ask(&asked).filter(|answer| !answer.as_array().is_none_or(Vec::is_empty))
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

/// The result of a query now, as Prometheus gives it; nothing while it does not answer.
fn ask(query: &str) -> Option<Value> {
    let mut ask = Command::new("promtool");
    ask.args(["query", "instant", "--format=json"]);
    let output = ask.arg(format!("http://127.0.0.1:{PROMETHEUS_PORT}")).arg(query).output().unwrap();
    output.status.success().then(|| serde_json::from_slice(&output.stdout).unwrap())
}
