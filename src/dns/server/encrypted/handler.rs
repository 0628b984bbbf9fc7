//! The one request handler that hickory's servers ask, for HTTPS and for QUIC: it answers from the request's octets as TCP does.
//!
//! Hickory has read the message before, and has refused with FORMERR what it could not read; such messages never get here
//! and are not counted. It writes the answer itself, from the records of ours (`message`).

use std::net::SocketAddr;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use hickory_proto::op::{Header, HeaderCounts, Metadata};
use hickory_server::net::runtime::Time;
use hickory_server::net::xfer::Protocol;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};

use super::https::Clients;
use super::message::Parts;
use crate::base::time::Timestamp;
use crate::dns::counters::{self, Drop, Tally};
use crate::dns::server::{Shared, tcp};
use crate::io::clock;

/// Octets of the length before a message on a stream.
const LENGTH: usize = 2;

/// Answers requests, and counts them.
#[derive(Clone)]
pub(super) struct Handler {
    shared: Arc<Shared>,
    counters: Arc<counters::Listener>,
    clients: Clients,
    last_request: Arc<AtomicU64>,
}

impl Handler {
    /// `clients` knows who is behind a connection that was carried.
    pub(super) fn new(shared: Arc<Shared>, counters: Arc<counters::Listener>, clients: Clients) -> Self {
        Self {
            shared,
            counters,
            clients,
            last_request: Arc::default(),
        }
    }

    /// When the last request came.
    pub(super) fn last_request(&self) -> Timestamp {
        Timestamp::from_micros(self.last_request.load(Relaxed))
    }

    fn answer(&self, request: &Request, tally: &mut Tally) -> Result<Parts, Drop> {
        let client = self.client_of(request).ok_or(Drop::ClientGone)?;
        if request.protocol() == Protocol::Quic && request.metadata.id != 0 {
            return Err(Drop::MessageId);
        }
        let mut answer = Vec::new();
        // Unwind-safe: nothing outlives the call but the counts, each of which is whole.
        let answered = panic::catch_unwind(AssertUnwindSafe(|| {
            tcp::answer(&self.shared, &self.counters, request.as_slice(), client, tally, &mut answer)?;
            Parts::of(&answer[LENGTH..]).map_err(|error| panic!("an answer of ours cannot be read: {error}"))
        }));
        answered.unwrap_or_else(|_panic| {
            tracing::error!(address = %self.counters.address, "a {} request has panicked and gets no answer", self.counters.transport.name());
            Err(Drop::Panic)
        })
    }

    fn client_of(&self, request: &Request) -> Option<SocketAddr> {
        if request.protocol() == Protocol::Https {
            self.clients.behind(request.src())
        } else {
            Some(request.src())
        }
    }
}

#[async_trait::async_trait]
impl RequestHandler for Handler {
    async fn handle_request<R: ResponseHandler, T: Time>(&self, request: &Request, mut out: R) -> ResponseInfo {
        let (start, mut tally) = (clock::now(), Tally::default());
        self.last_request.store(start.as_micros(), Relaxed);
        let answered = self.answer(request, &mut tally);
        tally.count_busy(start, clock::now());
        let sent = match answered {
            Ok(mut parts) => {
                parts.fit();
                out.send_response(parts.response()).await.map_err(|_unsent| Drop::ClientGone)
            }
            Err(cause) => Err(cause),
        };
        match &sent {
            Ok(_) => tally.accepted += 1,
            Err(cause) => tally.count_drop(*cause),
        }
        self.counters.workers[0].add(&mut tally);
        sent.unwrap_or_else(|_| unanswered(request))
    }
}

/// What hickory wants to know of a request that got no answer; it does nothing with it.
fn unanswered(request: &Request) -> ResponseInfo {
    ResponseInfo::from(Header {
        metadata: Metadata::response_from_request(&request.metadata),
        counts: HeaderCounts::default(),
    })
}
