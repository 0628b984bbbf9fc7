//! The asker: a closed window of queries over several source ports, many with one system call.
//!
//! It never sleeps while it waits: a process that sleeps on a socket makes the server pay for waking it, which no asker
//! over a network does. Instead it leaves the sockets alone for a moment, so that it disturbs the server's side little.

use std::collections::HashSet;
use std::hint;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use heraldns::base::time::Timestamp;
use heraldns::io::clock;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, recvmmsg, sendmmsg};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::SockRef;

use crate::question::Queries;

/// Source ports.
const FLOWS: usize = 8;
/// Queries on their way from one port.
const WINDOW: usize = 16;
/// Octets kept of an answer; the header is what is read.
const KEPT: usize = 64;
/// Room for answers in one port's socket.
const BUFFER: usize = 4 << 20;
/// How long the sockets are left alone when nothing has come.
const PAUSE: Duration = Duration::from_micros(20);
const SLEEP: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
/// What has not been answered after so long is lost.
const PATIENCE: Duration = Duration::from_millis(500);

/// What the asker does when no answer is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Waiting {
    /// It keeps its processor.
    Spinning,
    /// It sleeps in poll, and the server's answers wake it.
    Sleeping,
}

/// What became of the queries.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) answered: usize,
    pub(crate) lost: usize,
    /// Answers by response code.
    pub(crate) codes: [usize; 16],
    /// Octets of all answers.
    pub(crate) octets: usize,
    pub(crate) elapsed: Duration,
}

/// A source port and the ids that are on their way from it.
struct Flow {
    socket: UdpSocket,
    waiting: HashSet<u16>,
    next_id: u16,
    last_progress: Timestamp,
    headers: MultiHeaders<()>,
    queries: Vec<Vec<u8>>,
    answers: Vec<[u8; KEPT]>,
}

/// How the queries follow each other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) waiting: Waiting,
    /// Queries a second; 0: as fast as the window lets them.
    pub(crate) rate: u64,
}

/// Asks `count` queries, the first of them number `first`, and waits for the answers.
pub(crate) fn ask(server: SocketAddr, queries: &Queries, first: usize, count: usize, pace: Pace) -> io::Result<Outcome> {
    let mut flows = (0..FLOWS).map(|_| Flow::open(server)).collect::<io::Result<Vec<Flow>>>()?;
    let mut outcome = Outcome::default();
    let (start, end) = (clock::now(), first + count);
    let mut next = first;
    while outcome.answered + outcome.lost < count {
        let mut quiet = true;
        for flow in &mut flows {
            quiet &= flow.receive(&mut outcome)? == 0;
            let due = match pace.rate {
                0 => end,
                rate => end.min(first + 1 + (clock::now().since(start).as_micros() as u64 * rate / 1_000_000) as usize),
            };
            next += flow.send(queries, next, due.max(next))?;
        }
        if quiet && pace.rate > 0 {
            let now = clock::now();
            flows.iter_mut().for_each(|flow| flow.give_up(now, &mut outcome));
        }
        if quiet && pace.rate == 0 {
            let now = clock::now();
            flows.iter_mut().for_each(|flow| flow.give_up(now, &mut outcome));
            match pace.waiting {
                Waiting::Spinning => {
                    while clock::now().since(now) < PAUSE {
                        hint::spin_loop();
                    }
                }
                Waiting::Sleeping => {
                    let mut sockets: Vec<PollFd<'_>> = flows.iter().map(|flow| PollFd::new(&flow.socket, PollFlags::IN)).collect();
                    poll(&mut sockets, Some(&SLEEP))?;
                }
            }
        }
    }
    outcome.elapsed = clock::now().since(start);
    Ok(outcome)
}

impl Flow {
    fn open(server: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        SockRef::from(&socket).set_recv_buffer_size(BUFFER)?;
        socket.connect(server)?;
        Ok(Self {
            socket,
            waiting: HashSet::with_capacity(WINDOW),
            next_id: 0,
            last_progress: clock::now(),
            headers: MultiHeaders::preallocate(WINDOW, None),
            queries: vec![Vec::new(); WINDOW],
            answers: vec![[0; KEPT]; WINDOW],
        })
    }

    /// Takes the answers that are there; says how many.
    fn receive(&mut self, outcome: &mut Outcome) -> io::Result<usize> {
        if self.waiting.is_empty() {
            return Ok(0);
        }
        let mut lengths = [0; WINDOW];
        let mut count = 0;
        let mut slices: Vec<[IoSliceMut<'_>; 1]> = self.answers.iter_mut().map(|answer| [IoSliceMut::new(answer)]).collect();
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC;
        match recvmmsg(self.socket.as_raw_fd(), &mut self.headers, slices.iter_mut(), flags, None) {
            Ok(messages) => {
                for message in messages {
                    lengths[count] = message.bytes;
                    count += 1;
                }
            }
            // refused: the server is not there, or not yet
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ECONNREFUSED) => {}
            Err(error) => return Err(error.into()),
        }
        for (answer, length) in self.answers.iter().zip(&lengths[..count]) {
            let is_answer = *length >= 12 && answer[2] & 0x80 != 0;
            if is_answer && self.waiting.remove(&u16::from_be_bytes([answer[0], answer[1]])) {
                outcome.answered += 1;
                outcome.codes[usize::from(answer[3] & 15)] += 1;
                outcome.octets += length;
                self.last_progress = Timestamp::ZERO;
            }
        }
        Ok(count)
    }

    /// Fills the window with the queries from number `next` up to `end`; says how many have been sent.
    fn send(&mut self, queries: &Queries, next: usize, end: usize) -> io::Result<usize> {
        let count = (WINDOW - self.waiting.len()).min(end - next);
        if count == 0 {
            return Ok(0);
        }
        for (offset, message) in self.queries[..count].iter_mut().enumerate() {
            message.clear();
            message.extend_from_slice(queries.get(next + offset));
            message[..2].copy_from_slice(&self.next_id.wrapping_add(offset as u16).to_be_bytes());
        }
        let slices: Vec<[IoSlice<'_>; 1]> = self.queries[..count].iter().map(|message| [IoSlice::new(message)]).collect();
        let addresses = [None; WINDOW];
        let flags = MsgFlags::MSG_DONTWAIT;
        let sent = match sendmmsg(self.socket.as_raw_fd(), &mut self.headers, &slices, &addresses[..count], [], flags) {
            Ok(messages) => messages.count(),
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ECONNREFUSED | Errno::ENOBUFS) => 0,
            Err(error) => return Err(error.into()),
        };
        for _ in 0..sent {
            self.waiting.insert(self.next_id);
            self.next_id = self.next_id.wrapping_add(1);
        }
        Ok(sent)
    }

    /// Counts as lost what has been waited for too long. `ZERO` as the time of the last progress: some since the last look.
    fn give_up(&mut self, now: Timestamp, outcome: &mut Outcome) {
        if self.last_progress == Timestamp::ZERO || self.waiting.is_empty() {
            self.last_progress = now;
        } else if now.since(self.last_progress) > PATIENCE {
            outcome.lost += self.waiting.len();
            self.waiting.clear();
            self.last_progress = now;
        }
    }
}
