//! HTTPS (RFC 8484): our accept loop in front, hickory's HTTP server behind it, and each connection carried between them.
//!
//! Hickory's server takes a listening socket and nothing else. Left alone with the public one it would let anybody open
//! any number of connections, wait without end for an HTTP preface, spin when there are no descriptors left, and end
//! all connections at once when told to stop. So it listens on a loopback address of its own, and what TCP clients may
//! do is decided by the loop of `tcp`, as for TCP and TLS. TLS is hickory's: what is carried is cipher text.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time;

use super::Encryption;
use super::keeper::Register;
use crate::base::time::Timestamp;
use crate::dns::server::visit::Visit;
use crate::dns::server::{listen, tcp};
use crate::io::clock;

/// Octets carried at a time, in one direction.
const CARRIED: usize = 8 * 1024;

/// Who is behind the connections that hickory sees: our end of each, and the client's address.
#[derive(Clone, Debug, Default)]
pub(super) struct Clients(Arc<Mutex<HashMap<SocketAddr, SocketAddr>>>);

impl Clients {
    /// The client of the connection whose other end is `carrier`, while it is there.
    pub(super) fn behind(&self, carrier: SocketAddr) -> Option<SocketAddr> {
        self.known().get(&carrier).copied()
    }

    pub(super) fn introduce(&self, carrier: SocketAddr, client: SocketAddr) -> Introduction {
        self.known().insert(carrier, client);
        Introduction {
            clients: self.clone(),
            carrier,
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<SocketAddr, SocketAddr>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client is known until this is dropped.
pub(super) struct Introduction {
    clients: Clients,
    carrier: SocketAddr,
}

impl Drop for Introduction {
    fn drop(&mut self) {
        self.clients.known().remove(&self.carrier);
    }
}

/// The way to hickory's server.
#[derive(Debug)]
pub(in crate::dns::server) struct Relay {
    server: SocketAddr,
    clients: Clients,
}

impl Relay {
    /// Opens the socket that hickory's server is to listen on. Gives the way to it, who comes that way, and what starts it.
    pub(super) fn open(encryption: &Encryption, idle: Duration) -> io::Result<(Self, Clients, Register)> {
        let socket = listen::open_tcp((Ipv4Addr::LOCALHOST, 0).into())?;
        // Connections inherit it; hickory does not ask for it.
        socket2::SockRef::from(&socket).set_tcp_nodelay(true)?;
        let clients = Clients::default();
        let relay = Self {
            server: socket.local_addr()?,
            clients: clients.clone(),
        };
        Ok((relay, clients, register(socket, encryption.clone(), idle)))
    }

    /// Carries a connection until one side closes it, or it has been silent for longer than its visit allows.
    ///
    /// # Errors
    /// Hickory's server cannot be reached.
    pub(in crate::dns::server) async fn carry(&self, mut client: TcpStream, address: SocketAddr, visit: &mut Visit) -> io::Result<()> {
        let mut server = time::timeout(visit.idle(), TcpStream::connect(self.server)).await??;
        server.set_nodelay(true)?;
        // Before the first octet: a request can only come after it.
        let _introduction = self.clients.introduce(server.local_addr()?, address);
        let heard = Heard::now();
        {
            let (from_client, to_client) = client.split();
            let (from_server, to_server) = server.split();
            let forth = async {
                pass(from_client, to_server, &heard).await;
                // The client has nothing more to say; its answers are still to come.
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = pass(from_server, to_client, &heard) => {}
                () = forth => {}
                () = visit.outstayed(|| heard.last()) => {}
            }
        }
        tcp::close(client, |_cipher_text| ()).await;
        Ok(())
    }
}

fn register(socket: TcpListener, encryption: Encryption, idle: Duration) -> Register {
    Box::new(move |server| {
        let listener = tokio::net::TcpListener::from_std(socket.try_clone()?)?;
        let (certificates, path) = (encryption.certificates.clone(), encryption.https_path.clone());
        server.register_https_listener(listener, idle, certificates, None, path)
    })
}

/// Passes on what one side says until it has nothing more to say, or the other does not listen.
async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, heard: &Heard) {
    let mut octets = vec![0; CARRIED];
    while let Ok(count @ 1..) = from.read(&mut octets).await {
        if to.write_all(&octets[..count]).await.is_err() {
            return;
        }
        heard.something();
    }
    // It is gone, or it is told.
    let _ = to.shutdown().await;
}

/// When something was last passed on.
struct Heard(AtomicU64);

impl Heard {
    fn now() -> Self {
        Self(AtomicU64::new(clock::now().as_micros()))
    }

    fn something(&self) {
        self.0.store(clock::now().as_micros(), Relaxed);
    }

    fn last(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Relaxed))
    }
}
