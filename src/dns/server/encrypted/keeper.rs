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
