//! The measuring client: queries at a set rate from fixed source ports, each matched to its answers.
//!
//! It asks `id.server. CH TXT`, so that every answer names the server that gave it. One thread sends and receives;
//! a query counts as lost if no answer came within a second after the last one was sent.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hickory_proto::op::Message;
use hickory_proto::rr::RData;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::clock::{self, millis};
use super::namespace::Namespace;
use super::network::{SERVICE, client_address};

/// Source ports: as many flows as make hash-based sharing visible.
const PORTS: usize = 64;
/// Fewer, each asked more often: a gap of a thousand queries a second is seen to within 16 ms.
const FEW_PORTS: usize = 16;
/// At most so many queries at once, when this machine has held the probe up: a burst that overflows a buffer is no loss of the servers'.
const LONGEST_BURST: usize = 32;
/// How long after the last query answers are still counted.
const LINGER: Duration = Duration::from_secs(1);

/// A running load.
#[derive(Debug)]
pub(crate) struct Probe {
    live: Arc<Live>,
    thread: Option<JoinHandle<Report>>,
}

#[derive(Debug)]
struct Live {
    stop: AtomicBool,
    sent: AtomicU64,
    answered: AtomicU64,
    /// By port, the number of queries up to the latest that was answered.
    latest: Vec<AtomicU64>,
    servers: Mutex<Servers>,
}

/// Who has answered until now.
#[derive(Debug, Default)]
struct Servers {
    last: Option<String>,
    answers: BTreeMap<String, u64>,
}

/// What was asked and answered.
#[derive(Debug)]
pub(crate) struct Report {
    /// The first on the first port, the next on the next one, and so around.
    queries: Vec<Query>,
    ports: usize,
    identities: Vec<String>,
    unexpected: usize,
}

#[derive(Clone, Debug)]
struct Query {
    sent: Instant,
    answers: Vec<Answer>,
}

#[derive(Clone, Copy, Debug)]
struct Answer {
    at: Instant,
    identity: usize,
}

impl Probe {
    /// Asks `per_second` queries through router 1 until it is stopped.
    pub(crate) fn start(client: &Namespace, per_second: u32) -> Self {
        Self::through_router(client, 1, per_second)
    }

    /// The same from few ports: it sees no sharing, and gaps four times as exactly.
    pub(crate) fn for_gaps(client: &Namespace, per_second: u32) -> Self {
        Self::ask(client, 1, FEW_PORTS, per_second)
    }

    /// Asks `per_second` queries through router `number` until it is stopped.
    pub(crate) fn through_router(client: &Namespace, number: usize, per_second: u32) -> Self {
        Self::ask(client, number, PORTS, per_second)
    }

    fn ask(client: &Namespace, router: usize, ports: usize, per_second: u32) -> Self {
        let sockets = client.enter(|| open_sockets(client_address(router), ports));
        let live = Arc::new(Live::new(ports));
        let ours = Arc::clone(&live);
        let thread = thread::spawn(move || Asker::new(sockets, per_second).run(&ours));
        Self {
            live,
            thread: Some(thread),
        }
    }

    /// Queries sent so far.
    pub(crate) fn sent(&self) -> u64 {
        self.live.sent.load(Ordering::Relaxed)
    }

    /// Queries answered so far.
    pub(crate) fn answered(&self) -> u64 {
        self.live.answered.load(Ordering::Relaxed)
    }

    /// Who gave the last answer.
    pub(crate) fn answering(&self) -> Option<String> {
        self.live.servers().last.clone()
    }

    /// Who has given the most answers; none if nobody has given one.
    pub(crate) fn busiest(&self) -> Option<String> {
        let servers = self.live.servers();
        let most = servers.answers.iter().max_by_key(|(_, answers)| **answers);
        most.map(|(identity, _)| identity.clone())
    }

    /// Waits until `more` further queries have been sent.
    #[track_caller]
    pub(crate) fn wait_for_sent(&self, more: u64) {
        let goal = self.sent() + more;
        clock::wait_for(Duration::from_secs(60), "the probe sends", || self.sent() >= goal);
    }

    /// Waits until `more` further queries have been answered.
    #[track_caller]
    pub(crate) fn wait_for_answered(&self, more: u64, limit: Duration) {
        let goal = self.answered() + more;
        clock::wait_for(limit, "queries are answered", || self.answered() >= goal);
    }

    /// Waits until each port has had an answer to a query that was sent from now on: whatever was going on before is over for all.
    #[track_caller]
    pub(crate) fn wait_for_every_port(&self, limit: Duration) {
        let begin = self.sent();
        let is_answered = |latest: &AtomicU64| latest.load(Ordering::Relaxed) > begin;
        clock::wait_for(limit, "every port is answered", || self.live.latest.iter().all(is_answered));
    }

    /// Stops asking, waits for the last answers and returns what happened.
    pub(crate) fn stop(mut self) -> Report {
        self.live.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("a probe is stopped once");
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.live.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _its_panic_was_printed = thread.join();
        }
    }
}

impl Live {
    fn new(ports: usize) -> Self {
        Self {
            stop: AtomicBool::default(),
            sent: AtomicU64::default(),
            answered: AtomicU64::default(),
            latest: (0..ports).map(|_| AtomicU64::default()).collect(),
            servers: Mutex::default(),
        }
    }

    fn servers(&self) -> MutexGuard<'_, Servers> {
        self.servers.lock().expect("nobody panics who holds the names")
    }

    /// The first answer to the query that is the `number`th of all, on `port`.
    fn count_answered(&self, number: usize, port: usize, answered: u64) {
        self.latest[port].fetch_max(number as u64 + 1, Ordering::Relaxed);
        self.answered.store(answered, Ordering::Relaxed);
    }

    fn count_answer_of(&self, identity: &str) {
        let mut servers = self.servers();
        *servers.answers.entry(identity.to_owned()).or_default() += 1;
        servers.last = Some(identity.to_owned());
    }
}

/// Asks once, with up to ten tries of 200 ms: the server that answered, and the try that it answered, which may be an earlier one.
pub(crate) fn ask_once(client: &Namespace) -> Option<(String, usize)> {
    client.enter(|| {
        let socket = UdpSocket::bind(SocketAddr::from((client_address(1), 0))).expect("the client has its address");
        socket
            .set_read_timeout(Some(Duration::from_millis(200)))
            .expect("a timeout can be set");
        (1..=10).find_map(|attempt| {
            let _lost_when_unreachable = socket.send_to(&question(attempt), (SERVICE, 53));
            let mut buffer = [0; 512];
            let (length, _) = socket.recv_from(&mut buffer).ok()?;
            let (answered, identity) = parse(&buffer[..length])?;
            Some((identity, usize::from(answered)))
        })
    })
}

impl Report {
    /// Queries sent.
    pub(crate) fn sent(&self) -> usize {
        self.queries.len()
    }

    /// Queries without an answer.
    pub(crate) fn lost(&self) -> usize {
        self.queries.iter().filter(|query| query.answers.is_empty()).count()
    }

    /// Answers beyond the first of each query.
    pub(crate) fn duplicates(&self) -> usize {
        self.queries.iter().map(|query| query.answers.len().saturating_sub(1)).sum()
    }

    /// Datagrams that answer nothing: another source address, another question.
    pub(crate) fn unexpected(&self) -> usize {
        self.unexpected
    }

    /// The longest gap of the worst port: from a lost query to the next one on that port that was answered, at the times they were
    /// sent. Zero if nothing was lost; the end of the load if nothing was answered any more.
    pub(crate) fn gap(&self) -> Duration {
        (0..self.ports).map(|port| self.gap_of_port(port)).max().unwrap_or_default()
    }

    /// The longest time without an answer on any port.
    pub(crate) fn silence(&self) -> Duration {
        let mut times: Vec<Instant> = self.answers().map(|answer| answer.at).collect();
        times.sort_unstable();
        times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    }

    /// Share of the answers that each server gave, in percent.
    pub(crate) fn shares(&self) -> BTreeMap<String, f64> {
        let total = self.answers().count().max(1) as f64;
        let share = |identity: usize| self.answers().filter(|answer| answer.identity == identity).count() as f64 * 100.0 / total;
        self.identities
            .iter()
            .enumerate()
            .map(|(index, name)| (name.clone(), share(index)))
            .collect()
    }

    /// How many of the queries sent since `since` each server answered; none for who answered none.
    pub(crate) fn answered_since(&self, since: Instant) -> BTreeMap<&str, usize> {
        let mut answered = BTreeMap::new();
        for answer in self
            .queries
            .iter()
            .filter(|query| query.sent >= since)
            .flat_map(|query| &query.answers)
        {
            *answered.entry(self.identities[answer.identity].as_str()).or_default() += 1;
        }
        answered
    }

    /// When the first query after `since` was sent that `identity` answered.
    pub(crate) fn first_answered_by(&self, identity: &str, since: Instant) -> Option<Instant> {
        let wanted = self.identities.iter().position(|name| name == identity)?;
        let is_wanted = |query: &&Query| query.sent >= since && query.answers.iter().any(|answer| answer.identity == wanted);
        self.queries.iter().find(is_wanted).map(|query| query.sent)
    }

    fn answers(&self) -> impl Iterator<Item = &Answer> {
        self.queries.iter().flat_map(|query| &query.answers)
    }

    fn gap_of_port(&self, port: usize) -> Duration {
        let mut longest = Duration::ZERO;
        let mut first_lost: Option<Instant> = None;
        for query in self.queries.iter().skip(port).step_by(self.ports) {
            if let Some(first) = first_lost {
                longest = longest.max(query.sent - first);
            }
            first_lost = if query.answers.is_empty() {
                first_lost.or(Some(query.sent))
            } else {
                None
            };
        }
        longest
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sent, lost, duplicates) = (self.sent(), self.lost(), self.duplicates());
        let (gap, silence) = (millis(self.gap()), millis(self.silence()));
        write!(
            formatter,
            "sent {sent}, lost {lost}, duplicates {duplicates}, gap {gap:.1} ms, silence {silence:.1} ms, shares"
        )?;
        self.shares()
            .iter()
            .try_for_each(|(name, share)| write!(formatter, " {name} {share:.1} %"))
    }
}

struct Asker {
    sockets: Vec<UdpSocket>,
    per_second: u32,
    report: Report,
    answered: u64,
    /// Queries that were due while this machine held the probe up, and are not made up for.
    skipped: usize,
}

impl Asker {
    fn new(sockets: Vec<UdpSocket>, per_second: u32) -> Self {
        let report = Report {
            queries: Vec::new(),
            ports: sockets.len(),
            identities: Vec::new(),
            unexpected: 0,
        };
        Self {
            sockets,
            per_second,
            report,
            answered: 0,
            skipped: 0,
        }
    }

    fn run(mut self, live: &Live) -> Report {
        let begin = clock::now();
        let mut end = None;
        loop {
            let elapsed = begin.elapsed();
            if live.stop.load(Ordering::Relaxed) {
                let end = *end.get_or_insert(elapsed);
                if self.answered == self.report.queries.len() as u64 || elapsed > end + LINGER {
                    return self.report;
                }
                self.receive(Duration::from_millis(20), live);
                continue;
            }
            let due = 1 + (elapsed.as_secs_f64() * f64::from(self.per_second)) as usize;
            let behind = due - (self.report.queries.len() + self.skipped).min(due);
            self.skipped += behind.saturating_sub(LONGEST_BURST);
            for _ in 0..behind.min(LONGEST_BURST) {
                self.send();
                live.sent.store(self.report.queries.len() as u64, Ordering::Relaxed);
            }
            let next = Duration::from_secs_f64((self.report.queries.len() + self.skipped) as f64 / f64::from(self.per_second));
            self.receive(next.saturating_sub(begin.elapsed()), live);
        }
    }

    fn send(&mut self) {
        let number = self.report.queries.len();
        let ports = self.sockets.len();
        let socket = &self.sockets[number % ports];
        self.report.queries.push(Query {
            sent: clock::now(),
            answers: Vec::new(),
        });
        let _lost_when_unreachable = socket.send_to(&question((number / ports) as u16), (SERVICE, 53));
    }

    fn receive(&mut self, timeout: Duration, live: &Live) {
        let timeout = Timespec::try_from(timeout).expect("a short timeout");
        let mut waiting: Vec<PollFd<'_>> = self.sockets.iter().map(|socket| PollFd::new(socket, PollFlags::IN)).collect();
        if poll(&mut waiting, Some(&timeout)).is_ok_and(|ready| ready == 0) {
            return;
        }
        let ready: Vec<usize> = (0..self.sockets.len())
            .filter(|port| !waiting[*port].revents().is_empty())
            .collect();
        for port in ready {
            while let Some((length, source, buffer)) = receive_one(&self.sockets[port]) {
                self.count(port, source, &buffer[..length], live);
            }
        }
    }

    fn count(&mut self, port: usize, source: SocketAddr, bytes: &[u8], live: &Live) {
        let at = clock::now();
        let parsed = parse(bytes).filter(|_| source.ip() == SERVICE);
        let number = parsed.as_ref().map_or(0, |(id, _)| usize::from(*id) * self.sockets.len() + port);
        let (Some((_, identity)), Some(query)) = (&parsed, self.report.queries.get_mut(number)) else {
            self.report.unexpected += 1;
            return;
        };
        let known = self.report.identities.iter().position(|name| name == identity);
        let index = known.unwrap_or_else(|| {
            self.report.identities.push(identity.clone());
            self.report.identities.len() - 1
        });
        if query.answers.is_empty() {
            self.answered += 1;
            live.count_answered(number, port, self.answered);
        }
        query.answers.push(Answer { at, identity: index });
        live.count_answer_of(identity);
    }
}

fn open_sockets(source: Ipv6Addr, ports: usize) -> Vec<UdpSocket> {
    let open = |_| -> io::Result<UdpSocket> {
        let socket = UdpSocket::bind(SocketAddr::from((source, 0)))?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    };
    (0..ports).map(open).collect::<io::Result<_>>().expect("the client has its address")
}

fn receive_one(socket: &UdpSocket) -> Option<(usize, SocketAddr, [u8; 512])> {
    let mut buffer = [0; 512];
    let (length, source) = socket.recv_from(&mut buffer).ok()?;
    Some((length, source, buffer))
}

/// `id.server. CH TXT` (RFC 4892).
pub(crate) fn question(id: u16) -> Vec<u8> {
    let mut query = id.to_be_bytes().to_vec();
    query.extend([0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    query.extend(b"\x02id\x06server\x00");
    query.extend([0, 16, 0, 3]);
    query
}

/// Message id and the answering server's identity.
pub(super) fn parse(bytes: &[u8]) -> Option<(u16, String)> {
    let message = Message::from_vec(bytes).ok()?;
    let record = message.answers.first()?;
    let RData::TXT(text) = &record.data else { return None };
    let identity = String::from_utf8_lossy(text.txt_data.first()?).into_owned();
    Some((message.metadata.id, identity))
}
