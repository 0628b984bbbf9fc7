//! Open TCP connections to the service, each asking now and then, as resolvers do: what becomes of them.
//!
//! A connection is broken if it was reset, or ended with a query unanswered. One that the server ends between two queries has
//! ended in order (RFC 7766 §6.2.4): the client opens another one. It looks for that before it asks, and where it has been
//! silent for so long that a server may be about to end the connection it does so itself.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Protocol, Socket, Type};

use super::clock;
use super::namespace::Namespace;
use super::network::{SERVICE, client_address};
use super::probe::{parse, question};

/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(2);
/// A server that drains ends what is silent for a second. Who wants to ask more often is so late only when this machine held it up.
const TOO_LATE: Duration = Duration::from_millis(900);
const TURN: Duration = Duration::from_millis(5);
/// A turn that takes longer was held up, and the servers with it: patience does not wear out meanwhile.
const LONGEST_TURN: Duration = Duration::from_millis(50);
/// Broken connections that are described.
const DESCRIBED: usize = 5;

/// How the connections behave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Habits {
    /// How many are open at a time.
    pub(crate) count: usize,
    /// Time between two queries on each.
    pub(crate) interval: Duration,
    /// The client ends a connection when it is so old, and opens another; `None`: never.
    pub(crate) lifetime: Option<Duration>,
}

/// Connections that are open and ask.
#[derive(Debug)]
pub(crate) struct Connections {
    live: Arc<Live>,
    thread: Option<JoinHandle<Outcome>>,
}

#[derive(Debug, Default)]
struct Live {
    stop: AtomicBool,
    answering: AtomicUsize,
    open: AtomicUsize,
    answered: AtomicUsize,
}

/// What became of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// Connections that were opened.
    pub(crate) opened: usize,
    /// Connections that could not be opened.
    pub(crate) refused: usize,
    /// Reset, or ended with a query unanswered.
    pub(crate) broken: usize,
    /// Ended by the server between two queries.
    pub(crate) ended_in_order: usize,
    /// Queries that were answered.
    pub(crate) answered: usize,
    /// Connections by the server that answered on them.
    pub(crate) servers: BTreeMap<String, usize>,
    /// How the first broken ones ended.
    breaks: Vec<String>,
}

impl Connections {
    /// Opens them and begins to ask; those that end are replaced.
    pub(crate) fn open(client: &Namespace, habits: Habits) -> Self {
        Self::start(client, habits, true)
    }

    /// The same, and those that end are not replaced.
    pub(crate) fn open_once(client: &Namespace, habits: Habits) -> Self {
        Self::start(client, habits, false)
    }

    fn start(client: &Namespace, habits: Habits, replaces: bool) -> Self {
        let live = Arc::new(Live::default());
        let ours = Arc::clone(&live);
        let thread = client.spawn_inside(move || Crowd::open(habits, replaces).run(&ours));
        Self {
            live,
            thread: Some(thread),
        }
    }

    /// Waits until so many of those that are open have had an answer.
    #[track_caller]
    pub(crate) fn wait_for_answering(&self, count: usize, limit: Duration) {
        clock::wait_for(limit, "the connections are answered", || {
            self.live.answering.load(Ordering::Relaxed) >= count
        });
    }

    /// How many are open.
    pub(crate) fn count_open(&self) -> usize {
        self.live.open.load(Ordering::Relaxed)
    }

    /// Waits until so many queries have been answered.
    #[track_caller]
    pub(crate) fn wait_for_answered(&self, count: usize, limit: Duration) {
        clock::wait_for(limit, "queries on connections are answered", || {
            self.live.answered.load(Ordering::Relaxed) >= count
        });
    }

    /// Ends them; what became of them until then.
    pub(crate) fn close(mut self) -> Outcome {
        self.live.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("they are closed once");
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        self.live.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _its_panic_was_printed = thread.join();
        }
    }
}

impl Outcome {
    fn count_broken(&mut self, connection: &Connection, how: &str) {
        self.broken += 1;
        if self.breaks.len() < DESCRIBED {
            let server = connection.identity.as_deref().unwrap_or("nobody yet");
            let (asked, port) = (connection.asked, connection.stream.local_addr().map_or(0, |address| address.port()));
            let [age, heard] = [connection.born, connection.heard].map(|since| clock::millis(since.elapsed()));
            self.breaks.push(format!(
                "port {port}, to {server}, {age:.0} ms old, heard {heard:.0} ms ago, waiting for {asked:.0?}: {how}"
            ));
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "opened {}, refused {}, broken {}, ended in order {}, answered {}, servers {:?}",
            self.opened, self.refused, self.broken, self.ended_in_order, self.answered, self.servers
        )?;
        self.breaks.iter().try_for_each(|how| write!(formatter, "; {how}"))
    }
}

struct Connection {
    stream: TcpStream,
    born: Instant,
    /// For how long the query has been waited for that has no answer yet.
    asked: Option<Duration>,
    /// When the last answer came, or it was opened.
    heard: Instant,
    next: Instant,
    received: Vec<u8>,
    identity: Option<String>,
}

/// How a connection has ended.
enum End {
    InOrder,
    /// And what was seen of it.
    Broken(String),
}

struct Crowd {
    habits: Habits,
    replaces: bool,
    open: Vec<Connection>,
    outcome: Outcome,
    last_turn: Instant,
}

impl Crowd {
    fn open(habits: Habits, replaces: bool) -> Self {
        let mut crowd = Self {
            habits,
            replaces,
            open: Vec::with_capacity(habits.count),
            outcome: Outcome::default(),
            last_turn: clock::now(),
        };
        crowd.fill();
        crowd
    }

    fn fill(&mut self) {
        while self.open.len() < self.habits.count {
            // Spread over the lifetime and the interval, so that they do not all act at once.
            let part = self.outcome.opened % self.habits.count.max(1);
            let spread = |whole: Duration| whole.mul_f64(part as f64 / self.habits.count as f64);
            match connect() {
                Ok(stream) => {
                    let (first_round, now) = (self.outcome.opened < self.habits.count, clock::now());
                    let lifetime = self.habits.lifetime.filter(|_| first_round).unwrap_or_default();
                    self.outcome.opened += 1;
                    self.open.push(Connection {
                        stream,
                        born: now.checked_sub(spread(lifetime)).unwrap_or(now),
                        asked: None,
                        heard: now,
                        // Who opens one has something to ask.
                        next: if first_round { now + spread(self.habits.interval) } else { now },
                        received: Vec::new(),
                        identity: None,
                    });
                }
                Err(_) => {
                    self.outcome.refused += 1;
                    return;
                }
            }
        }
    }

    fn run(mut self, live: &Live) -> Outcome {
        while !live.stop.load(Ordering::Relaxed) {
            self.turn();
            self.retire();
            if self.replaces {
                self.fill();
            }
            live.open.store(self.open.len(), Ordering::Relaxed);
            live.answered.store(self.outcome.answered, Ordering::Relaxed);
            live.answering
                .store(self.open.iter().filter(|one| one.identity.is_some()).count(), Ordering::Relaxed);
        }
        // Nobody is patient for ever, so this ends.
        self.habits.interval = Duration::MAX;
        while self.open.iter().any(|one| one.asked.is_some()) {
            self.turn();
        }
        self.outcome
    }

    /// Reads what has come, and asks where it is time.
    fn turn(&mut self) {
        self.read();
        let (now, interval, replaces) = (clock::now(), self.habits.interval, self.replaces);
        if interval == Duration::MAX {
            return;
        }
        self.open.retain_mut(|one| {
            if one.asked.is_some() || now < one.next {
                return true;
            }
            if replaces && interval < TOO_LATE && one.heard.elapsed() >= TOO_LATE {
                return false;
            }
            // A connection that cannot be written to has an end that is read in the next turn.
            if one.ask().is_ok() {
                one.asked = Some(Duration::ZERO);
                one.next = now + interval;
            }
            true
        });
    }

    fn read(&mut self) {
        let timeout = Timespec::try_from(TURN).expect("a short timeout");
        let mut waiting: Vec<PollFd<'_>> = self.open.iter().map(|one| PollFd::new(&one.stream, PollFlags::IN)).collect();
        let _interrupted = poll(&mut waiting, Some(&timeout));
        let ready: Vec<bool> = waiting.iter().map(|one| !one.revents().is_empty()).collect();
        drop(waiting);
        let passed = self.last_turn.elapsed().min(LONGEST_TURN);
        self.last_turn = clock::now();
        let mut number = 0;
        let (outcome, pause) = (&mut self.outcome, self.habits.interval / 2);
        self.open.retain_mut(|one| {
            number += 1;
            let end = if ready[number - 1] { one.read(outcome, pause) } else { None };
            match end.or_else(|| one.wait(passed)) {
                None => true,
                Some(End::InOrder) => {
                    outcome.ended_in_order += 1;
                    false
                }
                Some(End::Broken(how)) => {
                    outcome.count_broken(one, &how);
                    false
                }
            }
        });
    }

    /// The client's own end of a connection: old enough, and nothing asked.
    fn retire(&mut self) {
        let Some(lifetime) = self.habits.lifetime else { return };
        self.open.retain(|one| one.asked.is_some() || one.born.elapsed() < lifetime);
    }
}

impl Connection {
    fn ask(&mut self) -> io::Result<()> {
        let query = question(1);
        let mut framed = (query.len() as u16).to_be_bytes().to_vec();
        framed.extend(query);
        self.stream.write_all(&framed)
    }

    /// Waits on for an answer; the end, if that is overdue.
    fn wait(&mut self, passed: Duration) -> Option<End> {
        let waited = self.asked.as_mut()?;
        *waited += passed;
        (*waited > PATIENCE).then(|| End::Broken("no answer".to_owned()))
    }

    /// Reads what there is; the end of the connection, if it has one. It pauses after an answer.
    fn read(&mut self, outcome: &mut Outcome, pause: Duration) -> Option<End> {
        let mut buffer = [0; 1_024];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) if self.asked.is_none() => return Some(End::InOrder),
                Ok(0) => return Some(End::Broken("ended by the server".to_owned())),
                Ok(length) => {
                    self.received.extend_from_slice(&buffer[..length]);
                    self.take_answers(outcome, pause);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(error) => return Some(End::Broken(error.to_string())),
            }
        }
    }

    fn take_answers(&mut self, outcome: &mut Outcome, pause: Duration) {
        while let Some((length, rest)) = self.received.split_first_chunk::<2>() {
            let length = usize::from(u16::from_be_bytes(*length));
            let Some(message) = rest.get(..length) else { return };
            let (_, identity) = parse(message).expect("an answer that names its server");
            self.received.drain(..2 + length);
            outcome.answered += 1;
            self.asked = None;
            self.heard = clock::now();
            self.next = self.next.max(self.heard + pause.min(PATIENCE));
            if self.identity.is_none() {
                *outcome.servers.entry(identity.clone()).or_default() += 1;
                self.identity = Some(identity);
            }
        }
    }
}

fn connect() -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV6, Type::STREAM, Some(Protocol::TCP))?;
    socket.bind(&SocketAddr::from((client_address(1), 0)).into())?;
    socket.connect_timeout(&SocketAddr::from((SERVICE, 53)).into(), Duration::from_secs(1))?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    Ok(socket.into())
}
