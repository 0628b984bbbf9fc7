//! The servers that are compared, each started in a folder of its own, and ended with all its processes when it is dropped.

use std::fs::{self, File};
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use heraldns::base::time::Timestamp;
use heraldns::io::clock;
use rustix::process::{Pid, Signal, kill_process};

use crate::configurations;
use crate::machine;
use crate::process::Tree;
use crate::question::Question;
use crate::zones::{Kind, Zone};

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
    /// NSD built from the distribution's source with recvmmsg and packed structures; HERALDNS_BENCH_NSD names the program.
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
    pub(crate) const ALL: [Self; 7] = [
        Self::Heraldns,
        Self::Nsd,
        Self::NsdBuilt,
        Self::Knot,
        Self::Bind,
        Self::Powerdns,
        Self::Reflector,
    ];

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

    fn executable(self, site: &Site) -> Option<PathBuf> {
        let path = match self {
            Self::Heraldns => site.heraldns.canonicalize().ok(),
            Self::Nsd => find("nsd"),
            Self::NsdBuilt => std::env::var_os("HERALDNS_BENCH_NSD").map(PathBuf::from),
            Self::Knot => find("knotd"),
            Self::Bind => find("named"),
            Self::Powerdns => find("pdns_server"),
            Self::Reflector => std::env::current_exe().ok(),
        };
        path.filter(|path| path.is_file())
    }

    /// The arguments for a server in the foreground.
    fn arguments(self, configuration: &Path, address: SocketAddr, place: Place<'_>) -> Vec<String> {
        let file = configuration.display();
        let folder = configuration.parent().unwrap_or(Path::new(".")).display();
        let text = match self {
            // valgrind knows no pidfd, by which the guardian watches its child
            Self::Heraldns if matches!(place, Place::Callgrind(_)) => format!("main-process --config {file}"),
            Self::Heraldns => format!("serve --config {file}"),
            Self::Nsd | Self::NsdBuilt => format!("-d -c {file}"),
            Self::Knot => format!("-c {file}"),
            Self::Bind => format!("-f -4 -n 1 -c {file}"),
            Self::Powerdns => format!("--config-dir={folder}"),
            Self::Reflector => format!("--reflect {address}"),
        };
        text.split(' ').map(str::to_owned).collect()
    }

    fn version_argument(self) -> Option<&'static str> {
        match self {
            Self::Nsd | Self::NsdBuilt | Self::Bind => Some("-v"),
            Self::Knot => Some("-V"),
            Self::Heraldns | Self::Powerdns => Some("--version"),
            Self::Reflector => None,
        }
    }

    fn write_configuration(self, zone: &Zone, folder: &Path, port: u16) -> io::Result<PathBuf> {
        let (name, text) = match self {
            Self::Heraldns => ("heraldns.toml", configurations::heraldns(zone, folder, port)),
            Self::Nsd | Self::NsdBuilt => ("nsd.conf", configurations::nsd(zone, folder, port)),
            Self::Knot => ("knot.conf", configurations::knot(zone, folder, port)),
            Self::Bind => ("named.conf", configurations::bind(zone, folder, port)),
            Self::Powerdns => ("pdns.conf", configurations::powerdns(folder, port)),
            Self::Reflector => ("nothing", String::new()),
        };
        let path = folder.join(name);
        fs::write(&path, text)?;
        if self == Self::Powerdns {
            fs::write(folder.join("zones.conf"), configurations::powerdns_zones(zone, folder))?;
            prepare_powerdns(zone, folder)?;
        }
        Ok(path)
    }
}

/// How a server runs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place<'p> {
    /// On the processor of servers.
    Server,
    /// On all processors.
    Anywhere,
    /// Below callgrind, which writes into this file and does not count yet.
    Callgrind(&'p Path),
}

impl Place<'_> {
    /// The command to put before the server's own.
    fn command(self) -> Command {
        let mut command = Command::new("taskset");
        let processors = match self {
            Self::Server | Self::Callgrind(_) => machine::SERVER.to_string(),
            Self::Anywhere => format!("{},{}", machine::SERVER, machine::ASKER),
        };
        command.args(["-c", &processors]);
        if let Self::Callgrind(file) = self {
            command.args(["valgrind", "--tool=callgrind", "--trace-children=yes", "--instr-atstart=no"]);
            command.arg(format!("--callgrind-out-file={}", file.display()));
        }
        command
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
        program.executable(self).is_some()
    }

    /// The version that a program tells; empty if it has none.
    pub(crate) fn version(&self, program: Program) -> String {
        let told = program.executable(self).zip(program.version_argument());
        let output = told.and_then(|(path, argument)| Command::new(path).arg(argument).stdin(Stdio::null()).output().ok());
        let text = output.map_or_else(String::new, |output| {
            String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
        });
        let is_version = |word: &&str| word.contains('.') && word.starts_with(|first: char| first.is_ascii_digit());
        let words = text.split(|letter: char| letter.is_whitespace() || letter == ',' || letter == '-');
        words.into_iter().find(is_version).unwrap_or_default().to_owned()
    }

    /// Starts a server for a zone. Does not wait.
    pub(crate) fn start(&self, program: Program, zone: &Zone, place: Place<'_>) -> io::Result<Server> {
        let folder = self.folder.join(program.name());
        // what an earlier start has left, a journal for one, would make this start another one
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let address = free_address()?;
        let configuration = program.write_configuration(zone, &folder, address.port())?;
        let log = folder.join("log");
        let output = File::create(&log)?;
        let executable = program.executable(self).ok_or(io::ErrorKind::NotFound)?;
        let mut command = place.command();
        command.arg(executable).args(program.arguments(&configuration, address, place));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HERALDNS_")) {
            command.env_remove(name);
        }
        command
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        Ok(Server {
            program,
            address,
            process: command.spawn()?,
            log,
        })
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

    /// Asks for the zone's sentinel every millisecond until the right answer comes.
    pub(crate) fn wait(&mut self, zone: &Zone) -> io::Result<()> {
        self.wait_watching(zone, PATIENCE, || ())
    }

    /// The same, with a look at something else every so often.
    pub(crate) fn wait_watching(&mut self, zone: &Zone, every: Duration, mut look: impl FnMut()) -> io::Result<()> {
        let start = clock::now();
        let socket = UdpSocket::bind(("127.0.0.1", 0))?;
        socket.connect(self.address)?;
        socket.set_read_timeout(Some(POLL))?;
        let address = self.program.answers().then_some(zone.sentinel_address);
        let (mut id, mut looked) = (0, start);
        while !is_answered(&socket, &zone.sentinel, id, address) {
            id += 1;
            let now = clock::now();
            if self.process.try_wait()?.is_some() || now.since(start) > PATIENCE {
                return Err(self.complain());
            }
            if now.since(looked) > every {
                looked = now;
                look();
            }
        }
        Ok(())
    }

    fn complain(&self) -> io::Error {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().take(20).collect();
        io::Error::other(format!(
            "{} does not answer as it should:\n{}",
            self.program.name(),
            lines.join("\n")
        ))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let start = clock::now();
        let processes = self.tree().processes();
        signal(self.process.id(), Signal::TERM);
        while is_patient(start) && !matches!(self.process.try_wait(), Ok(Some(_)) | Err(_)) {
            std::thread::sleep(POLL);
        }
        let lives = |pid: &u32| Path::new(&format!("/proc/{pid}")).exists();
        while is_patient(start) && processes.iter().any(lives) {
            std::thread::sleep(POLL);
        }
        // those that do not hear, or that their parent has left behind
        processes.into_iter().filter(lives).for_each(|pid| signal(pid, Signal::KILL));
        let _ = self.process.wait();
    }
}

fn is_patient(start: Timestamp) -> bool {
    clock::now().since(start) < STOP
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// Asks once, and takes a millisecond at least; true if an answer with this address in it comes.
fn is_answered(socket: &UdpSocket, question: &Question, id: u16, address: Option<[u8; 4]>) -> bool {
    let start = clock::now();
    let sent = socket.send(&question.message(id));
    let mut buffer = [0; 4096];
    if let Ok(octets) = sent.and_then(|_| socket.recv(&mut buffer)) {
        let has_address = |address: [u8; 4]| {
            let data = [&[0, 4], &address[..]].concat();
            buffer[..octets].windows(data.len()).any(|window| window == data)
        };
        if address.is_none_or(has_address) {
            return true;
        }
    }
    // a closed port refuses at once
    std::thread::sleep(POLL.saturating_sub(clock::now().since(start)));
    false
}

fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/local/sbin", "/usr/sbin"].map(PathBuf::from));
    folders.map(|folder| folder.join(name)).find(|path| path.is_file())
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

/// PowerDNS keeps beside the zone whether and how it is signed.
fn prepare_powerdns(zone: &Zone, folder: &Path) -> io::Result<()> {
    let run = |arguments: &[&str]| {
        let mut command = Command::new("pdnsutil");
        command
            .arg(format!("--config-dir={}", folder.display()))
            .args(arguments)
            .stdin(Stdio::null());
        let output = command.output()?;
        match output.status.success() {
            true => Ok(()),
            false => Err(io::Error::other(format!(
                "pdnsutil {arguments:?}: {}",
                String::from_utf8_lossy(&output.stderr)
            ))),
        }
    };
    run(&["create-bind-db", &format!("{}/dnssec.db", folder.display())])?;
    match zone.kind {
        Kind::Nsec3 => {
            run(&["set-nsec3", zone.apex, "1 0 0 -"])?;
            run(&["set-presigned", zone.apex])
        }
        Kind::Small | Kind::Large => Ok(()),
    }
}
