//! One variant of the demo, running: docker-compose over its files, and the client's seconds. Dropping it takes it down.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::command::{run, wait_for};
use super::docker::Docker;
use super::seconds::{Second, Seconds};

pub(crate) const SERVERS: [&str; 3] = ["s1", "s2", "s3"];
/// Unlikely to be in use, and not those of the demo: that may be running here.
const PORTS: [(&str, &str); 4] = [
    ("S1_PORT", "28053"),
    ("S2_PORT", "28054"),
    ("S3_PORT", "28055"),
    ("PROMETHEUS_PORT", PROMETHEUS_PORT),
];
pub(crate) const PROMETHEUS_PORT: &str = "29090";

/// The running demo.
#[derive(Debug)]
pub(crate) struct Demo<'a> {
    pub(crate) docker: &'a Docker,
    files: &'static [&'static str],
    seconds: Option<Seconds>,
    /// Name and container.
    servers: Vec<(&'static str, String)>,
}

impl<'a> Demo<'a> {
    /// Starts the variant of these files, all but Grafana, which cannot be had here.
    pub(crate) fn up(docker: &'a Docker, files: &'static [&'static str]) -> Self {
        let mut demo = Self {
            docker,
            files,
            seconds: None,
            servers: Vec::new(),
        };
        demo.start();
        demo
    }

    /// To another variant, while the demo runs.
    pub(crate) fn change(&mut self, files: &'static [&'static str]) {
        self.files = files;
        self.start();
    }

    fn start(&mut self) {
        self.compose(&["up", "-d", "--no-build", "s1", "s2", "s3", "router", "client", "prometheus"]);
        self.servers = SERVERS.into_iter().map(|server| (server, self.container(server))).collect();
        // docker-compose 1.29 makes the client anew when another file is added: it forgets its pull_policy.
        let client = self.container("client");
        self.seconds = Some(Seconds::follow(self.docker.docker().args(["logs", "--follow", &client])));
        self.seconds().wait_for(0, 3, "the demo answers after its start", Second::is_served);
    }

    pub(crate) fn seconds(&self) -> &Seconds {
        self.seconds.as_ref().expect("it is up")
    }

    /// The server that answers most.
    pub(crate) fn busiest(&self) -> &'static str {
        let seconds = self.seconds();
        let last = seconds.since(seconds.now() - 1).remove(0);
        let busiest = SERVERS.into_iter().max_by_key(|server| last.of(server));
        busiest.expect("there are three")
    }

    #[track_caller]
    pub(crate) fn compose(&self, arguments: &[&str]) -> String {
        self.compose_for("s1", arguments)
    }

    /// As `SERVER=server docker-compose ...`.
    #[track_caller]
    pub(crate) fn compose_for(&self, server: &str, arguments: &[&str]) -> String {
        run(self.command().env("SERVER", server).args(arguments))
    }

    fn command(&self) -> Command {
        let mut command = Command::new("docker-compose");
        command
            .current_dir(self.docker.context().join("docker"))
            .env("DOCKER_HOST", self.docker.host())
            .env("SERVER", "s1")
            .envs(PORTS)
            .args(["--project-name", "heraldns-demo"]);
        for file in self.files {
            command.args(["--file", file]);
        }
        command
    }

    /// The container's id.
    pub(crate) fn container(&self, service: &str) -> String {
        self.compose(&["ps", "-q", service]).trim().to_owned()
    }

    /// `heraldns status --json` of a server.
    pub(crate) fn status(&self, server: &str) -> Option<Value> {
        let container = self
            .servers
            .iter()
            .find(|(name, _)| *name == server)
            .map(|(_, container)| container)?;
        let mut status = self.docker.docker();
        status.args(["exec", container, "heraldns", "status", "--json"]);
        serde_json::from_slice(&status.output().unwrap().stdout).ok()
    }

    /// Waits until a server is able to serve.
    #[track_caller]
    pub(crate) fn wait_for_health(&self, server: &str) {
        wait_for(Duration::from_secs(30), "the server is healthy", || {
            let state = self.status(server)?["state"].as_str()?.to_owned();
            ["standby", "active"].contains(&state.as_str()).then_some(())
        });
    }
}

impl Drop for Demo<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let logs = self.command().args(["logs", "--no-color", "--tail", "40"]).output().unwrap();
            eprintln!("{}", String::from_utf8_lossy(&logs.stdout));
        }
        drop(self.seconds.take());
        let down = self.command().args(["down", "--timeout", "1"]).output();
        assert!(
            std::thread::panicking() || down.is_ok_and(|down| down.status.success()),
            "the demo is not taken down"
        );
    }
}
