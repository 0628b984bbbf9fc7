//! The four servers, each with the same zone files on a port of its own: heraldns, NSD, Knot, BIND.
//!
//! Their configurations make them comparable: minimal responses, full answers to ANY, no rate limits, the same UDP size.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use heraldns::dns::types::RecordType;
use heraldns::io::clock;
use rustix::process::{Pid, Signal, kill_process};

use crate::client;
use crate::questions::Question;

/// Octets of an answer over UDP, by every server.
pub(crate) const UDP_PAYLOAD: u16 = 4096;
/// Ports of servers: below those that clients get.
const LOWEST_PORT: u16 = 12_000;
const PORTS: u16 = 20_000;
/// A server that has not answered after so long does not run.
const PATIENCE: Duration = Duration::from_secs(60);
/// One that does not end in so long, as Knot in a loop, is killed.
const FAREWELL: Duration = Duration::from_secs(10);

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Program {
    Heraldns,
    Nsd,
    Knot,
    Bind,
}

impl Program {
    pub(crate) const PEERS: [Self; 3] = [Self::Nsd, Self::Knot, Self::Bind];
    pub(crate) const ALL: [Self; 4] = [Self::Heraldns, Self::Nsd, Self::Knot, Self::Bind];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Heraldns => "heraldns",
            Self::Nsd => "NSD",
            Self::Knot => "Knot",
            Self::Bind => "BIND",
        }
    }

    /// The command, and its arguments for a server in the foreground with this configuration.
    fn command(self, configuration: &Path) -> Command {
        let (program, arguments): (_, &[&str]) = match self {
            Self::Heraldns => (env!("CARGO_BIN_EXE_heraldns"), &["serve", "--config"]),
            Self::Nsd => ("nsd", &["-d", "-c"]),
            Self::Knot => ("knotd", &["-c"]),
            Self::Bind => ("named", &["-g", "-n", "1", "-c"]),
        };
        let mut command = Command::new(program);
        command.args(arguments).arg(configuration);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HERALDNS_")) {
            command.env_remove(name);
        }
        command
    }
}

/// A zone as it is served: name without the last dot, and file.
#[derive(Clone, Debug)]
pub(crate) struct ZoneFile {
    pub(crate) apex: String,
    pub(crate) file: PathBuf,
    /// What heraldns serves instead.
    pub(crate) original: Option<PathBuf>,
}

/// A running server. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) program: Program,
    pub(crate) address: SocketAddr,
    process: Child,
    log: PathBuf,
}

impl Server {
    /// Starts a server for these zones; its files are in `folder`. Does not wait.
    pub(crate) fn start(program: Program, zones: &[ZoneFile], folder: &Path) -> Self {
        Self::start_with_cookies(program, zones, folder, None)
    }

    /// Starts a server that makes cookies with this secret and, where it can, answers no client whose cookie is not valid.
    pub(crate) fn start_with_cookies(program: Program, zones: &[ZoneFile], folder: &Path, secret: Option<&str>) -> Self {
        let folder = folder.join(program.name());
        fs::create_dir_all(&folder).unwrap();
        let port = free_port();
        let text = match program {
            Program::Heraldns => heraldns(zones, &folder, port, secret),
            Program::Nsd => nsd(zones, &folder, port, secret),
            Program::Knot => knot(zones, &folder, port, secret),
            Program::Bind => bind(zones, &folder, port, secret),
        };
        let configuration = folder.join("configuration");
        fs::write(&configuration, text).unwrap();
        let path = folder.join("log");
        let log = File::create(&path).unwrap();
        let process = program
            .command(&configuration)
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.name()));
        Self {
            program,
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            process,
            log: path,
        }
    }

    /// What it has said.
    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until it answers.
    pub(crate) fn wait(&mut self) {
        let start = clock::now();
        let question = Question::plain("nothing.invalid.", RecordType::A);
        while !client::is_answered(self.address, &question) {
            let ended = self.process.try_wait().unwrap();
            let late = clock::now().since(start) > PATIENCE;
            assert!(ended.is_none() && !late, "{} does not answer:\n{}", self.program.name(), self.log());
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(pid) = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw)
            && self.process.try_wait().is_ok_and(|ended| ended.is_none())
        {
            let _ = kill_process(pid, Signal::TERM);
            let start = clock::now();
            while self.process.try_wait().is_ok_and(|ended| ended.is_none()) {
                if clock::now().since(start) > FAREWELL {
                    let _ = self.process.kill();
                    let _ = self.process.wait();
                    break;
                }
                thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

/// A port of the loopback address that was free a moment ago, for UDP and TCP: never the same again, and none that the kernel
/// gives to clients, so that nobody takes it before the server does.
fn free_port() -> u16 {
    static HANDED_OUT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = HANDED_OUT.fetch_add(1, Ordering::Relaxed) + std::process::id() * 97;
        let port = LOWEST_PORT + (number % u32::from(PORTS)) as u16;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
            return port;
        }
    }
}

/// `head`, and for each zone what `zone` writes.
fn configuration(head: String, zones: &[ZoneFile], zone: impl Fn(&str, &str) -> String) -> String {
    let mut text = head;
    for entry in zones {
        writeln!(text, "{}", zone(&entry.apex, &entry.file.display().to_string())).unwrap();
    }
    text
}

fn heraldns(zones: &[ZoneFile], folder: &Path, port: u16, secret: Option<&str>) -> String {
    let file = folder.join("cookies");
    let cookies = secret.map_or(String::new(), |secret| {
        fs::write(&file, secret).unwrap();
        format!("cookie-secret-file = \"{}\"\ncookie-required = true\n", file.display())
    });
    let head = format!(
        "identity = \"d1\"
[dns]
listen = [\"127.0.0.1:{port}\"]
workers = 1
udp-payload = {UDP_PAYLOAD}
{cookies}[control]
socket = \"{0}/c.sock\"
[state]
directory = \"{0}/state\"
[web]
listen = \"\"
",
        folder.display()
    );
    let own = |zone: &ZoneFile| ZoneFile {
        file: zone.original.clone().unwrap_or_else(|| zone.file.clone()),
        ..zone.clone()
    };
    let zones: Vec<ZoneFile> = zones.iter().map(own).collect();
    configuration(head, &zones, |apex, file| format!("[[zone]]\nname = \"{apex}\"\nfile = \"{file}\""))
}

fn nsd(zones: &[ZoneFile], folder: &Path, port: u16, secret: Option<&str>) -> String {
    let cookies = secret.map_or("no".to_owned(), |secret| format!("yes\n  cookie-secret: \"{secret}\""));
    let head = format!(
        "server:
  ip-address: 127.0.0.1@{port}
  server-count: 1
  username: \"\"
  chroot: \"\"
  database: \"\"
  zonesdir: \"{0}\"
  pidfile: \"{0}/pid\"
  xfrdfile: \"{0}/xfrd\"
  zonelistfile: \"{0}/zones\"
  xfrdir: \"{0}\"
  hide-version: yes
  minimal-responses: yes
  refuse-any: no
  round-robin: no
  ipv4-edns-size: {UDP_PAYLOAD}
  tcp-query-count: 0
  rrl-ratelimit: 0
  rrl-whitelist-ratelimit: 0
  answer-cookie: {cookies}
  verbosity: 1
remote-control:
  control-enable: no
",
        folder.display()
    );
    configuration(head, zones, |apex, file| {
        format!("zone:\n  name: \"{apex}\"\n  zonefile: \"{file}\"")
    })
}

fn knot(zones: &[ZoneFile], folder: &Path, port: u16, secret: Option<&str>) -> String {
    let module = secret.map_or(String::new(), |secret| {
        format!("mod-cookies:\n  - id: shared\n    secret: 0x{secret}\n")
    });
    let enabled = secret.map_or("", |_| "    global-module: mod-cookies/shared\n");
    let head = format!(
        "server:
    listen: 127.0.0.1@{port}
    rundir: \"{0}\"
    udp-max-payload: {UDP_PAYLOAD}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 2
    tcp-io-timeout: 0
log:
  - target: stderr
    any: warning
database:
    storage: \"{0}\"
{module}template:
  - id: default
{enabled}    semantic-checks: off
    zonefile-sync: -1
    journal-content: none
    zonefile-load: whole
zone:
",
        folder.display()
    );
    configuration(head, zones, |apex, file| format!("  - domain: \"{apex}\"\n    file: \"{file}\""))
}

fn bind(zones: &[ZoneFile], folder: &Path, port: u16, secret: Option<&str>) -> String {
    let cookies = secret.map_or("answer-cookie no;".to_owned(), |secret| {
        format!("answer-cookie yes; cookie-algorithm siphash24; cookie-secret \"{secret}\"; require-server-cookie yes;")
    });
    let head = format!(
        "options {{
    directory \"{0}\";
    pid-file \"{0}/pid\";
    session-keyfile none;
    managed-keys-directory \"{0}\";
    listen-on port {port} {{ 127.0.0.1; }};
    listen-on-v6 {{ none; }};
    recursion no;
    allow-transfer {{ none; }};
    notify no;
    minimal-responses yes;
    minimal-any no;
    max-udp-size {UDP_PAYLOAD};
    edns-udp-size {UDP_PAYLOAD};
    rrset-order {{ order none; }};
    check-names primary ignore;
    check-integrity no;
    check-mx ignore;
    check-mx-cname ignore;
    check-srv-cname ignore;
    check-sibling no;
    check-wildcard no;
    empty-zones-enable no;
    {cookies}
    dnssec-validation no;
}};
controls {{ }};
",
        folder.display()
    );
    configuration(head, zones, |apex, file| {
        format!("zone \"{apex}\" {{ type primary; file \"{file}\"; }};")
    })
}
