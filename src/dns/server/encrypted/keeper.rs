//! Keeps a server of hickory's running: it ends for good when its accept loop meets an error that it takes for fatal.
//!
//! Version 0.26.3 takes ECONNABORTED for that, which belongs to one connection (issue hickory-dns/hickory-dns#3725).
//! The server is built on a duplicate of a socket that stays open here, so that a new one takes over the queue
//! with everything that waits in it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hickory_server::Server;
use hickory_server::net::NetError;
use tokio::time::{self, Instant};

use super::handler::Handler;
use crate::dns::counters::{self, Tally};

/// A server that ends sooner than this after it was started has a lasting trouble.
const SHORT_LIFE: Duration = Duration::from_secs(1);
/// Before the next start then.
const PAUSE: Duration = Duration::from_millis(100);

/// What starts a server on a duplicate of the socket.
pub(super) type Register = Box<dyn Fn(&mut Server<Handler>) -> io::Result<()> + Send + Sync>;

/// One socket and what is served on it.
pub(super) struct Keeper {
    pub(super) handler: Handler,
    pub(super) counters: Arc<counters::Listener>,
    pub(super) register: Register,
}

impl Keeper {
    /// Serves for ever. Dropping the future closes the connections of the server, not the socket.
    pub(super) async fn keep(&self) {
        loop {
            let started = Instant::now();
            let ended = self.serve_once().await;
            let mut tally = Tally {
                receive_errors: 1,
                ..Tally::default()
            };
            self.counters.workers[0].add(&mut tally);
            let (address, transport) = (self.counters.address, self.counters.transport.name());
            let reason = ended.err().map_or_else(|| "without a reason".to_owned(), |error| error.to_string());
            tracing::warn!(%address, "hickory's {transport} server has ended ({reason}) and is started again");
            if started.elapsed() < SHORT_LIFE {
                time::sleep(PAUSE).await;
            }
        }
    }

    async fn serve_once(&self) -> Result<(), NetError> {
        let mut server = Server::new(self.handler.clone());
        (self.register)(&mut server)?;
        server.block_until_done().await
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use arc_swap::ArcSwap;
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpStream;

    use super::*;
    use crate::base::time::Timestamp;
    use crate::dns::counters::{Counters, Transport};
    use crate::dns::protect::Protection;
    use crate::dns::protect::cookie::Secrets;
    use crate::dns::server::Shared;
    use crate::dns::server::encrypted::https::Clients;
    use crate::dns::zone::ZoneSet;

    /// A keeper of a TCP server on `socket` that is told to shut down as soon as it has started, the first `deaths` times.
    fn keeper(socket: TcpListener, counters: &Counters, deaths: usize) -> Keeper {
        let shared = Arc::new(Shared {
            zones: ArcSwap::from_pointee(ZoneSet::default()),
            identity: String::new(),
            version: String::new(),
            udp_payload: 1232,
            load: Arc::default(),
            protection: Protection::with(Secrets::of(&[7; 16])),
        });
        let counters = counters.add_listener(socket.local_addr().unwrap(), Transport::Tcp, false, 1, Timestamp::ZERO);
        let started = AtomicUsize::new(0);
        socket.set_nonblocking(true).unwrap();
        Keeper {
            handler: Handler::new(shared, Arc::clone(&counters), Clients::default()),
            counters,
            register: Box::new(move |server| {
                let listener = tokio::net::TcpListener::from_std(socket.try_clone()?)?;
                if started.fetch_add(1, SeqCst) < deaths {
                    server.shutdown_token().cancel();
                }
                // So soon is a silent client closed: that is how the test sees that it was accepted.
                server.register_listener(listener, Duration::from_millis(1), 1);
                Ok(())
            }),
        }
    }

    #[tokio::test]
    async fn a_server_that_has_ended_is_started_again_and_loses_no_connection() {
        let counters = Counters::new();
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let keeper = keeper(socket, &counters, 3);
        let mut waiting = TcpStream::connect(address).await.unwrap();
        let closed = async { waiting.read(&mut [0; 1]).await.unwrap() };
        tokio::select! {
            () = keeper.keep() => {}
            closed = time::timeout(Duration::from_secs(10), closed) => assert_eq!(closed, Ok(0), "not accepted"),
        }
        assert_eq!(counters.snapshot().total().receive_errors, 3);
    }
}
