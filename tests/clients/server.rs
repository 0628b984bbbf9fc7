//! The real program, with every transport, a certificate of its own and no privileges; perhaps as the child of another program.
//!
//! Each has a loopback address of its own: on 127.0.0.1 its ports could go to a client of another test before it has them.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use heraldns::control::status::{Status, Zone};
use heraldns::control::{self, client};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(20);

/// The name in its certificate.
pub(crate) const NAME: &str = "ns.example.com";

/// Where it listens.
#[derive(Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) address: IpAddr,
    pub(crate) plain: u16,
    pub(crate) tls: u16,
    pub(crate) https: u16,
    pub(crate) quic: u16,
    /// The agent check.
    pub(crate) agent: u16,
    web: u16,
}

/// A running server; it is told to stop when this is dropped.
pub(crate) struct Server {
    pub(crate) folder: TempDir,
    pub(crate) ports: Ports,
    process: Child,
    log: Receiver<String>,
}

impl Server {
    /// Starts the server behind the words of another command, and waits until it says that it can serve.
    pub(crate) fn start(behind: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = own_address();
        let [plain, tls, https, quic, agent, web] = free_ports(address);
        let ports = Ports {
            address,
            plain,
            tls,
            https,
            quic,
            agent,
            web,
        };
        fs::write(folder.path().join("example.com.zone"), zone()).unwrap();
        fs::write(folder.path().join("c.toml"), ports.config()).unwrap();
        make_certificate(&folder);
        Self::run(folder, ports, behind)
    }

    /// Starts it again after its end, with the same configuration.
    pub(crate) fn start_again(mut self) -> Self {
        self.process.wait().unwrap();
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap());
        Self::run(folder, self.ports, &[])
    }

    fn run(folder: TempDir, ports: Ports, behind: &[&str]) -> Self {
        let words = behind
            .iter()
            .copied()
            .chain([env!("CARGO_BIN_EXE_heraldns"), "serve", "--config", "c.toml"]);
        let mut process = command(&folder, words).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let (said, log) = channel();
        // Ends with the server.
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| said.send(line)));
        let server = Self {
            folder,
            ports,
            process,
            log,
        };
        server.read_until("standby (was starting)");
        server
    }

    /// Reads the log up to a line with `text` in it; its end is a failure, and so is a long silence.
    pub(crate) fn read_until(&self, text: &str) {
        let mut said = String::new();
        while !said.lines().next_back().is_some_and(|line| line.contains(text)) {
            match self.log.recv_timeout(PATIENCE) {
                Ok(line) => said += &format!("{line}\n"),
                Err(error) => panic!("the server never said '{text}' ({error}); it said:\n{said}"),
            }
        }
    }

    /// Replaces certificate and key by new ones.
    pub(crate) fn make_certificate(&self) {
        make_certificate(&self.folder);
    }

    /// Runs one of the commands for a running server.
    pub(crate) fn command(&self, words: &[&str]) -> Output {
        let words = words.iter().copied().chain(["--socket", "run/c.sock"]);
        let words = [env!("CARGO_BIN_EXE_heraldns")].into_iter().chain(words);
        command(&self.folder, words).output().unwrap()
    }

    pub(crate) fn status(&self) -> Status {
        client::ask(&self.folder.path().join("run/c.sock"), &control::Command::Status).unwrap()
    }

    pub(crate) fn zones(&self) -> Vec<Zone> {
        client::ask(&self.folder.path().join("run/c.sock"), &control::Command::Zones).unwrap()
    }

    /// The labels of a transport's listener.
    pub(crate) fn labels(&self, transport: &str) -> String {
        let port = match transport {
            "TLS" => self.ports.tls,
            "HTTPS" => self.ports.https,
            "QUIC" => self.ports.quic,
            _ => self.ports.plain,
        };
        format!("address=\"{}:{port}\",transport=\"{transport}\"", self.ports.address)
    }

    /// The value of one line of `/metrics`.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let mut stream = TcpStream::connect((self.ports.address, self.ports.web)).unwrap();
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        let start = format!("heraldns_{name} ");
        let value = page.lines().find_map(|line| line.strip_prefix(&start));
        value.unwrap_or_else(|| panic!("no {name} in {page}")).parse().unwrap()
    }

    /// Sends a signal to the guardian, which may not be the process that was started.
    pub(crate) fn signal(&self, signal: Signal) {
        signal_guardian(&self.status(), signal);
    }
}

fn signal_guardian(status: &Status, signal: Signal) {
    let guardian = status.pids.guardian.unwrap();
    kill_process(Pid::from_raw(guardian.try_into().unwrap()).unwrap(), signal).unwrap();
}

impl Drop for Server {
    fn drop(&mut self) {
        let socket = self.folder.path().join("run/c.sock");
        match client::ask::<Status>(&socket, &control::Command::Status) {
            Ok(status) => signal_guardian(&status, Signal::TERM),
            // It has ended, or never began.
            Err(_) => drop(self.process.kill()),
        }
        let _ = self.process.wait();
    }
}

impl Ports {
    fn config(&self) -> String {
        let Self {
            address,
            plain,
            tls,
            https,
            quic,
            agent,
            web,
        } = self;
        format!(
            r#"identity = "t1"
[dns]
listen = ["{address}:{plain}"]
tls-listen = ["{address}:{tls}"]
https-listen = ["{address}:{https}"]
quic-listen = ["{address}:{quic}"]
certificate-file = "cert.pem"
key-file = "key.pem"
udp-payload = 4096
workers = 1
[zones]
directory = "."
[control]
socket = "run/c.sock"
[web]
listen = "{address}:{web}"
[agent-check]
listen = "{address}:{agent}"
"#
        )
    }
}

fn zone() -> String {
    let mut text = "$TTL 300\n@ SOA ns hostmaster 7 3600 900 604800 300\n@ NS ns\nns A 192.0.2.53\nns AAAA 2001:db8::53\n\
        www A 192.0.2.80\nwww AAAA 2001:db8::80\nmail MX 10 www\nmail MX 20 mx.elsewhere.test.\nsub NS ns.sub\nns.sub A 192.0.2.54\n"
        .to_owned();
    for number in 0..100 {
        text += &format!("many TXT \"number {number}\"\n");
    }
    text
}

fn make_certificate(folder: &TempDir) {
    let made = rcgen::generate_simple_self_signed(vec![NAME.to_owned()]).unwrap();
    fs::write(folder.path().join("cert.pem"), made.cert.pem()).unwrap();
    fs::write(folder.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
}

/// An address that no other server of this run has, nor of another run at the same time.
fn own_address() -> IpAddr {
    static SERVERS: AtomicU8 = AtomicU8::new(1);
    let [.., high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, high | 0x80, low, SERVERS.fetch_add(1, Relaxed)).into()
}

/// A port that is free on an address of our own.
pub(crate) fn free_port(address: IpAddr) -> u16 {
    free_ports::<1>(address)[0]
}

/// Ports that are free on an address of our own, for UDP and TCP.
fn free_ports<const COUNT: usize>(address: IpAddr) -> [u16; COUNT] {
    // All are held until the last is found: none comes twice.
    let held: [(TcpListener, UdpSocket); COUNT] = std::array::from_fn(|_| {
        loop {
            let listener = TcpListener::bind((address, 0)).unwrap();
            if let Ok(socket) = UdpSocket::bind(listener.local_addr().unwrap()) {
                return (listener, socket);
            }
        }
    });
    held.each_ref().map(|(listener, _)| listener.local_addr().unwrap().port())
}

fn command<'w>(folder: &TempDir, mut words: impl Iterator<Item = &'w str>) -> Command {
    let mut command = Command::new(words.next().unwrap());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HERALDNS_")) {
        command.env_remove(name);
    }
    command.args(words).current_dir(folder.path());
    command
}
