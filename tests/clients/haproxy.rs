//! HAProxy before a server, with an agent check: its own view of the server follows the server's load and state.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use heraldns::io::clock;
use rustix::process::Signal;

use crate::kdig;
use crate::server::{Server, free_port};

const PATIENCE: Duration = Duration::from_secs(40);
/// `example.com. SOA`.
const QUERY: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x07example\x03com\0\0\x06\0\x01";

/// A running HAProxy with one frontend and one server.
struct Haproxy {
    process: Child,
    socket: PathBuf,
    frontend: u16,
}

/// What it knows of its server.
#[derive(Debug)]
struct View {
    status: String,
    weight: u32,
    agent: String,
}

impl Haproxy {
    fn start(server: &Server) -> Self {
        let (folder, ports) = (server.folder.path(), &server.ports);
        let (socket, frontend) = (folder.join("haproxy.sock"), free_port(ports.address));
        let (address, plain, agent) = (ports.address, ports.plain, ports.agent);
        let config = format!(
            "global\n  stats socket {} mode 600 level admin\n\
             defaults\n  mode tcp\n  timeout connect 2s\n  timeout client 10s\n  timeout server 10s\n  timeout check 2s\n\
             frontend dns\n  bind {address}:{frontend}\n  default_backend farm\n\
             backend farm\n  server t1 {address}:{plain} weight 100 check inter 200ms agent-check agent-addr {address} agent-port {agent} agent-inter 100ms\n",
            socket.display()
        );
        let file = folder.join("haproxy.cfg");
        fs::write(&file, config).unwrap();
        let mut process = Command::new("haproxy")
            .args(["-db", "-f"])
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(process.stderr.take().unwrap());
        // So that it never waits for a reader.
        thread::spawn(move || said.lines().map_while(Result::ok).for_each(|line| eprintln!("haproxy: {line}")));
        Self { process, socket, frontend }
    }

    /// The server's row of `show stat`; nothing while it does not answer.
    fn view(&self) -> Option<View> {
        let mut stream = UnixStream::connect(&self.socket).ok()?;
        stream.write_all(b"show stat\n").ok()?;
        let mut table = String::new();
        stream.read_to_string(&mut table).ok()?;
        let names: Vec<&str> = table.lines().next()?.trim_start_matches("# ").split(',').collect();
        let row: Vec<&str> = table.lines().find(|line| line.starts_with("farm,t1,"))?.split(',').collect();
        let field = |name: &str| Some((*row.get(names.iter().position(|known| *known == name)?)?).to_owned());
        Some(View {
            status: field("status")?,
            weight: field("weight")?.parse().ok()?,
            agent: field("agent_status")?,
        })
    }

    #[track_caller]
    fn wait_for(&self, what: &str, reached: impl Fn(&View) -> bool) -> View {
        let start = clock::now();
        loop {
            let view = self.view();
            match view {
                Some(view) if reached(&view) => return view,
                view => assert!(clock::now().since(start) < PATIENCE, "{what}: {view:?}"),
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        let _already_gone = self.process.kill();
        let _ = self.process.wait();
    }
}

/// More queries than one worker can answer, until it is `enough`.
fn flood(server: SocketAddr, enough: &AtomicBool) {
    let socket = UdpSocket::bind((server.ip(), 0)).unwrap();
    socket.connect(server).unwrap();
    while !enough.load(Relaxed) {
        // Refused while the queue is full, at the most.
        let _ = socket.send(QUERY);
    }
}

/// The line that the agent says.
fn line(server: &Server) -> String {
    let mut stream = TcpStream::connect((server.ports.address, server.ports.agent)).unwrap();
    // As HAProxy does with `agent-send`.
    stream.write_all(b"hello\n").unwrap();
    let mut line = String::new();
    stream.read_to_string(&mut line).unwrap();
    line
}

/// What kdig gets through HAProxy.
fn asks_through(server: &Server, haproxy: &Haproxy) -> Option<String> {
    kdig(server, "+tcp", haproxy.frontend, "example.com. SOA")
}

pub(crate) fn follows_load_and_state() {
    let server = Server::start(&[]);
    let haproxy = Haproxy::start(&server);
    let view = haproxy.wait_for("it is up", |view| view.status == "UP" && view.agent == "L7OK");
    assert_eq!(view.weight, 100);
    assert_eq!(line(&server), "up ready 100%\n");
    assert!(asks_through(&server, &haproxy).is_some());

    let (enough, address) = (AtomicBool::new(false), SocketAddr::from((server.ports.address, server.ports.plain)));
    let loaded = thread::scope(|scope| {
        scope.spawn(|| flood(address, &enough));
        scope.spawn(|| flood(address, &enough));
        let loaded = haproxy.wait_for("the weight falls", |view| view.weight < 90);
        enough.store(true, Relaxed);
        loaded
    });
    assert!(loaded.weight >= 13 && loaded.status == "UP", "{loaded:?}");
    haproxy.wait_for("the weight comes back", |view| view.weight == 100);

    assert!(server.command(&["drain"]).status.success());
    assert_eq!(line(&server), "up drain\n");
    haproxy.wait_for("it drains", |view| view.status.starts_with("DRAIN"));
    assert!(server.command(&["undrain"]).status.success());
    haproxy.wait_for("it is up again", |view| view.status == "UP" && view.weight == 100);

    let guardian = server.status().pids.guardian.unwrap();
    server.signal(Signal::TERM);
    server.read_until("stopped");
    haproxy.wait_for("its health check fails", |view| {
        view.status.starts_with("DOWN") || view.status.starts_with("DRAIN")
    });
    let server = server.start_again();
    assert_ne!(server.status().pids.guardian, Some(guardian));
    haproxy.wait_for("it is up after a restart", |view| view.status == "UP" && view.weight == 100);
    assert!(asks_through(&server, &haproxy).is_some());
}
