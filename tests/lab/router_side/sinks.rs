//! What stands in for servers when only the way to them is measured: sinks that count datagrams and echo on TCP.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::harness::clock::{let_pass, wait_for};
use crate::harness::host::Host;
use crate::harness::namespace::Namespace;
use crate::harness::network::{SERVICE, client_address};

const PORT: u16 = 5300;
const SOON: Duration = Duration::from_secs(5);

/// A sink on each of several hosts, which have the service address.
#[derive(Debug)]
pub(crate) struct Sinks {
    counted: Vec<Arc<AtomicUsize>>,
    stopped: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Sinks {
    pub(crate) fn start(hosts: &[Host]) -> Self {
        let stopped = Arc::new(AtomicBool::new(false));
        let (mut counted, mut threads) = (Vec::new(), Vec::new());
        for host in hosts {
            host.set_service_address(true);
            let (datagrams, listener) = host.namespace.enter(|| {
                let datagrams = UdpSocket::bind((SERVICE, PORT)).expect("the host has the service address");
                let listener = TcpListener::bind((SERVICE, PORT)).expect("the host has the service address");
                (datagrams, listener)
            });
            let count = Arc::new(AtomicUsize::new(0));
            threads.push(thread::spawn({
                let (count, stopped) = (count.clone(), stopped.clone());
                move || sink(&datagrams, &count, &stopped)
            }));
            threads.push(thread::spawn({
                let (number, stopped) = (host.number as u8, stopped.clone());
                move || echo(&listener, number, &stopped)
            }));
            counted.push(count);
        }
        Self { counted, stopped, threads }
    }

    /// Sends `flows` datagrams, each from a port of its own, and returns the share of each host in percent.
    /// Panics if one does not arrive.
    #[track_caller]
    pub(crate) fn shares(&self, client: &Namespace, flows: usize) -> Vec<f64> {
        let before: Vec<usize> = self.counts();
        let start: usize = before.iter().sum();
        client.enter(|| {
            for number in 0..flows {
                // Not at once, so that the receive buffer of no sink overflows, whichever gets them all.
                if number % 50 == 0 {
                    wait_for(SOON, "what was sent arrives", || self.total() - start + 50 >= number);
                }
                let socket = UdpSocket::bind(SocketAddr::from((client_address(1), 0))).expect("the client has its address");
                socket.send_to(b"flow", (SERVICE, PORT)).expect("the service is routed");
            }
        });
        wait_for(SOON, "all flows arrive", || self.total() - start >= flows);
        let counts = self.counts();
        let shares = counts
            .iter()
            .zip(before)
            .map(|(now, before)| (now - before) as f64 * 100.0 / flows as f64);
        shares.collect()
    }

    fn counts(&self) -> Vec<usize> {
        self.counted.iter().map(|count| count.load(Ordering::Relaxed)).collect()
    }

    fn total(&self) -> usize {
        self.counts().iter().sum()
    }
}

impl Drop for Sinks {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _its_panic_was_printed = thread.join();
        }
    }
}

/// TCP connections to the service address, each with the host that it was accepted by.
#[derive(Debug)]
pub(crate) struct Connections(Vec<(TcpStream, u8)>);

impl Connections {
    pub(crate) fn open(client: &Namespace, count: usize) -> Self {
        let open = || {
            let mut stream = TcpStream::connect((SERVICE, PORT)).expect("the service is reached");
            stream.set_read_timeout(Some(Duration::from_secs(2))).expect("a timeout can be set");
            stream.set_nodelay(true).expect("a socket option");
            let host = exchange(&mut stream).expect("a new connection works");
            (stream, host)
        };
        Self(client.enter(|| (0..count).map(|_| open()).collect()))
    }

    /// Sends on each and counts, per host, those that are not answered by the host they were opened to.
    pub(crate) fn broken(&mut self) -> BTreeMap<u8, usize> {
        let mut broken = BTreeMap::new();
        for (stream, host) in &mut self.0 {
            if exchange(stream) != Some(*host) {
                *broken.entry(*host).or_default() += 1;
            }
        }
        broken
    }

    /// How many there are to each host.
    pub(crate) fn hosts(&self) -> BTreeMap<u8, usize> {
        let mut hosts = BTreeMap::new();
        for (_, host) in &self.0 {
            *hosts.entry(*host).or_default() += 1;
        }
        hosts
    }

    /// Closes those to one host.
    pub(crate) fn close(&mut self, host: u8) {
        self.0.retain(|(_, accepted_by)| *accepted_by != host);
    }
}

/// A link-local address as the kernel would not make it, for servers that are only numbers.
pub(crate) fn numbered(number: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0x53, number)
}

fn exchange(stream: &mut TcpStream) -> Option<u8> {
    let mut answer = [0];
    stream.write_all(b"?").ok()?;
    stream.read_exact(&mut answer).ok()?;
    Some(answer[0])
}

fn sink(datagrams: &UdpSocket, count: &AtomicUsize, stopped: &AtomicBool) {
    datagrams
        .set_read_timeout(Some(Duration::from_millis(50)))
        .expect("a timeout can be set");
    let mut buffer = [0; 64];
    while !stopped.load(Ordering::Relaxed) {
        if datagrams.recv(&mut buffer).is_ok() {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Answers each octet with the host's number.
fn echo(listener: &TcpListener, number: u8, stopped: &AtomicBool) {
    listener.set_nonblocking(true).expect("a socket option");
    let mut streams: Vec<TcpStream> = Vec::new();
    while !stopped.load(Ordering::Relaxed) {
        while let Ok((stream, _)) = listener.accept() {
            stream.set_nonblocking(true).expect("a socket option");
            streams.push(stream);
        }
        streams.retain_mut(|stream| {
            let mut buffer = [0; 16];
            match stream.read(&mut buffer) {
                Ok(0) => false,
                Ok(length) => stream.write_all(&vec![number; length]).is_ok(),
                Err(error) => error.kind() == ErrorKind::WouldBlock,
            }
        });
        let_pass(Duration::from_micros(500));
    }
}
