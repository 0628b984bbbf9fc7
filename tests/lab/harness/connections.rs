//! Open TCP connections to the service, each asking now and then, as resolvers do: what becomes of them.
//!
//! A connection is broken if it was reset, or ended with a query unanswered. One that the server ends between two queries has
//! ended in order (RFC 7766 §6.2.4): the client opens another one.

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
const TURN: Duration = Duration::from_millis(5);

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

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "opened {}, refused {}, broken {}, ended in order {}, answered {}, servers {:?}",
            self.opened, self.refused, self.broken, self.ended_in_order, self.answered, self.servers
        )
    }
}

struct Connection {
    stream: TcpStream,
    born: Instant,
    /// When the query was sent that has no answer yet.
    asked: Option<Instant>,
    next: Instant,
    received: Vec<u8>,
    identity: Option<String>,
}

/// How a connection has ended.
enum End {
    InOrder,
    Broken,
}

struct Crowd {
    habits: Habits,
    replaces: bool,
    open: Vec<Connection>,
    outcome: Outcome,
}

impl Crowd {
    fn open(habits: Habits, replaces: bool) -> Self {
        let mut crowd = Self {
            habits,
            replaces,
            open: Vec::with_capacity(habits.count),
            outcome: Outcome::default(),
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
        let end = clock::now();
        while self.open.iter().any(|one| one.asked.is_some()) && end.elapsed() < PATIENCE {
            self.habits.interval = Duration::MAX;
            self.turn();
        }
        self.outcome.broken += self.open.iter().filter(|one| one.asked.is_some()).count();
        self.outcome
    }

    /// Asks where it is time, and reads what has come.
    fn turn(&mut self) {
        let (now, interval) = (clock::now(), self.habits.interval);
        for one in &mut self.open {
            if interval != Duration::MAX && one.asked.is_none() && now >= one.next && one.ask().is_ok() {
                one.asked = Some(now);
                one.next = now + interval;
            }
        }
        let timeout = Timespec::try_from(TURN).expect("a short timeout");
        let mut waiting: Vec<PollFd<'_>> = self.open.iter().map(|one| PollFd::new(&one.stream, PollFlags::IN)).collect();
        let _interrupted = poll(&mut waiting, Some(&timeout));
        let ready: Vec<bool> = waiting.iter().map(|one| !one.revents().is_empty()).collect();
        drop(waiting);
        let mut number = 0;
        let outcome = &mut self.outcome;
        self.open.retain_mut(|one| {
            number += 1;
            let overdue = one.asked.is_some_and(|asked| asked.elapsed() > PATIENCE);
            let end = if ready[number - 1] { one.read(outcome) } else { None };
            match end.or(overdue.then_some(End::Broken)) {
                None => true,
                Some(End::InOrder) => {
                    outcome.ended_in_order += 1;
                    false
                }
                Some(End::Broken) => {
                    outcome.broken += 1;
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

    /// Reads what there is; the end of the connection, if it has one.
    fn read(&mut self, outcome: &mut Outcome) -> Option<End> {
        let mut buffer = [0; 1_024];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) if self.asked.is_none() => return Some(End::InOrder),
                Ok(0) => return Some(End::Broken),
                Ok(length) => {
                    self.received.extend_from_slice(&buffer[..length]);
                    self.take_answers(outcome);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(_) => return Some(End::Broken),
            }
        }
    }

    fn take_answers(&mut self, outcome: &mut Outcome) {
        while let Some((length, rest)) = self.received.split_first_chunk::<2>() {
            let length = usize::from(u16::from_be_bytes(*length));
            let Some(message) = rest.get(..length) else { return };
            let (_, identity) = parse(message).expect("an answer that names its server");
            self.received.drain(..2 + length);
            outcome.answered += 1;
            self.asked = None;
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
