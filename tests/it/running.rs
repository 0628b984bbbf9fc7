//! A running server of the real binary, without privileges, for the tests that ask it something.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use heraldns::control::status::Status;
use rustix::process::{Pid, Signal, kill_process};

/// The zone `example.com.` of a server that is started without others.
pub(crate) const ZONE: &str = "$TTL 300\n@ SOA ns hostmaster 7 3600 900 604800 300\n@ NS ns\nns AAAA 2001:db8::1\n";

/// A server that is waited for says something within this time.
const SILENCE: Duration = Duration::from_secs(60);

/// A running server; it is told to stop when this is dropped.
pub(crate) struct Server {
    pub(crate) process: Child,
    /// Where it answers queries.
    pub(crate) address: SocketAddr,
    /// Its lines, as they come.
    log: Receiver<String>,
}

impl Server {
    /// Starts a server in `folder` and waits until it says that it can serve. It has the zone `example.com.` and what else
    /// is in the folder.
    pub(crate) fn start(folder: &Path) -> Self {
        Self::start_with(folder, "")
    }

    /// Starts one with more lines in `[dns]`.
    pub(crate) fn start_with(folder: &Path, dns: &str) -> Self {
        let mut server = Self::launch(folder, dns);
        server.read_until("standby (was starting)");
        server
    }

    /// Starts one and does not wait for anything.
    pub(crate) fn launch(folder: &Path, dns: &str) -> Self {
        fs::write(folder.join("example.com.zone"), ZONE).unwrap();
        let port = free_port();
        let config = format!(
            "identity = \"t1\"\n[dns]\nlisten = [\"127.0.0.1:{port}\"]\n{dns}[zones]\ndirectory = \".\"\n[control]\nsocket = \"run/c.sock\"\n[web]\nlisten = \"\"\n"
        );
        fs::write(folder.join("c.toml"), config).unwrap();
        let mut process = heraldns(folder, &["serve", "--config", "c.toml"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = lines_of(process.stderr.take().unwrap());
        let address = (Ipv4Addr::LOCALHOST, port).into();
        Self { process, address, log }
    }

    /// Reads the log up to a line with `text` in it, which is returned; the log's end is a failure, and so is a long silence.
    pub(crate) fn read_until(&mut self, text: &str) -> String {
        loop {
            match self.log.recv_timeout(SILENCE) {
                Ok(line) if line.contains(text) => return line,
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => panic!("the server does not say '{text}'"),
                Err(RecvTimeoutError::Disconnected) => panic!("the server ended before it said '{text}'"),
            }
        }
    }

    /// Reads the log until each of `texts` has stood in a line, in whatever order.
    pub(crate) fn read_until_all(&mut self, texts: &[&str]) {
        let mut missing = texts.to_vec();
        while !missing.is_empty() {
            let line = self.read_until("");
            missing.retain(|text| !line.contains(text));
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.process.id().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.process.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.signal(Signal::TERM);
            let _ = self.process.wait();
        }
    }
}

fn lines_of(log: ChildStderr) -> Receiver<String> {
    let (lines, received) = mpsc::channel();
    thread::spawn(move || {
        let mut log = BufReader::new(log).lines().map_while(Result::ok);
        log.try_for_each(|line| lines.send(line))
    });
    received
}

/// A port that was free a moment ago, for UDP and TCP.
fn free_port() -> u16 {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        if UdpSocket::bind(address).is_ok() {
            return address.port();
        }
    }
}

pub(crate) fn heraldns(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_heraldns"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HERALDNS_")) {
        command.env_remove(name);
    }
    command.args(arguments).current_dir(folder);
    command
}

pub(crate) fn ask(folder: &Path, command: &[&str]) -> Output {
    let arguments: Vec<&str> = command.iter().copied().chain(["--socket", "run/c.sock"]).collect();
    heraldns(folder, &arguments).output().unwrap()
}

pub(crate) fn status(folder: &Path) -> Status {
    let output = ask(folder, &["status", "--json"]);
    serde_json::from_slice(&output.stdout).unwrap()
}
