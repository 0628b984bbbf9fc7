//! Open TCP connections beside each other: each asks, waits for the answer, pauses, and asks again, until the server closes it.
//!
//! A careful client: it looks whether the server has closed before it asks. One thread for all of them.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::clock;
use super::namespace::Namespace;
use super::network::SERVICE;
use super::probe::{parse, question};

/// The connections are looked at least so often.
const LOOK: Duration = Duration::from_millis(5);

/// A running crowd.
#[derive(Debug)]
pub(crate) struct Crowd {
    live: Arc<Live>,
    thread: Option<JoinHandle<Tally>>,
}

#[derive(Debug, Default)]
struct Live {
    stop: AtomicBool,
    answered: AtomicUsize,
    open: AtomicUsize,
}

/// What became of the connections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Answers.
    pub(crate) answered: usize,
    /// Connections that the server has closed in order, between two queries.
    pub(crate) closed: usize,
    /// Connections that were closed or broken with a query unanswered.
    pub(crate) unanswered: usize,
    /// Connections that were broken: reset, or timed out.
    pub(crate) broken: usize,
    /// Answers by the server that gave them.
    pub(crate) by_identity: BTreeMap<String, usize>,
}

impl Crowd {
    /// Opens `count` connections to the service address, which ask at once and then every `pause`, or never again.
    pub(crate) fn connect(client: &Namespace, count: usize, pause: Option<Duration>) -> Self {
        let streams = client.enter(|| {
            let connect = |_| TcpStream::connect((SERVICE, 53)).expect("the service is there");
            (0..count).map(connect).collect::<Vec<TcpStream>>()
        });
        let live = Arc::new(Live::default());
        live.open.store(count, Relaxed);
        let ours = Arc::clone(&live);
        let thread = thread::spawn(move || Asker::new(streams, pause).run(&ours));
        Self {
            live,
            thread: Some(thread),
        }
    }

    /// Connections that are open.
    pub(crate) fn open(&self) -> usize {
        self.live.open.load(Relaxed)
    }

    /// Waits until `more` further queries have been answered.
    #[track_caller]
    pub(crate) fn wait_for_answered(&self, more: usize, limit: Duration) {
        let goal = self.live.answered.load(Relaxed) + more;
        clock::wait_for(limit, "queries on connections are answered", || {
            self.live.answered.load(Relaxed) >= goal
        });
    }

    /// Waits for the answers that are missing, closes what is open and returns what happened.
    pub(crate) fn stop(mut self) -> Tally {
        self.live.stop.store(true, Relaxed);
        let thread = self.thread.take().expect("a crowd is stopped once");
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.live.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            let _its_panic_was_printed = thread.join();
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            answered,
            closed,
            unanswered,
            broken,
            ..
        } = self;
        write!(
            formatter,
            "answered {answered}, closed in order {closed}, unanswered {unanswered}, broken {broken}"
        )
    }
}

struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
    is_waiting: bool,
    next: Option<Instant>,
}

struct Asker {
    connections: Vec<Connection>,
    pause: Option<Duration>,
    tally: Tally,
}

impl Asker {
    fn new(streams: Vec<TcpStream>, pause: Option<Duration>) -> Self {
        let (begin, count) = (clock::now(), streams.len().max(1));
        let connection = |(index, stream): (usize, TcpStream)| {
            stream.set_nonblocking(true).expect("a socket of ours");
            stream.set_nodelay(true).expect("a socket of ours");
            Connection {
                stream,
                received: Vec::new(),
                is_waiting: false,
                // One after the other, as they would come.
                next: Some(begin + pause.unwrap_or_default() * index as u32 / count as u32),
            }
        };
        Self {
            connections: streams.into_iter().enumerate().map(connection).collect(),
            pause,
            tally: Tally::default(),
        }
    }

    fn run(mut self, live: &Live) -> Tally {
        let mut stopped = None;
        loop {
            self.wait();
            self.receive();
            live.answered.store(self.tally.answered, Relaxed);
            live.open.store(self.connections.len(), Relaxed);
            if live.stop.load(Relaxed) {
                let stopped = *stopped.get_or_insert_with(clock::now);
                let is_waiting = self.connections.iter().any(|connection| connection.is_waiting);
                if !is_waiting || stopped.elapsed() > Duration::from_secs(1) {
                    self.tally.unanswered += self.connections.iter().filter(|connection| connection.is_waiting).count();
                    return self.tally;
                }
            } else {
                self.ask();
            }
        }
    }

    fn wait(&self) {
        let timeout = Timespec::try_from(LOOK).expect("a short time");
        let waiting = self.connections.iter();
        let mut waiting: Vec<PollFd<'_>> = waiting.map(|connection| PollFd::new(&connection.stream, PollFlags::IN)).collect();
        let _looked_at_anyway = poll(&mut waiting, Some(&timeout));
    }

    fn receive(&mut self) {
        let (tally, pause) = (&mut self.tally, self.pause);
        self.connections.retain_mut(|connection| connection.receive(tally, pause));
    }

    fn ask(&mut self) {
        let (tally, pause) = (&mut self.tally, self.pause);
        self.connections.retain_mut(|connection| {
            let is_due = !connection.is_waiting && connection.next.is_some_and(|at| at <= clock::now());
            if !is_due {
                return true;
            }
            if !connection.receive(tally, pause) {
                return false;
            }
            let query = question(1);
            let framed = [&(query.len() as u16).to_be_bytes()[..], &query].concat();
            connection.is_waiting = true;
            // An error is seen when the answer is read.
            let _seen_later = connection.stream.write_all(&framed);
            true
        });
    }
}

impl Connection {
    /// Takes what has come; false when that was the end.
    fn receive(&mut self, tally: &mut Tally, pause: Option<Duration>) -> bool {
        let mut buffer = [0; 2_048];
        loop {
            let is_broken = match self.stream.read(&mut buffer) {
                Ok(count @ 1..) => {
                    self.received.extend(&buffer[..count]);
                    self.take_answers(tally, pause);
                    continue;
                }
                Ok(_) => false,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(_) => true,
            };
            tally.broken += usize::from(is_broken);
            tally.unanswered += usize::from(self.is_waiting);
            tally.closed += usize::from(!is_broken && !self.is_waiting);
            return false;
        }
    }

    fn take_answers(&mut self, tally: &mut Tally, pause: Option<Duration>) {
        while let Some((length, rest)) = self.received.split_first_chunk()
            && let Some(answer) = rest.get(..usize::from(u16::from_be_bytes(*length)))
        {
            let (_, identity) = parse(answer).expect("an answer names its server");
            *tally.by_identity.entry(identity).or_default() += 1;
            tally.answered += 1;
            self.is_waiting = false;
            self.next = pause.map(|pause| clock::now() + pause);
            let taken = 2 + answer.len();
            self.received.drain(..taken);
        }
    }
}
