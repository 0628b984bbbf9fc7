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

use crate::machine;
use crate::process::Tree;
use crate::programs::Program;
use crate::question::Question;
use crate::zones::Zone;

/// A server that has not answered after so long does not run.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often a server that loads is asked.
const POLL: Duration = Duration::from_millis(1);
/// How long a server that is told to stop may take.
const STOP: Duration = Duration::from_secs(20);

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
        // taskset for the processor, setpriv so that nothing is left when the benchmark itself is killed
        let mut command = Command::new("setpriv");
        let processors = match self {
            Self::Server | Self::Callgrind(_) => machine::SERVER.to_string(),
            Self::Anywhere => format!("{},{}", machine::SERVER, machine::ASKER),
        };
        command.args(["--pdeathsig", "TERM", "taskset", "-c", &processors]);
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
        program.executable(&self.heraldns).is_some()
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
        let executable = program.executable(&self.heraldns).ok_or(io::ErrorKind::NotFound)?;
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

/// A port of the loopback address that was free a moment ago, for UDP and TCP.
fn free_address() -> io::Result<SocketAddr> {
    loop {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        if UdpSocket::bind(address).is_ok() {
            return Ok(address);
        }
    }
}
