//! The encrypted transports: DNS over TLS, HTTPS and QUIC (RFC 7858, 8484, 9250). They carry the answers of `answer`, as UDP and TCP do.
//!
//! TLS is spoken by the tasks of `tcp`, octet for octet the answers of TCP. HTTPS and QUIC are spoken by hickory's server,
//! which is asked through one request handler (`handler`), takes our answers as records (`message`) and is started
//! again when it ends (`keeper`). All show the certificate of [`Certificates`].

mod certificates;
mod handler;
mod https;
mod keeper;
mod message;
mod quic;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use hickory_server::server::default_tls_server_config;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::tcp::Speech;
use super::{Phase, Running, ServeError, Service, listen};
use crate::dns::counters::{self, Transport};
use crate::io::clock;
pub use certificates::{CertificateError, CertificateFiles, Certificates, LOOK, Renewal};
use handler::Handler;
use https::Clients;
pub(super) use https::Relay;
use keeper::{Keeper, Register};

/// The name of DNS over TLS among the protocols that may be spoken in a TLS connection (ALPN, registered with IANA).
const DOT: &[u8] = b"dot";

/// An encrypted transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encrypted {
    /// DNS over TLS (RFC 7858).
    Tls,
    /// DNS over HTTPS (RFC 8484).
    Https,
    /// DNS over QUIC (RFC 9250).
    Quic,
}

impl Encrypted {
    /// The transport, among all there are.
    #[must_use]
    pub const fn transport(self) -> Transport {
        match self {
            Self::Tls => Transport::Tls,
            Self::Https => Transport::Https,
            Self::Quic => Transport::Quic,
        }
    }
}

/// An address to listen on by an encrypted transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncryptedListener {
    /// The address; with port 0 a free port is taken.
    pub address: SocketAddr,
    /// What is spoken there.
    pub speaks: Encrypted,
    /// It is a service address: queries from others are counted.
    pub service: bool,
}

/// What the encrypted transports have in common.
#[derive(Clone, Debug)]
pub struct Encryption {
    /// The certificate they show.
    pub certificates: Arc<Certificates>,
    /// The path of HTTPS requests.
    pub https_path: String,
}

/// What a listener is started with.
struct Place {
    counters: Arc<counters::Listener>,
    phases: watch::Receiver<Phase>,
    ending: Sender<()>,
}

impl Service {
    /// Opens one more listener, with encryption, and returns its address, which is another than asked for only if that had port 0.
    ///
    /// # Errors
    /// Why it cannot be listened on, and the cure.
    pub fn add_encrypted(&mut self, listener: &EncryptedListener, encryption: &Encryption) -> Result<SocketAddr, ServeError> {
        let runtime = self.runtime.clone();
        let _entered = runtime.enter();
        match listener.speaks {
            Encrypted::Tls => self.add_tls(listener, encryption),
            Encrypted::Https => self.add_https(listener, encryption),
            Encrypted::Quic => self.add_quic(listener, encryption),
        }
    }

    fn add_tls(&mut self, listener: &EncryptedListener, encryption: &Encryption) -> Result<SocketAddr, ServeError> {
        let (address, socket) = listen::open_stream(listener.address, Transport::Tls)?;
        let config = default_tls_server_config(DOT, Arc::clone(&encryption.certificates) as _).map_err(because(address))?;
        let socket = TcpListener::from_std(socket).map_err(because(address))?;
        let place = self.place(address, listener);
        let speech = Speech::Tls(TlsAcceptor::from(Arc::new(config)));
        let acceptor = self.acceptor(place.counters, place.phases, speech);
        self.runtime.spawn(acceptor.run(socket, place.ending));
        Ok(address)
    }

    fn add_https(&mut self, listener: &EncryptedListener, encryption: &Encryption) -> Result<SocketAddr, ServeError> {
        let (address, socket) = listen::open_stream(listener.address, Transport::Https)?;
        let socket = TcpListener::from_std(socket).map_err(because(address))?;
        let (relay, clients, register) = Relay::open(encryption, self.limits.tcp_idle).map_err(because(address))?;
        let place = self.place(address, listener);
        let keeper = self.keeper(&place.counters, clients, register);
        let acceptor = self.acceptor(place.counters, place.phases, Speech::Https(Arc::new(relay)));
        self.runtime.spawn(async move {
            tokio::select! {
                () = acceptor.run(socket, place.ending) => {}
                () = keeper.keep() => {}
            }
        });
        Ok(address)
    }

    fn add_quic(&mut self, listener: &EncryptedListener, encryption: &Encryption) -> Result<SocketAddr, ServeError> {
        let (address, socket) = listen::open_quic(listener.address)?;
        let place = self.place(address, listener);
        let register = quic::register(socket, encryption.clone(), self.limits.tcp_idle);
        let keeper = self.keeper(&place.counters, Clients::default(), register);
        self.runtime.spawn(quic::run(keeper, place.phases, place.ending));
        Ok(address)
    }

    /// Enters a listener whose socket is open: from here on it can be drained and closed.
    fn place(&mut self, address: SocketAddr, listener: &EncryptedListener) -> Place {
        let (phase, phases) = watch::channel(Phase::Serve);
        let (ending, ended) = channel();
        let transport = listener.speaks.transport();
        let counters = self.counters.add_listener(address, transport, listener.service, 1, clock::now());
        self.running.push(Running {
            address,
            phase,
            ended,
            counters: vec![Arc::clone(&counters)],
        });
        Place { counters, phases, ending }
    }

    fn keeper(&self, counters: &Arc<counters::Listener>, clients: Clients, register: Register) -> Keeper {
        Keeper {
            handler: Handler::new(Arc::clone(&self.shared), Arc::clone(counters), clients),
            counters: Arc::clone(counters),
            register,
        }
    }
}

fn because(address: SocketAddr) -> impl FnOnce(io::Error) -> ServeError {
    move |error| ServeError::Other { address, error }
}
