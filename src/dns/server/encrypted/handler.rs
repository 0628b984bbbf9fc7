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
use crate::dns::server::Shared;
use crate::dns::server::tcp::{self, Asked};
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

    fn answer(&self, request: &Request, now: Timestamp, tally: &mut Tally) -> Result<Parts, Drop> {
        let client = self.client_of(request).ok_or(Drop::ClientGone)?;
        if request.protocol() == Protocol::Quic && request.metadata.id != 0 {
            return Err(Drop::MessageId);
        }
        let mut answer = Vec::new();
        guard(&self.counters, || {
            let asked = Asked {
                message: request.as_slice(),
                client,
                idle: None,
                now,
            };
            tcp::answer(&self.shared, &self.counters, &asked, tally, &mut answer)?;
            Parts::of(&answer[LENGTH..]).map_err(|error| panic!("an answer of ours cannot be read: {error}"))
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
        let answered = self.answer(request, start, &mut tally);
        tally.count_busy(start, clock::now());
        let sent = match answered {
            Ok(mut parts) => {
                tally.truncated += u64::from(parts.cut_to_fit());
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

/// A request that panics ends alone: hickory would not notice.
fn guard<T>(counters: &counters::Listener, answer: impl FnOnce() -> Result<T, Drop>) -> Result<T, Drop> {
    // Unwind-safe: nothing outlives the call but counts, each of which is whole.
    panic::catch_unwind(AssertUnwindSafe(answer)).unwrap_or_else(|_panic| {
        let (address, transport) = (counters.address, counters.transport.name());
        tracing::error!(%address, "a {transport} request has panicked and gets no answer");
        Err(Drop::Panic)
    })
}

/// What hickory wants to know of a request that got no answer; it does nothing with it.
fn unanswered(request: &Request) -> ResponseInfo {
    ResponseInfo::from(Header {
        metadata: Metadata::response_from_request(&request.metadata),
        counts: HeaderCounts::default(),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use arc_swap::ArcSwap;
    use hickory_proto::rr::Record;
    use hickory_server::net::NetError;
    use hickory_server::net::runtime::TokioTime;
    use hickory_server::zone_handler::MessageResponse;

    use super::*;
    use crate::dns::counters::{Counters, Transport};
    use crate::dns::protect::Protection;
    use crate::dns::protect::cookie::Secrets;
    use crate::dns::zone::ZoneSet;

    /// Keeps the flags of what it was to send.
    #[derive(Clone, Default)]
    struct Recorder(Arc<Mutex<Vec<Metadata>>>);

    #[async_trait::async_trait]
    impl ResponseHandler for Recorder {
        async fn send_response<'a>(
            &mut self,
            response: MessageResponse<
                '_,
                'a,
                impl Iterator<Item = &'a Record> + Send + 'a,
                impl Iterator<Item = &'a Record> + Send + 'a,
                impl Iterator<Item = &'a Record> + Send + 'a,
                impl Iterator<Item = &'a Record> + Send + 'a,
            >,
        ) -> Result<ResponseInfo, NetError> {
            self.0.lock().unwrap().push(*response.metadata());
            let counts = HeaderCounts::default();
            Ok(ResponseInfo::from(Header {
                metadata: *response.metadata(),
                counts,
            }))
        }
    }

    fn handler(counters: &Counters, clients: Clients) -> Handler {
        let shared = Shared {
            zones: ArcSwap::from_pointee(ZoneSet::default()),
            identity: String::new(),
            version: String::new(),
            udp_payload: 1232,
            load: Arc::default(),
            protection: Protection::with(Secrets::of(&[7; 16])),
        };
        let address = "[::1]:443".parse().unwrap();
        let listener = counters.add_listener(address, Transport::Https, false, 1, Timestamp::ZERO);
        Handler::new(Arc::new(shared), listener, clients)
    }

    async fn ask(handler: &Handler, source: &str) -> Vec<Metadata> {
        let query = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x07example\0\0\x01\0\x01".to_vec();
        let request = Request::from_bytes(query, source.parse().unwrap(), Protocol::Https).unwrap();
        let recorder = Recorder::default();
        handler.handle_request::<_, TokioTime>(&request, recorder.clone()).await;
        recorder.0.lock().unwrap().clone()
    }

    #[tokio::test]
    async fn only_who_was_carried_is_answered() {
        let (counters, clients) = (Counters::new(), Clients::default());
        let handler = handler(&counters, clients.clone());
        let carried = clients.introduce("127.0.0.1:4000".parse().unwrap(), "192.0.2.1:5000".parse().unwrap());
        let answers = ask(&handler, "127.0.0.1:4000").await;
        assert_eq!((answers.len(), answers[0].id), (1, 0x1234));
        assert!(ask(&handler, "127.0.0.1:4001").await.is_empty(), "a stranger on this host");
        drop(carried);
        assert!(ask(&handler, "127.0.0.1:4000").await.is_empty(), "its client is gone");
        let total = counters.snapshot().total();
        assert_eq!((total.queries, total.accepted, total.drops[Drop::ClientGone as usize]), (1, 1, 2));
        assert!(handler.last_request() > Timestamp::ZERO);
    }

    #[test]
    fn a_request_that_panics_gets_no_answer() {
        let counters = Counters::new();
        let handler = handler(&counters, Clients::default());
        let answered: Result<(), Drop> = guard(&handler.counters, || panic!("a query that nobody has thought of"));
        assert_eq!(answered, Err(Drop::Panic));
    }
}
