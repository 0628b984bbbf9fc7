//! `heraldns router` on a router of the lab: its config file, its process, its cache; its log is shown if the test fails.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::process::{Child, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::clock::wait_for_value;
use super::command::output;
use super::network::SERVICE;
use super::router::Router;
use super::server::{PEERS_KEY_FILE, program};

const SOON: Duration = Duration::from_secs(10);

/// What the tests vary in a router side's configuration.
#[derive(Clone, Debug)]
pub(crate) struct RouterSetup {
    pub(crate) policy: &'static str,
    pub(crate) group: &'static str,
    pub(crate) dead_after: &'static str,
    pub(crate) require_signed: bool,
    /// The secret of the servers' peer messages.
    pub(crate) peers_key: Option<&'static str>,
    pub(crate) allowed_macs: Vec<String>,
    /// `--keep`.
    pub(crate) keep: bool,
}

impl RouterSetup {
    /// The defaults of the manual, with this policy.
    pub(crate) fn policy(policy: &'static str) -> Self {
        Self {
            policy,
            group: "split",
            dead_after: "900ms",
            require_signed: false,
            peers_key: None,
            allowed_macs: Vec::new(),
            keep: false,
        }
    }

    fn to_toml(&self, folder: &std::path::Path) -> String {
        let mut text = String::new();
        let mut line = |line: String| writeln!(text, "{line}").expect("text grows");
        line(format!("[router]\ninterface = \"lan0\"\nservices = [\"{SERVICE}\"]"));
        line(format!("policy = \"{}\"\ngroup = \"{}\"", self.policy, self.group));
        line(format!(
            "dead-after = \"{}\"\nrequire-signed = {}",
            self.dead_after, self.require_signed
        ));
        line(format!("allowed-macs = {:?}", self.allowed_macs));
        if self.peers_key.is_some() {
            line(format!("[peers]\nkey-file = \"{PEERS_KEY_FILE}\""));
        }
        line(format!("[control]\nsocket = \"{}\"", folder.join("router.sock").display()));
        text
    }
}

/// A running router side. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct RouterSide<'network> {
    router: &'network Router,
    keep: bool,
    process: Child,
    folder: TempDir,
}

impl<'network> RouterSide<'network> {
    /// Starts `heraldns router` on `router`; does not wait for anything.
    pub(crate) fn start(router: &'network Router, setup: &RouterSetup) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("heraldns-lab-")
            .tempdir()
            .expect("a temporary folder");
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("the temporary folder can be written");
        write("router.toml", &setup.to_toml(folder.path()));
        write(PEERS_KEY_FILE, setup.peers_key.unwrap_or_default());
        let process = spawn(router, &folder, setup.keep);
        Self {
            router,
            keep: setup.keep,
            process,
            folder,
        }
    }

    /// Starts it again after its end.
    pub(crate) fn run_again(&mut self) {
        let _reaped = self.process.wait();
        self.process = spawn(self.router, &self.folder, self.keep);
    }

    /// SIGKILL, and its end.
    pub(crate) fn kill(&mut self) {
        self.process.kill().expect("it runs");
        let _reaped = self.process.wait();
    }

    /// SIGTERM, and its end.
    #[track_caller]
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        kill_process(Pid::from_child(&self.process), Signal::TERM).expect("it runs");
        wait_for_value(SOON, "the router side ends", || self.process.try_wait().expect("our own child"))
    }

    /// `heraldns neighbors --json`, or nothing while it does not answer.
    pub(crate) fn neighbors(&self) -> Option<Value> {
        let socket = self.folder.path().join("router.sock");
        let output = output(program().args(["neighbors", "--json", "--socket"]).arg(socket));
        let text = String::from_utf8_lossy(&output.stdout);
        if text.trim().is_empty() {
            return None;
        }
        let neighbors = serde_json::from_str(&text);
        Some(neighbors.unwrap_or_else(|error| panic!("neighbors --json: {error} in {text}")))
    }

    /// The entry of the service address.
    pub(crate) fn entry(&self) -> Value {
        self.neighbors().unwrap_or_default()["services"][0].clone()
    }

    /// The servers that it delivers datagrams to, and their shares in percent.
    pub(crate) fn shares(&self) -> BTreeMap<String, f64> {
        self.shares_by("share")
    }

    /// The same for TCP connections.
    pub(crate) fn connection_shares(&self) -> BTreeMap<String, f64> {
        self.shares_by("connections_share")
    }

    fn shares_by(&self, field: &str) -> BTreeMap<String, f64> {
        let entry = self.entry();
        let members = entry["members"].as_array().into_iter().flatten();
        let shared = members.filter_map(|member| {
            let share = member[field].as_f64().filter(|share| *share > 0.0)?;
            Some((member["identity"].as_str()?.to_owned(), share * 100.0))
        });
        shared.collect()
    }

    /// Waits until it delivers datagrams to exactly these servers; returns their shares.
    #[track_caller]
    pub(crate) fn wait_for_members(&self, identities: &[&str]) -> BTreeMap<String, f64> {
        let mut last = BTreeMap::new();
        let begin = super::clock::now();
        while begin.elapsed() < SOON {
            last = self.shares();
            if last.keys().map(String::as_str).eq(identities.iter().copied()) {
                return last;
            }
            super::clock::let_pass(Duration::from_millis(10));
        }
        panic!("it delivers to {last:?} and not to {identities:?}: {:#}", self.entry());
    }

    /// Waits until it delivers no datagrams to the server any more. It is asked seldom: it shares the machine with what is measured.
    #[track_caller]
    pub(crate) fn wait_until_without(&self, identity: &str) {
        super::clock::wait_for(SOON, "the server is out of the datagrams' group", || {
            super::clock::let_pass(Duration::from_millis(50));
            !self.shares().contains_key(identity)
        });
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for RouterSide<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the router side on {} logged:\n{}", self.router.namespace.name(), self.log());
        }
        let _already_gone = self.process.kill();
        let _reaped = self.process.wait();
    }
}

fn spawn(router: &Router, folder: &TempDir, keep: bool) -> Child {
    let log = File::options()
        .create(true)
        .append(true)
        .open(folder.path().join("log"))
        .expect("the temporary folder can be written");
    router.namespace.enter(|| {
        program()
            .arg("router")
            .args(keep.then_some("--keep"))
            .arg("--config")
            .arg(folder.path().join("router.toml"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log)
            .spawn()
            .expect("the program can be started")
    })
}
