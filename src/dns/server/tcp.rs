//! TCP: an accept loop that nothing ends but its phase, and a task per connection (RFC 7766, RFC 1035 §4.2.2).
//! The encrypted transports on TCP stand on the same loop; they differ in what is spoken on a connection.
//!
//! Queries may be pipelined; all that have arrived are answered before the answers are written together. A connection is
//! closed when no whole query came for the idle time, when its client does not take its answers, when it has had as many
//! answers as one may have, or when it sends what gets no answer. Connections are limited in total and per client
//! (`connections`), their buffers by the longest message and by [`WRITE`]: nothing is read while answers wait to be written.
//! How a drain ends them is in `visit`.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use nix::libc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinSet, yield_now};
use tokio::time;
use tokio_rustls::TlsAcceptor;

use super::connections::{Admission, Connections};
use super::encrypted::Relay;
use super::guard::Guard;
use super::udp::is_from_others;
use super::visit::{Ending, Visit};
use super::{HEARTBEAT, Phase, Shared};
use crate::base::time::Timestamp;
use crate::dns::answer::{self, Client, MAX_MESSAGE, Query};
use crate::dns::counters::{self, Drop, Tally};
use crate::io::clock;

/// Read buffer of a connection at its start, in octets; it grows to the longest query that is announced.
const READ: usize = 1024;
/// Answers are written when there are so many octets of them, even if more queries wait.
const WRITE: usize = 64 * 1024;
/// Longer buffers are given back while a connection waits for its next query, in octets.
const KEPT: usize = 16 * 1024;
/// How long the client has to close its side after we closed ours; without it, unread queries would destroy our answers.
const LINGER: Duration = Duration::from_millis(500);

thread_local! {
    static ANSWER: RefCell<Box<[u8]>> = RefCell::new(vec![0; MAX_MESSAGE].into());
}

/// What is spoken on a connection.
#[derive(Clone)]
pub(super) enum Speech {
    /// Messages, each after its length.
    Plain,
    /// The same within TLS (RFC 7858).
    Tls(TlsAcceptor),
    /// HTTP within TLS (RFC 8484): carried to hickory's server.
    Https(Arc<Relay>),
}

/// Accepts the connections of one listener.
#[derive(Clone)]
pub(super) struct Acceptor {
    pub(super) shared: Arc<Shared>,
    pub(super) counters: Arc<counters::Listener>,
    pub(super) connections: Arc<Connections>,
    pub(super) most_queries: Option<NonZeroU64>,
    pub(super) phases: watch::Receiver<Phase>,
    pub(super) speech: Speech,
}

impl Acceptor {
    /// Accepts until the phase says otherwise, then waits for the connections to end. `_ending` is dropped at the end.
    pub(super) async fn run(mut self, socket: TcpListener, _ending: Sender<()>) {
        let mut tasks = JoinSet::new();
        let mut phases = self.phases.clone();
        while phases.borrow_and_update().is_open() {
            self.counters.workers[0].beat(clock::now());
            while let Some(ended) = tasks.try_join_next() {
                self.note_end(ended);
            }
            tokio::select! {
                changed = phases.changed() => if changed.is_err() { break },
                accepted = time::timeout(HEARTBEAT, socket.accept()) => {
                    if let Ok(accepted) = accepted {
                        self.admit(accepted, &mut tasks).await;
                    }
                }
            }
        }
        while *phases.borrow() == Phase::Drain
            && let Ok(accepted) = time::timeout(Duration::ZERO, socket.accept()).await
        {
            self.admit(accepted, &mut tasks).await;
        }
        drop(socket);
        while let Some(ended) = tasks.join_next().await {
            self.note_end(ended);
        }
    }

    async fn admit(&mut self, accepted: io::Result<(TcpStream, SocketAddr)>, tasks: &mut JoinSet<()>) {
        let mut tally = Tally::default();
        match accepted {
            Ok((stream, client)) => match self.connections.admit(client.ip()) {
                Some(admission) => drop(tasks.spawn(self.clone().serve(stream, client, admission))),
                None => tally.count_drop(Drop::ConnectionLimit),
            },
            Err(error) => {
                tally.receive_errors += 1;
                if is_exhaustion(&error) {
                    time::sleep(HEARTBEAT).await;
                }
            }
        }
        self.counters.workers[0].add(&mut tally);
    }

    fn note_end(&self, ended: Result<(), tokio::task::JoinError>) {
        if ended.is_err_and(|error| error.is_panic()) {
            let mut tally = Tally::default();
            tally.count_drop(Drop::Panic);
            self.counters.workers[0].add(&mut tally);
            let (address, transport) = (self.counters.address, self.counters.transport.name());
            tracing::error!(%address, "a {transport} connection has panicked and is closed");
        }
    }

    async fn serve(self, stream: TcpStream, client: SocketAddr, admission: Admission) {
        let (connections, counters) = (Arc::clone(&self.connections), Arc::clone(&self.counters));
        let mut visit = Visit::begin(client.ip(), admission, connections, counters, self.phases.clone());
        // Without it the last answers of a pipeline would wait for an acknowledgement.
        let _ = stream.set_nodelay(true);
        let ending = match &self.speech {
            Speech::Plain => self.converse(stream, client, &mut visit).await,
            Speech::Tls(tls) => {
                let handshake = time::timeout(visit.idle(), tls.accept(stream));
                match visit.until_stopped(handshake).await {
                    Some(Ok(Ok(stream))) => self.converse(stream, client, &mut visit).await,
                    Some(Ok(Err(_)) | Err(_)) | None => Ending::Broken,
                }
            }
            Speech::Https(relay) => match relay.carry(stream, client, &mut visit).await {
                Ok(()) => Ending::Closed,
                Err(_unreached) => {
                    let mut tally = Tally {
                        receive_errors: 1,
                        ..Tally::default()
                    };
                    self.counters.workers[0].add(&mut tally);
                    Ending::Broken
                }
            },
        };
        visit.end(ending);
    }

    async fn converse(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin, client: SocketAddr, visit: &mut Visit) -> Ending {
        let mut queries = Vec::with_capacity(READ);
        let mut answers = Vec::new();
        let mut last_query = clock::now();
        let mut left = self.most_queries.map_or(u64::MAX, NonZeroU64::get);
        loop {
            let (taken, verdict) = self.answer_frames(&queries, client, visit.told_idle(), &mut left, &mut answers);
            queries.drain(..taken);
            if taken > 0 {
                last_query = clock::now();
            }
            if !answers.is_empty() && !self.write(&mut stream, &mut answers, visit).await {
                return Ending::Broken;
            }
            match verdict {
                Verdict::More => continue,
                Verdict::Close => break,
                Verdict::Read => give_back(&mut queries, &mut answers),
            }
            if taken > 0 && visit.is_over() {
                break;
            }
            let read = tokio::select! {
                biased;
                read = stream.read_buf(&mut queries) => read,
                () = visit.outstayed(|| last_query) => last_look(&mut stream, &mut queries).await,
            };
            match read {
                Ok(1..) => {}
                Ok(0) => break,
                // TLS clients that do not say goodbye before they close.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
                Err(_) => return Ending::Broken,
            }
        }
        self.part(stream, &queries).await
    }

    /// Closes the connection. `rest` was read and will not be answered; what still comes will not either.
    async fn part(&self, stream: impl AsyncRead + AsyncWrite + Unpin, rest: &[u8]) -> Ending {
        let mut late = Beginnings::default();
        late.read(rest);
        close(stream, |octets| late.read(octets)).await;
        if late.count == 0 {
            return Ending::Closed;
        }
        let mut tally = Tally::default();
        tally.drops[Drop::Closed as usize] += late.count;
        self.counters.workers[0].add(&mut tally);
        Ending::Broken
    }

    /// Answers the whole queries at the start of `queries`, of which there may be `left` more; says how many octets they had
    /// and what is next. Who asks for it is told that the connection may be `idle` for so long.
    fn answer_frames(&self, queries: &[u8], client: SocketAddr, idle: Duration, left: &mut u64, answers: &mut Vec<u8>) -> (usize, Verdict) {
        let (start, mut tally, mut taken) = (clock::now(), Tally::default(), 0);
        let mut verdict = Verdict::Read;
        while let Some(message) = first_frame(&queries[taken..]) {
            taken += 2 + message.len();
            let asked = Asked {
                message,
                client,
                idle: Some(idle),
                now: start,
            };
            if let Err(cause) = answer(&self.shared, &self.counters, &asked, &mut tally, answers) {
                tally.count_drop(cause);
                verdict = Verdict::Close;
                break;
            }
            *left -= 1;
            if *left == 0 {
                verdict = Verdict::Close;
                break;
            }
            if answers.len() >= WRITE {
                verdict = Verdict::More;
                break;
            }
        }
        if taken > 0 {
            tally.count_busy(start, clock::now());
            self.counters.workers[0].add(&mut tally);
        }
        (taken, verdict)
    }

    /// Writes all answers; false when the client does not take them.
    async fn write(&self, stream: &mut (impl AsyncWrite + Unpin), answers: &mut Vec<u8>, visit: &mut Visit) -> bool {
        let count = count_frames(answers);
        let writing = async {
            stream.write_all(answers).await?;
            stream.flush().await
        };
        let writing = time::timeout(visit.idle(), writing);
        let accepted = matches!(visit.until_stopped(writing).await, Some(Ok(Ok(()))));
        let mut tally = Tally::default();
        if accepted {
            tally.accepted += count;
        } else {
            tally.drops[Drop::ClientGone as usize] += count;
        }
        self.counters.workers[0].add(&mut tally);
        answers.clear();
        accepted
    }
}

/// A message that came over a stream.
pub(super) struct Asked<'a> {
    pub(super) message: &'a [u8],
    pub(super) client: SocketAddr,
    /// How long its connection may be idle, where that is for EDNS to say (RFC 7828).
    pub(super) idle: Option<Duration>,
    /// When it is answered.
    pub(super) now: Timestamp,
}

/// Answers one message that came over a stream: the answer goes to the end of `answers`, after its length.
///
/// # Errors
/// Why it gets no answer.
pub(super) fn answer(
    shared: &Shared,
    counters: &counters::Listener,
    asked: &Asked<'_>,
    tally: &mut Tally,
    answers: &mut Vec<u8>,
) -> Result<(), Drop> {
    let query = Query::parse(asked.message)?;
    tally.count_query(query.question.as_ref().map(|question| question.record_type.0));
    tally.from_others += u64::from(is_from_others(counters, asked.client.ip()));
    let guard = Guard::new(&shared.protection, counters.transport, counters.address.ip(), asked.now);
    let client = Client {
        keepalive: asked.idle,
        ..guard.meet(&query, || Some(asked.client.ip()), tally).client
    };
    ANSWER.with_borrow_mut(|buffer| {
        let reply = answer::respond(&shared.zones.load(), &shared.host(), &client, &query, asked.message, buffer);
        tally.count_answer(reply.response_code.0, reply.truncated);
        answers.extend_from_slice(&(reply.octets as u16).to_be_bytes());
        answers.extend_from_slice(&buffer[..reply.octets]);
    });
    Ok(())
}

/// What follows when the queries at hand are answered.
enum Verdict {
    /// There are more of them.
    More,
    /// The next one has yet to arrive.
    Read,
    /// The client sent what gets no answer.
    Close,
}

/// Closes our side, then waits a moment for the client's; `unread` is given what comes meanwhile.
pub(super) async fn close(mut stream: impl AsyncRead + AsyncWrite + Unpin, mut unread: impl FnMut(&[u8])) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let mut rest = [0; READ];
    let until_closed = async {
        while let Ok(count @ 1..) = stream.read(&mut rest).await {
            unread(&rest[..count]);
        }
    };
    let _ = time::timeout(LINGER, until_closed).await;
}

/// Reads what has come until now, if anything has: the runtime is given the time to ask the kernel.
async fn last_look(stream: &mut (impl AsyncRead + Unpin), queries: &mut Vec<u8>) -> io::Result<usize> {
    yield_now().await;
    time::timeout(Duration::ZERO, stream.read_buf(queries)).await.unwrap_or(Ok(0))
}

/// Counts the messages that begin in what comes on a stream.
#[derive(Default)]
struct Beginnings {
    count: u64,
    /// Octets of the present message that are still to come, once its length is known.
    left: usize,
    /// The first octet of a length.
    high: Option<u8>,
}

impl Beginnings {
    fn read(&mut self, mut octets: &[u8]) {
        while let Some((&octet, rest)) = octets.split_first() {
            if self.left > 0 {
                let skipped = self.left.min(octets.len());
                self.left -= skipped;
                octets = &octets[skipped..];
                continue;
            }
            octets = rest;
            match self.high.take() {
                None => {
                    self.count += 1;
                    self.high = Some(octet);
                }
                Some(high) => self.left = usize::from(u16::from_be_bytes([high, octet])),
            }
        }
    }
}

/// The first message, if all of it is there: two octets of length go before it.
fn first_frame(octets: &[u8]) -> Option<&[u8]> {
    let (length, rest) = octets.split_first_chunk()?;
    rest.get(..usize::from(u16::from_be_bytes(*length)))
}

/// Most connections wait most of the time; what a long message once needed is not kept for that.
fn give_back(queries: &mut Vec<u8>, answers: &mut Vec<u8>) {
    if queries.is_empty() && queries.capacity() > KEPT {
        *queries = Vec::with_capacity(READ);
    }
    if answers.capacity() > KEPT {
        *answers = Vec::new();
    }
}

fn count_frames(mut octets: &[u8]) -> u64 {
    let mut count = 0;
    while let Some(frame) = first_frame(octets) {
        octets = &octets[2 + frame.len()..];
        count += 1;
    }
    count
}

/// True for errors that last until something is closed; all others belong to one connection (accept(2)).
fn is_exhaustion(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)
    )
}

#[cfg(test)]
mod tests {
    use arc_swap::ArcSwap;

    use crate::dns::counters::Transport;
    use crate::dns::protect::Protection;
    use crate::dns::protect::cookie::Secrets;
    use crate::dns::server::Limits;
    use crate::dns::zone::ZoneSet;

    use super::*;

    fn acceptor(counters: &counters::Counters) -> Acceptor {
        let shared = Shared {
            zones: ArcSwap::from_pointee(ZoneSet::default()),
            identity: String::new(),
            version: String::new(),
            udp_payload: 1232,
            load: Arc::default(),
            protection: Protection::with(Secrets::of(&[7; 16])),
        };
        Acceptor {
            shared: Arc::new(shared),
            counters: counters.add_listener("[::1]:53".parse().unwrap(), Transport::Tcp, false, 1, Timestamp::ZERO),
            connections: Arc::new(Connections::new(&Limits::of(&crate::dns::config::Config::default()))),
            most_queries: None,
            phases: watch::channel(Phase::Serve).1,
            speech: Speech::Plain,
        }
    }

    #[tokio::test]
    async fn a_connection_that_panics_is_counted_and_ends_alone() {
        let counters = counters::Counters::new();
        let acceptor = acceptor(&counters);
        let mut tasks: JoinSet<()> = JoinSet::new();
        tasks.spawn(async { panic!("a query that nobody has thought of") });
        acceptor.note_end(tasks.join_next().await.unwrap());
        let snapshot = counters.snapshot();
        assert_eq!(snapshot.total().drops[Drop::Panic as usize], 1);
        assert_eq!(snapshot.dead_workers(), 0);
    }

    #[test]
    fn messages_are_counted_by_their_beginnings_wherever_the_stream_is_cut() {
        let stream = [&[0, 3, 7, 7, 7][..], &[0, 0], &[1, 1], &[9; 257], &[0, 5, 1, 2]].concat();
        for length in 1..=stream.len() {
            let mut beginnings = Beginnings::default();
            stream.chunks(length).for_each(|octets| beginnings.read(octets));
            assert_eq!((beginnings.count, beginnings.left), (4, 3), "in pieces of {length}");
        }
    }

    #[test]
    fn a_frame_is_taken_only_when_all_of_it_is_there() {
        assert_eq!(first_frame(&[]), None);
        assert_eq!(first_frame(&[0]), None);
        assert_eq!(first_frame(&[0, 2, 1]), None);
        assert_eq!(first_frame(&[0, 2, 1, 2, 9]), Some(&[1, 2][..]));
        assert_eq!(first_frame(&[0, 0, 9]), Some(&[][..]));
        assert_eq!(count_frames(&[0, 1, 7, 0, 0, 0, 2, 7, 7]), 3);
    }
}
