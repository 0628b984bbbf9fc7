//! The asker: a closed window of queries over several source ports, many with one system call.
//!
//! As a rule it never sleeps while it waits: a process that sleeps on a socket makes the server pay for waking it, which no
//! asker over a network does. Instead it leaves the sockets alone for a moment, so that it disturbs the server's side little.

use std::collections::HashSet;
use std::hint;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::ops::Range;
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
/// Queries on their way from one port. All together fit into a receive buffer of the kernel's usual size.
const WINDOW: usize = 16;
/// Octets kept of an answer: of the header is read, no more.
const KEPT: usize = 16;
/// Room for answers in one port's socket.
const BUFFER: usize = 4 << 20;
/// How long the sockets are left alone when nothing has come.
const PAUSE: Duration = Duration::from_micros(20);
const LONGEST_SLEEP: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};
/// When nothing has come over a port for so long, what it waits for is lost.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the asker does while no answer is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Waiting {
    /// It keeps its processor.
    Spinning,
    /// It sleeps, and the server's answers wake it.
    Sleeping,
}

/// How the queries follow each other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) waiting: Waiting,
    /// Queries a second; 0: as many as the window lets through.
    pub(crate) rate: u64,
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

impl Outcome {
    pub(crate) fn add(&mut self, other: &Self) {
        self.answered += other.answered;
        self.lost += other.lost;
        self.octets += other.octets;
        self.elapsed += other.elapsed;
        self.codes.iter_mut().zip(other.codes).for_each(|(own, other)| *own += other);
    }
}

/// Asks a range of queries and waits for the answers.
pub(crate) fn ask(server: SocketAddr, queries: &Queries, range: Range<usize>, pace: Pace) -> io::Result<Outcome> {
    let mut flows = (0..FLOWS).map(|_| Flow::open(server)).collect::<io::Result<Vec<Flow>>>()?;
    let mut outcome = Outcome::default();
    let start = clock::now();
    let mut next = range.start;
    while outcome.answered + outcome.lost < range.len() {
        let mut is_quiet = true;
        for flow in &mut flows {
            is_quiet &= !flow.receive(&mut outcome)?;
            let due = range.end.min(range.start + pace.due(start));
            next += flow.send(queries, next..due.max(next))?;
        }
        if is_quiet {
            let now = clock::now();
            flows.iter_mut().for_each(|flow| flow.give_up(now, &mut outcome));
            pace.wait(&flows, now)?;
        }
    }
    outcome.elapsed = clock::now().since(start);
    Ok(outcome)
}

impl Pace {
    /// How many queries may have been sent by now.
    fn due(self, start: Timestamp) -> usize {
        match self.rate {
            0 => usize::MAX >> 1,
            rate => 1 + (clock::now().since(start).as_micros() as u64 * rate / 1_000_000) as usize,
        }
    }

    /// Waits for answers. With a rate, only until the next query is due, which is at once.
    fn wait(self, flows: &[Flow], now: Timestamp) -> io::Result<()> {
        match self.waiting {
            _ if self.rate > 0 => {}
            Waiting::Spinning => {
                while clock::now().since(now) < PAUSE {
                    hint::spin_loop();
                }
            }
            Waiting::Sleeping => {
                let mut sockets: Vec<PollFd<'_>> = flows.iter().map(|flow| PollFd::new(&flow.socket, PollFlags::IN)).collect();
                poll(&mut sockets, Some(&LONGEST_SLEEP))?;
            }
        }
        Ok(())
    }
}

/// A source port and the ids that are on their way from it.
struct Flow {
    socket: UdpSocket,
    waiting: HashSet<u16>,
    next_id: u16,
    /// Since when nothing has come, as far as it was looked at.
    quiet_since: Option<Timestamp>,
    headers: MultiHeaders<()>,
    queries: Vec<Vec<u8>>,
    answers: Vec<[u8; KEPT]>,
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
            quiet_since: None,
            headers: MultiHeaders::preallocate(WINDOW, None),
            queries: vec![Vec::new(); WINDOW],
            answers: vec![[0; KEPT]; WINDOW],
        })
    }

    /// Takes the answers that are there; true if there are any.
    fn receive(&mut self, outcome: &mut Outcome) -> io::Result<bool> {
        if self.waiting.is_empty() {
            return Ok(false);
        }
        let (lengths, count) = self.receive_datagrams()?;
        for (answer, length) in self.answers.iter().zip(&lengths[..count]) {
            let is_answer = *length >= 12 && answer[2] & 0x80 != 0;
            if is_answer && self.waiting.remove(&u16::from_be_bytes([answer[0], answer[1]])) {
                outcome.answered += 1;
                outcome.codes[usize::from(answer[3] & 15)] += 1;
                outcome.octets += length;
                self.quiet_since = None;
            }
        }
        Ok(count > 0)
    }

    /// The lengths of the datagrams that were there, and how many.
    fn receive_datagrams(&mut self) -> io::Result<([usize; WINDOW], usize)> {
        let (mut lengths, mut count) = ([0; WINDOW], 0);
        let mut slices: Vec<[IoSliceMut<'_>; 1]> = self.answers.iter_mut().map(|answer| [IoSliceMut::new(answer)]).collect();
        // MSG_TRUNC: the length is the datagram's, whatever is kept of it
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC;
        match recvmmsg(self.socket.as_raw_fd(), &mut self.headers, slices.iter_mut(), flags, None) {
            Ok(datagrams) => {
                for datagram in datagrams {
                    lengths[count] = datagram.bytes;
                    count += 1;
                }
            }
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ECONNREFUSED) => {}
            Err(error) => return Err(error.into()),
        }
        Ok((lengths, count))
    }

    /// Fills the window with the first of these queries; says how many have been sent.
    fn send(&mut self, queries: &Queries, range: Range<usize>) -> io::Result<usize> {
        let count = range.len().min(WINDOW - self.waiting.len());
        if count == 0 {
            return Ok(0);
        }
        for (offset, message) in self.queries[..count].iter_mut().enumerate() {
            message.clear();
            message.extend_from_slice(queries.get(range.start + offset));
            message[..2].copy_from_slice(&self.next_id.wrapping_add(offset as u16).to_be_bytes());
        }
        let slices: Vec<[IoSlice<'_>; 1]> = self.queries[..count].iter().map(|message| [IoSlice::new(message)]).collect();
        let sent = sendmmsg(
            self.socket.as_raw_fd(),
            &mut self.headers,
            &slices,
            [None; WINDOW],
            [],
            MsgFlags::MSG_DONTWAIT,
        );
        let sent = match sent {
            Ok(datagrams) => datagrams.count(),
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ECONNREFUSED | Errno::ENOBUFS) => 0,
            Err(error) => return Err(error.into()),
        };
        for _ in 0..sent {
            self.waiting.insert(self.next_id);
            self.next_id = self.next_id.wrapping_add(1);
        }
        Ok(sent)
    }

    /// Counts as lost what has been waited for too long.
    fn give_up(&mut self, now: Timestamp, outcome: &mut Outcome) {
        let since = *self.quiet_since.get_or_insert(now);
        if now.since(since) > PATIENCE {
            outcome.lost += self.waiting.len();
            self.waiting.clear();
            self.quiet_since = None;
        }
    }
}
