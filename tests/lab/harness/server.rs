//! A heraldns server on a host of the lab: its config file, its processes, its status; its log is shown if the test fails.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use heraldns::base::address::LinkLayerAddress;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::clock::{self, wait_for, wait_for_value};
use super::command::output;
use super::host::Host;
use super::namespace::Namespace;
use super::network::{Network, SERVICE};

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_heraldns");
/// How long a server may take to reach a state that nothing stands in the way of.
const SOON: Duration = Duration::from_secs(10);

/// The file with the secret of the peer messages.
pub(super) const PEERS_KEY_FILE: &str = "peers.key";
/// The file with the secret of the OSPFv3 routers.
const KEY_FILE: &str = "ospf.key";

const ZONE: &str = "\
$ORIGIN example.com.
$TTL 300
@    SOA  ns1 hostmaster 1 7200 3600 1209600 300
     NS   ns1
ns1  AAAA 2001:db8:5::53
www  AAAA 2001:db8::80
";

/// What the tests vary in a server's configuration; durations as in the file.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// Neighbor Discovery is one of the advertisers.
    pub(crate) neighbor_discovery: bool,
    /// OSPFv3 is one of the advertisers.
    pub(crate) ospf: Option<Speaker>,
    pub(crate) mode: &'static str,
    pub(crate) start: &'static str,
    pub(crate) interval: &'static str,
    pub(crate) turn: &'static str,
    pub(crate) weight: u32,
    pub(crate) capacity: u32,
    pub(crate) standby_after: &'static str,
    pub(crate) hold: &'static str,
    pub(crate) drain_timeout: &'static str,
    /// The secret of the peer messages.
    pub(crate) peers_key: Option<&'static str>,
}

/// What the tests vary in the OSPFv3 advertiser's configuration.
#[derive(Clone, Debug)]
pub(crate) struct Speaker {
    /// Its router ID; 10.0.1 and the host's number if there is none here.
    pub(crate) router_id: Option<Ipv4Addr>,
    pub(crate) area: &'static str,
    pub(crate) area_type: &'static str,
    pub(crate) network: &'static str,
    pub(crate) instance_id: u8,
    pub(crate) hello: &'static str,
    pub(crate) dead: &'static str,
    pub(crate) cost: u16,
    pub(crate) lsa: &'static str,
    pub(crate) standby: &'static str,
    /// Key number and secret, for HMAC-SHA-256.
    pub(crate) authentication: Option<(u16, &'static str)>,
}

impl Speaker {
    /// The defaults of the manual.
    pub(crate) fn plain() -> Self {
        Self {
            router_id: None,
            area: "0.0.0.0",
            area_type: "normal",
            network: "broadcast",
            instance_id: 0,
            hello: "1s",
            dead: "4s",
            cost: 10,
            lsa: "intra",
            standby: "last-resort",
            authentication: None,
        }
    }

    /// The router ID of the speaker on a host.
    pub(crate) fn router_id(&self, host: &Host) -> Ipv4Addr {
        self.router_id.unwrap_or(Ipv4Addr::new(10, 0, 1, host.number as u8))
    }

    fn to_toml(&self, host: &Host) -> String {
        let mut text = String::new();
        let mut line = |line: String| writeln!(text, "{line}").expect("text grows");
        line("[[advertiser]]\nprotocol = \"ospf\"".to_owned());
        line(format!("router-id = \"{}\"", self.router_id(host)));
        line(format!("area = \"{}\"\narea-type = \"{}\"", self.area, self.area_type));
        line(format!("network = \"{}\"\ninstance-id = {}", self.network, self.instance_id));
        line(format!("hello = \"{}\"\ndead = \"{}\"", self.hello, self.dead));
        line(format!(
            "cost = {}\nlsa = \"{}\"\nstandby = \"{}\"",
            self.cost, self.lsa, self.standby
        ));
        if let Some((id, _)) = self.authentication {
            let table = format!("{{ key-id = {id}, algorithm = \"hmac-sha-256\", key-file = \"{KEY_FILE}\" }}");
            line(format!("authentication = {table}"));
        }
        text
    }
}

impl Setup {
    /// Route advertisement by OSPFv3 alone, with the defaults of the manual.
    pub(crate) fn ospf() -> Self {
        Self {
            neighbor_discovery: false,
            ospf: Some(Speaker::plain()),
            ..Self::failover()
        }
    }

    /// The same, and never idle: costs do not change while a test waits for its turn, nor when its load begins.
    pub(crate) fn ospf_awake() -> Self {
        Self {
            standby_after: "0s",
            ..Self::ospf()
        }
    }

    /// The same with another speaker.
    pub(crate) fn with_speaker(mut self, change: impl FnOnce(&mut Speaker)) -> Self {
        change(self.ospf.get_or_insert_with(Speaker::plain));
        self
    }

    /// Failover with the defaults of the manual.
    pub(crate) fn failover() -> Self {
        Self {
            neighbor_discovery: true,
            ospf: None,
            mode: "failover",
            start: "ready",
            interval: "300ms",
            turn: "1s",
            weight: 100,
            capacity: 0,
            standby_after: "30s",
            hold: "3s",
            drain_timeout: "10s",
            peers_key: None,
        }
    }

    /// Turns of length `turn`.
    pub(crate) fn rotate(turn: &'static str) -> Self {
        Self {
            mode: "rotate",
            turn,
            ..Self::failover()
        }
    }

    /// A member of a router side's entry.
    pub(crate) fn member() -> Self {
        Self {
            mode: "member",
            ..Self::failover()
        }
    }

    fn to_toml(&self, identity: &str, host: &Host, folder: &Path, advertising: Option<&str>) -> String {
        let mut text = String::new();
        let mut line = |line: String| writeln!(text, "{line}").expect("text grows");
        line(format!("identity = \"{identity}\""));
        line("[dns]\nlisten = []\nworkers = 1\ntcp-connections-per-client = 1000".to_owned());
        line("[[zone]]\nname = \"example.com.\"\nfile = \"example.com.zone\"".to_owned());
        line(format!(
            "[scheduler]\nstandby-after = \"{}\"\nhold = \"{}\"",
            self.standby_after, self.hold
        ));
        line(format!("drain-timeout = \"{}\"", self.drain_timeout));
        if self.peers_key.is_some() {
            line(format!("[peers]\nkey-file = \"{PEERS_KEY_FILE}\""));
        }
        line(advertising.map_or_else(|| self.advertising(host), str::to_owned));
        line(format!("[state]\ndirectory = \"{}\"", folder.join("state").display()));
        line(format!("[control]\nsocket = \"{}\"", folder.join("control.sock").display()));
        line("[web]\nlisten = \"127.0.0.1:8053\"".to_owned());
        text
    }

    fn advertising(&self, host: &Host) -> String {
        let mut text = String::new();
        let mut line = |line: String| writeln!(text, "{line}").expect("text grows");
        line(format!(
            "[service]\naddresses = [\"{SERVICE}\"]\ninterface = \"eth0\"\nweight = {}\ncapacity = {}",
            self.weight, self.capacity
        ));
        if self.neighbor_discovery {
            line(format!(
                "[[advertiser]]\nprotocol = \"nd\"\nmode = \"{}\"\ninterval = \"{}\"",
                self.mode, self.interval
            ));
            line(format!("start = \"{}\"\nturn = \"{}\"", self.start, self.turn));
        }
        if let Some(speaker) = &self.ospf {
            line(speaker.to_toml(host));
        }
        text
    }
}

/// A running server, guardian and main. Dropping it kills both.
#[derive(Debug)]
pub(crate) struct Server<'network> {
    /// Its configured identity: `s` and the host's number.
    pub(crate) identity: String,
    /// The host it runs on.
    pub(crate) host: &'network Host,
    guardian: Child,
    folder: TempDir,
}

/// The processes of a server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pids {
    pub(crate) guardian: Pid,
    pub(crate) main: Pid,
}

impl Pids {
    /// SIGKILL of both, as if at once: both are stopped first, so that neither acts on the other's end. Waits for the ends.
    pub(crate) fn kill(self) {
        for signal in [Signal::STOP, Signal::KILL] {
            self.signal_both(signal);
        }
        wait_for(SOON, "killed processes end", || has_ended(self.guardian) && has_ended(self.main));
    }

    /// Freezes both, as if the machine stood still.
    pub(crate) fn freeze(self) {
        self.signal_both(Signal::STOP);
    }

    fn signal_both(self, signal: Signal) {
        for pid in [self.guardian, self.main] {
            kill_process(pid, signal).expect("both processes run");
        }
    }

    /// SIGKILL of main; the guardian sees it. Waits for its end.
    pub(crate) fn kill_main(self) {
        kill_process(self.main, Signal::KILL).expect("main runs");
        wait_for(SOON, "killed main ends", || has_ended(self.main));
    }

    /// Freezes main, or lets it go on. Waits until it stands still.
    pub(crate) fn set_frozen(self, frozen: bool) {
        kill_process(self.main, if frozen { Signal::STOP } else { Signal::CONT }).expect("main runs");
        wait_for(SOON, "main stands still", || !frozen || state_of(self.main) == Some('T'));
    }
}

impl<'network> Server<'network> {
    /// Starts `heraldns serve` on `host`; does not wait for anything.
    pub(crate) fn start(host: &'network Host, setup: &Setup) -> Self {
        Self::launch(host, setup, None)
    }

    /// Starts the only server, in failover, and waits until it is active.
    #[track_caller]
    pub(crate) fn start_active(host: &'network Host) -> Self {
        let server = Self::start(host, &Setup::failover());
        server.wait_for_state("active");
        server
    }

    /// The same with `advertising` instead of the tables `[service]` and `[[advertiser]]`, as they would stand in the file.
    pub(crate) fn start_with(host: &'network Host, setup: &Setup, advertising: &str) -> Self {
        Self::launch(host, setup, Some(advertising))
    }

    fn launch(host: &'network Host, setup: &Setup, advertising: Option<&str>) -> Self {
        let identity = format!("s{}", host.number);
        let folder = tempfile::Builder::new()
            .prefix("heraldns-lab-")
            .tempdir()
            .expect("a temporary folder");
        let secret = setup.ospf.as_ref().and_then(|speaker| Some(speaker.authentication?.1));
        let write = |name, secret: Option<&str>| fs::write(folder.path().join(name), secret.unwrap_or_default());
        write(KEY_FILE, secret).expect("the temporary folder can be written");
        write(PEERS_KEY_FILE, setup.peers_key).expect("the temporary folder can be written");
        let guardian = spawn(
            &host.namespace,
            folder.path(),
            &setup.to_toml(&identity, host, folder.path(), advertising),
        );
        Self {
            identity,
            host,
            guardian,
            folder,
        }
    }

    /// Starts it again after its end, with the same configuration and state.
    pub(crate) fn run_again(&mut self) {
        let _reaped = self.guardian.wait();
        self.guardian = self.host.namespace.enter(|| spawn_configured(self.folder.path()));
    }

    /// What its status says of the advertiser of `protocol`.
    pub(crate) fn advertiser(&self, protocol: &str) -> Value {
        let status = self.status().unwrap_or_default();
        let advertisers = status["advertisers"].as_array().into_iter().flatten();
        let mut wanted = advertisers.filter(|advertiser| advertiser["protocol"] == protocol);
        wanted.next().cloned().unwrap_or_default()
    }

    /// Starts one server on each host of `network`.
    pub(crate) fn start_on_all(network: &'network Network, setup: &Setup) -> Vec<Self> {
        network.hosts.iter().map(|host| Self::start(host, setup)).collect()
    }

    /// The address that a routing protocol gives as its next hop.
    pub(crate) fn link_local(&self) -> Ipv6Addr {
        self.host.link_local()
    }

    /// The link-layer address it advertises.
    pub(crate) fn mac(&self) -> LinkLayerAddress {
        self.host.mac
    }

    /// `heraldns status --json`, or nothing while it does not answer.
    pub(crate) fn status(&self) -> Option<Value> {
        let output = output(program().args(["status", "--json", "--socket"]).arg(self.socket()));
        let text = String::from_utf8_lossy(&output.stdout);
        if text.trim().is_empty() {
            return None;
        }
        let status = serde_json::from_str(&text);
        Some(status.unwrap_or_else(|error| panic!("status --json of {}: {error} in {text}", self.identity)))
    }

    /// `heraldns explain --json`: its last decisions.
    #[track_caller]
    pub(crate) fn decisions(&self) -> Vec<Value> {
        let output = output(program().args(["explain", "--json", "--socket"]).arg(self.socket()));
        let text = String::from_utf8_lossy(&output.stdout);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("explain of {}: {error} in {text}", self.identity))
    }

    /// `heraldns drain`: the receipt, when the drain is over.
    pub(crate) fn drain(&self) -> String {
        let output = output(program().args(["drain", "--socket"]).arg(self.socket()));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// `state` of its status; empty while it does not answer.
    pub(crate) fn state(&self) -> String {
        let status = self.status().unwrap_or_default();
        status["state"].as_str().unwrap_or_default().to_owned()
    }

    /// `reason` of its status.
    pub(crate) fn reason(&self) -> String {
        let status = self.status().unwrap_or_default();
        status["reason"].as_str().unwrap_or_default().to_owned()
    }

    /// True if its status says that it holds the service address.
    pub(crate) fn is_holder(&self) -> bool {
        self.status()
            .is_some_and(|status| status["services"][0]["holder"] == Value::Bool(true))
    }

    /// Waits until its status says `state`; returns how long that took.
    #[track_caller]
    pub(crate) fn wait_for_state(&self, state: &str) -> Duration {
        let begin = clock::now();
        let mut last = String::new();
        while begin.elapsed() < SOON {
            last = self.state();
            if last == state {
                return begin.elapsed();
            }
            clock::let_pass(Duration::from_millis(10));
        }
        panic!(
            "{} does not become {state} within {SOON:?}; it is '{last}': {}",
            self.identity,
            self.reason()
        );
    }

    /// Waits until its status names both processes.
    #[track_caller]
    pub(crate) fn pids(&self) -> Pids {
        wait_for_value(SOON, "status names both processes", || {
            let status = self.status()?;
            let pid = |name: &str| Pid::from_raw(i32::try_from(status["pids"][name].as_i64()?).ok()?);
            Some(Pids {
                guardian: pid("guardian")?,
                main: pid("main")?,
            })
        })
    }

    /// SIGTERM to the guardian: the drain path.
    pub(crate) fn terminate(&self) {
        kill_process(self.guardian_pid(), Signal::TERM).expect("the guardian runs");
    }

    /// SIGKILL of guardian and main.
    pub(crate) fn kill_everything(&self) {
        self.pids().kill();
    }

    /// Waits for the guardian's end.
    #[track_caller]
    pub(crate) fn wait_for_exit(&mut self, limit: Duration) -> ExitStatus {
        let identity = self.identity.clone();
        wait_for_value(limit, &format!("{identity} ends"), || {
            self.guardian.try_wait().expect("our own child")
        })
    }

    /// Resident memory of main, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let main = self.pids().main.as_raw_nonzero();
        let status = fs::read_to_string(format!("/proc/{main}/status")).expect("main runs");
        let kilobytes = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
        kilobytes.expect("the kernel tells resident memory") * 1_024
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("control.sock")
    }

    fn guardian_pid(&self) -> Pid {
        Pid::from_child(&self.guardian)
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {} on {} logged:\n{}", self.identity, self.host.namespace.name(), self.log());
        }
        let _already_gone = self.guardian.kill();
        let _reaped = self.guardian.wait();
        // A main that outlives its guardian ends with the namespace.
    }
}

/// The program, without what the environment of the test run would say in its configuration.
pub(super) fn program() -> Command {
    let mut command = Command::new(PROGRAM);
    let ours = std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("HERALDNS_"));
    ours.for_each(|(name, _)| {
        command.env_remove(name);
    });
    command
}

/// True if the process and its threads are no more, or only wait for its parent to notice: its sockets are closed.
fn has_ended(pid: Pid) -> bool {
    let threads = fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero())).map_or(0, Iterator::count);
    threads <= 1 && state_of(pid).is_none_or(|state| state == 'Z')
}

/// The kernel's letter for what the process does: `T` stands still, `Z` has ended; none if it is no more.
fn state_of(pid: Pid) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    stat.rsplit(')').next()?.trim_start().chars().next()
}

/// Runs `heraldns serve` on `host` without any capability and returns its exit code and what it said.
pub(crate) fn serve_without_capabilities(host: &Host, setup: &Setup) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = setup.to_toml("powerless", host, folder.path(), None);
    let mut child = host.namespace.enter(|| {
        for set in [caps::CapSet::Bounding, caps::CapSet::Inheritable] {
            caps::clear(None, set).expect("root may give capabilities up");
        }
        spawn_here(folder.path(), &config)
    });
    let status = wait_for_value(SOON, "a server without capabilities ends", || {
        child.try_wait().expect("our own child")
    });
    (status.code(), fs::read_to_string(folder.path().join("log")).unwrap_or_default())
}

fn spawn(namespace: &Namespace, folder: &Path, config: &str) -> Child {
    namespace.enter(|| spawn_here(folder, config))
}

fn spawn_here(folder: &Path, config: &str) -> Child {
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).expect("the temporary folder can be written");
    write("heraldns.toml", config);
    write("example.com.zone", ZONE);
    fs::create_dir(folder.join("state")).expect("the temporary folder can be written");
    spawn_configured(folder)
}

fn spawn_configured(folder: &Path) -> Child {
    let log = File::options()
        .create(true)
        .append(true)
        .open(folder.join("log"))
        .expect("the temporary folder can be written");
    program()
        .arg("serve")
        .arg("--config")
        .arg(folder.join("heraldns.toml"))
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a file can be shared"))
        .stderr(log)
        .spawn()
        .unwrap_or_else(|error| panic!("{PROGRAM}: {error}"))
}
