//! The servers that are compared, each started in a folder of its own on processor 0, and ended when it is dropped.
//!
//! Default configurations, but for: one worker, minimal responses, no rate limit, no privileges dropped, loopback only.

use std::fs::{self, File};
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use heraldns::io::clock;
use rustix::process::{Pid, Signal, kill_process};

use crate::process::Tree;
use crate::question::Question;
use crate::zones::Zone;

/// A server that has not answered after so long does not run.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often a server that loads is asked.
const POLL: Duration = Duration::from_millis(1);
/// How long a server that is told to stop may take.
const STOP: Duration = Duration::from_secs(20);

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Program {
    /// This project's.
    Heraldns,
    /// The distribution's NSD.
    Nsd,
    /// NSD from the distribution's source, with recvmmsg and packed structures; `HERALDNS_BENCH_NSD` names the program.
    NsdBuilt,
    /// Knot DNS.
    Knot,
    /// BIND.
    Bind,
    /// PowerDNS with its bind backend.
    Powerdns,
    /// Turns each query round.
    Reflector,
}

impl Program {
    pub(crate) const ALL: [Self; 7] =
        [Self::Heraldns, Self::Nsd, Self::NsdBuilt, Self::Knot, Self::Bind, Self::Powerdns, Self::Reflector];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Heraldns => "heraldns",
            Self::Nsd => "nsd",
            Self::NsdBuilt => "nsd-built",
            Self::Knot => "knot",
            Self::Bind => "bind",
            Self::Powerdns => "powerdns",
            Self::Reflector => "reflector",
        }
    }

    /// Whether it reads zones and its answers mean something.
    pub(crate) fn answers(self) -> bool {
        self != Self::Reflector
    }

    fn executable(self, heraldns: &Path) -> Option<PathBuf> {
        match self {
            Self::Heraldns => Some(heraldns.to_owned()),
            Self::Nsd => find("nsd"),
            Self::NsdBuilt => std::env::var_os("HERALDNS_BENCH_NSD").map(PathBuf::from),
            Self::Knot => find("knotd"),
            Self::Bind => find("named"),
            Self::Powerdns => find("pdns_server"),
            Self::Reflector => std::env::current_exe().ok(),
        }
        .filter(|path| path.is_file())
    }

    fn arguments(self, configuration: &Path, address: SocketAddr) -> Vec<String> {
        let file = configuration.display();
        let folder = configuration.parent().unwrap_or(Path::new(".")).display();
        let text = match self {
            Self::Heraldns => format!("serve --config {file}"),
            Self::Nsd | Self::NsdBuilt => format!("-d -c {file}"),
            Self::Knot => format!("-c {file}"),
            Self::Bind => format!("-f -4 -n 1 -c {file}"),
            Self::Powerdns => format!("--config-dir={folder}"),
            Self::Reflector => format!("--reflect {address}"),
        };
        text.split(' ').map(str::to_owned).collect()
    }

    fn configuration(self, zone: &Zone, folder: &Path, port: u16) -> String {
        match self {
            Self::Heraldns => heraldns(zone, folder, port),
            Self::Nsd | Self::NsdBuilt => nsd(zone, folder, port),
            Self::Knot => knot(zone, folder, port),
            Self::Bind => bind(zone, folder, port),
            Self::Powerdns => powerdns(folder, port),
            Self::Reflector => String::new(),
        }
    }

    /// The name that the program wants its configuration to have.
    fn configuration_name(self) -> &'static str {
        match self {
            Self::Powerdns => "pdns.conf",
            _ => "configuration",
        }
    }
}

/// Where the programs and their files are.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub(crate) folder: PathBuf,
    /// The program to measure as heraldns.
    pub(crate) heraldns: PathBuf,
}

impl Site {
    /// Whether the program is on this machine.
    pub(crate) fn has(&self, program: Program) -> bool {
        program.executable(&self.heraldns).is_some()
    }

    /// Starts a server for a zone on these processors, in `taskset`'s writing. Does not wait.
    pub(crate) fn start(&self, program: Program, zone: &Zone, processors: &str, wrapper: &[String]) -> io::Result<Server> {
        let folder = self.folder.join(program.name());
        // what an earlier start has left, a journal for one, would be another start
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder)?;
        let address = free_address()?;
        let configuration = folder.join(program.configuration_name());
        fs::write(&configuration, program.configuration(zone, &folder, address.port()))?;
        if program == Program::Powerdns {
            fs::write(folder.join("named.conf"), powerdns_zones(zone, &folder))?;
            prepare_powerdns(zone, &folder)?;
        }
        let log = folder.join("log");
        let output = File::create(&log)?;
        let executable = program.executable(&self.heraldns).ok_or(io::ErrorKind::NotFound)?;
        let mut command = Command::new("taskset");
        command.args(["-c", processors]).args(wrapper).arg(executable);
        command.args(program.arguments(&configuration, address));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HERALDNS_")) {
            command.env_remove(name);
        }
        command.current_dir(&folder).stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        Ok(Server { program, address, process: command.spawn()?, log })
    }
}

/// A running server. Dropping it ends it and all its processes.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) program: Program,
    pub(crate) address: SocketAddr,
    process: Child,
    log: PathBuf,
}

impl Server {
    pub(crate) fn tree(&self) -> Tree {
        Tree(self.process.id())
    }

    /// Asks for the zone's sentinel until the right answer comes.
    pub(crate) fn wait(&mut self, zone: &Zone) -> io::Result<()> {
        let start = clock::now();
        let socket = UdpSocket::bind(("127.0.0.1", 0))?;
        socket.connect(self.address)?;
        socket.set_read_timeout(Some(POLL))?;
        let mut id = 0;
        loop {
            id += 1;
            if is_answered(&socket, &zone.sentinel, id, self.program.answers().then_some(zone.sentinel_address)) {
                return Ok(());
            }
            if self.process.try_wait()?.is_some() || clock::now().since(start) > PATIENCE {
                let log = fs::read_to_string(&self.log).unwrap_or_default();
                return Err(io::Error::other(format!("{} does not answer:\n{log}", self.program.name())));
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let processes = self.tree().processes();
        signal(self.process.id(), Signal::TERM);
        let start = clock::now();
        while clock::now().since(start) < STOP && !matches!(self.process.try_wait(), Ok(Some(_)) | Err(_)) {
            std::thread::sleep(POLL);
        }
        // a child that its parent has left behind
        for pid in processes.into_iter().filter(|pid| Path::new(&format!("/proc/{pid}")).exists()) {
            signal(pid, Signal::KILL);
        }
        let _ = self.process.wait();
    }
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// Asks once; true if an answer with this address in it comes within the socket's patience.
fn is_answered(socket: &UdpSocket, question: &Question, id: u16, address: Option<[u8; 4]>) -> bool {
    let start = clock::now();
    let sent = socket.send(&question.message(id));
    let mut buffer = [0; 4096];
    let received = sent.and_then(|_| socket.recv(&mut buffer));
    if let Ok(octets) = received {
        let is_right = |address: [u8; 4]| {
            // the address record comes last, but for signature and OPT
            buffer[6..8] != [0, 0] && buffer[12..octets].windows(6).any(|window| window[..2] == [0, 4] && window[2..] == address)
        };
        if address.is_none_or(is_right) {
            return true;
        }
    }
    // a closed port refuses at once
    let used = clock::now().since(start);
    std::thread::sleep(POLL.saturating_sub(used));
    false
}

fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let sbin = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(sbin).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// A port of the loopback address that was free a moment ago, for UDP and TCP.
fn free_address() -> io::Result<SocketAddr> {
    loop {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        if UdpSocket::bind(address).is_ok() {
            return Ok(address);
        }
    }
}

fn heraldns(zone: &Zone, folder: &Path, port: u16) -> String {
    format!(
        "identity = \"bench\"
[dns]
listen = [\"127.0.0.1:{port}\"]
workers = 1
[control]
socket = \"{0}/control.sock\"
[state]
directory = \"{0}/state\"
[web]
listen = \"\"
[[zone]]
name = \"{1}\"
file = \"{2}\"
",
        folder.display(),
        zone.apex,
        zone.file.display()
    )
}

fn nsd(zone: &Zone, folder: &Path, port: u16) -> String {
    format!(
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
  minimal-responses: yes
  rrl-ratelimit: 0
  rrl-whitelist-ratelimit: 0
remote-control:
  control-enable: no
zone:
  name: \"{1}\"
  zonefile: \"{2}\"
",
        folder.display(),
        zone.apex,
        zone.file.display()
    )
}

fn knot(zone: &Zone, folder: &Path, port: u16) -> String {
    format!(
        "server:
    listen: 127.0.0.1@{port}
    rundir: \"{0}\"
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: warning
database:
    storage: \"{0}\"
zone:
  - domain: \"{1}\"
    file: \"{2}\"
",
        folder.display(),
        zone.apex,
        zone.file.display()
    )
}

fn bind(zone: &Zone, folder: &Path, port: u16) -> String {
    format!(
        "options {{
    directory \"{0}\";
    pid-file \"{0}/pid\";
    session-keyfile none;
    managed-keys-directory \"{0}\";
    listen-on port {port} {{ 127.0.0.1; }};
    listen-on-v6 {{ none; }};
    recursion no;
    minimal-responses yes;
    notify no;
}};
controls {{ }};
zone \"{1}\" {{ type primary; file \"{2}\"; }};
",
        folder.display(),
        zone.apex,
        zone.file.display()
    )
}

fn powerdns(folder: &Path, port: u16) -> String {
    format!(
        "launch=bind
bind-config={0}/named.conf
bind-dnssec-db={0}/dnssec.db
local-address=127.0.0.1
local-port={port}
receiver-threads=1
distributor-threads=1
socket-dir={0}
security-poll-suffix=
",
        folder.display()
    )
}

fn powerdns_zones(zone: &Zone, folder: &Path) -> String {
    format!(
        "options {{ directory \"{}\"; }};\nzone \"{}\" {{ type master; file \"{}\"; }};\n",
        folder.display(),
        zone.apex,
        zone.file.display()
    )
}

/// PowerDNS keeps beside the zone whether it is signed.
fn prepare_powerdns(zone: &Zone, folder: &Path) -> io::Result<()> {
    let run = |arguments: &[&str]| {
        let mut command = Command::new("pdnsutil");
        command.arg(format!("--config-dir={}", folder.display())).args(arguments).stdin(Stdio::null());
        let output = command.output()?;
        match output.status.success() {
            true => Ok(()),
            false => Err(io::Error::other(format!("pdnsutil {arguments:?}: {}", String::from_utf8_lossy(&output.stderr)))),
        }
    };
    run(&["create-bind-db", &format!("{}/dnssec.db", folder.display())])?;
    match zone.kind {
        crate::zones::Kind::Nsec3 => run(&["set-presigned", zone.apex]),
        _ => Ok(()),
    }
}
