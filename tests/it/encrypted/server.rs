//! A service with every transport on the loopback interface, and how it is asked.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwap;
use heraldns::dns::counters::{Counters, Tally, Transport};
use heraldns::dns::protect::Protection;
use heraldns::dns::protect::cookie::Secrets;
use heraldns::dns::server::encrypted::{CertificateFiles, Certificates, Encrypted, EncryptedListener, Encryption};
use heraldns::dns::server::{Limits, Listener, Service, Shared};
use heraldns::io::clock;
use rustls::pki_types::CertificateDer;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::clients::{self, Client};
use super::questions::{LARGEST, zones};

pub(super) const PATIENCE: Duration = Duration::from_secs(10);
pub(super) const LIMITS: Limits = Limits {
    workers: 1,
    tcp_idle: Duration::from_secs(5),
    tcp_connections: 20,
    tcp_connections_per_client: 20,
    tcp_queries: None,
};

/// A service that speaks everything, with a certificate that was just made.
pub(super) struct Server {
    pub(super) service: Option<Service>,
    pub(super) counters: Arc<Counters>,
    pub(super) certificates: Arc<Certificates>,
    pub(super) shown: CertificateDer<'static>,
    pub(super) plain: SocketAddr,
    pub(super) tls: SocketAddr,
    pub(super) https: SocketAddr,
    pub(super) quic: SocketAddr,
    pub(super) runtime: Runtime,
    pub(super) folder: TempDir,
}

/// A new certificate and its key, written to the files of a server.
pub(super) fn make_certificate(folder: &Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(vec![clients::NAME.to_owned()]).unwrap();
    fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
    fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    made.cert.der().clone()
}

impl Server {
    pub(super) fn start() -> Self {
        Self::start_with(LIMITS)
    }

    pub(super) fn start_with(limits: Limits) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let shown = make_certificate(folder.path());
        let files = CertificateFiles {
            certificate: folder.path().join("cert.pem"),
            key: folder.path().join("key.pem"),
        };
        let shared = Arc::new(Shared {
            zones: ArcSwap::from_pointee(zones()),
            identity: "test-1".to_owned(),
            version: "heraldns test".to_owned(),
            load: Arc::default(),
            udp_payload: LARGEST,
            protection: Protection::with(Secrets::of(&[7; 16])),
        });
        let counters = Arc::new(Counters::new());
        let address = "127.0.0.1:0".parse().unwrap();
        let listener = Listener { address, service: false };
        let handle = runtime.handle().clone();
        let mut service = Service::start(&[listener], shared, Arc::clone(&counters), limits, handle).unwrap();
        let certificates = Arc::new(Certificates::load(files).unwrap());
        let encryption = Encryption {
            certificates: Arc::clone(&certificates),
            https_path: "/dns-query".to_owned(),
        };
        let mut add = |speaks| {
            let listener = EncryptedListener {
                address,
                speaks,
                service: false,
            };
            service.add_encrypted(&listener, &encryption).unwrap()
        };
        let [tls, https, quic] = [Encrypted::Tls, Encrypted::Https, Encrypted::Quic].map(&mut add);
        let plain: Vec<SocketAddr> = service.addresses().collect();
        assert_eq!(plain.len(), 1, "only what is spoken to by UDP and TCP");
        Self {
            service: Some(service),
            counters,
            certificates,
            shown,
            plain: plain[0],
            tls,
            https,
            quic,
            runtime,
            folder,
        }
    }

    pub(super) fn connect<C: Client>(&self, server: SocketAddr) -> C {
        self.connect_trusting(server, std::slice::from_ref(&self.shown))
    }

    pub(super) fn connect_trusting<C: Client>(&self, server: SocketAddr, trusted: &[CertificateDer<'static>]) -> C {
        self.runtime.block_on(C::connect(server, trusted))
    }

    pub(super) fn ask(&self, client: &mut impl Client, query: &[u8]) -> Vec<u8> {
        self.runtime.block_on(client.ask(query))
    }

    pub(super) fn ask_udp(&self, query: &[u8]) -> Vec<u8> {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.send_to(query, self.plain).unwrap();
        let mut buffer = [0; 65_535];
        let (length, _) = socket.recv_from(&mut buffer).unwrap();
        buffer[..length].to_vec()
    }

    pub(super) fn ask_tcp(&self, query: &[u8]) -> Vec<u8> {
        let mut stream = tcp(self.plain);
        stream.write_all(&[&(query.len() as u16).to_be_bytes(), query].concat()).unwrap();
        let mut length = [0; 2];
        stream.read_exact(&mut length).unwrap();
        let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut answer).unwrap();
        answer
    }

    pub(super) fn count(&self, transport: Transport) -> Tally {
        let snapshot = self.counters.snapshot();
        let mut sum = Tally::default();
        let listeners = snapshot.listeners.iter().filter(|listener| listener.transport == transport);
        listeners
            .flat_map(|listener| &listener.workers)
            .for_each(|worker| sum += &worker.tally);
        sum
    }

    /// Counts are added after an answer is sent: waits until they say what is expected.
    pub(super) fn wait_for(&self, what: &str, reached: impl Fn(&Self) -> bool) {
        let start = clock::now();
        while !reached(self) {
            assert!(
                clock::now().since(start) < PATIENCE,
                "{what}: {:?}",
                self.counters.snapshot().total()
            );
            thread::yield_now();
        }
    }
}

pub(super) fn tcp(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}
