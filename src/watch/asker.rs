//! The sockets of the load: one for each source port, asked from in turn, as fast as it is due.
//!
//! Each port has its own message ids. A query that cannot be sent, because there is no route yet, is one that is not answered.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::RData;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::Settings;
use super::tally::Tally;
use crate::io::clock;

/// Longer than any answer to this question.
const BUFFER: usize = 2_048;
/// After a pause of the whole machine: what is overdue by more is not made up for.
const LONGEST_BURST: u64 = 100;

/// Asks and listens.
#[derive(Debug)]
pub(super) struct Asker {
    service: SocketAddr,
    rate: u32,
    sockets: Vec<UdpSocket>,
    /// Queries that were due so far, sent or not.
    due: u64,
    sent: u64,
}

impl Asker {
    pub(super) fn open(settings: &Settings) -> io::Result<Self> {
        let any: IpAddr = match settings.service {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let open = |_| -> io::Result<UdpSocket> {
            let socket = UdpSocket::bind((any, 0))?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        };
        Ok(Self {
            service: settings.service,
            rate: settings.rate,
            sockets: (0..settings.ports).map(open).collect::<io::Result<_>>()?,
            due: 0,
            sent: 0,
        })
    }

    /// Sends what is due `elapsed` after the beginning.
    pub(super) fn ask_what_is_due(&mut self, elapsed: Duration, tally: &mut Tally) -> io::Result<()> {
        let due = (elapsed.as_secs_f64() * f64::from(self.rate)) as u64;
        let missed = due.saturating_sub(self.due);
        self.due = self.due.max(due);
        (0..missed.min(LONGEST_BURST)).try_for_each(|_| self.ask(tally))
    }

    /// When the next query is due, after the beginning.
    pub(super) fn next_due(&self) -> Duration {
        Duration::from_secs_f64((self.due + 1) as f64 / f64::from(self.rate))
    }

    fn ask(&mut self, tally: &mut Tally) -> io::Result<()> {
        let ports = self.sockets.len() as u64;
        let port = (self.sent % ports) as usize;
        let id = (self.sent / ports) as u16;
        self.sent += 1;
        tally.asked(port, id, clock::now());
        match self.sockets[port].send_to(&question(id), self.service) {
            Err(error) if !is_of_the_network(&error) => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Waits for an answer, at most so long, and takes what is there.
    pub(super) fn receive(&self, longest: Duration, tally: &mut Tally) -> io::Result<()> {
        let timeout = Timespec::try_from(longest).map_err(io::Error::other)?;
        let mut waiting: Vec<PollFd<'_>> = self.sockets.iter().map(|socket| PollFd::new(socket, PollFlags::IN)).collect();
        match poll(&mut waiting, Some(&timeout)) {
            Ok(0) | Err(Errno::INTR) => return Ok(()),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        for (port, waiting) in waiting.iter().enumerate() {
            if !waiting.revents().is_empty() {
                self.take(port, tally);
            }
        }
        Ok(())
    }

    /// Everything that waits at one port; an error there is an answer that did not come.
    fn take(&self, port: usize, tally: &mut Tally) {
        let mut buffer = [0; BUFFER];
        while let Ok((length, source)) = self.sockets[port].recv_from(&mut buffer) {
            if source.ip() != self.service.ip() || source.port() != self.service.port() {
                continue;
            }
            if let Some((id, name)) = read_answer(&buffer[..length]) {
                tally.answered(port, id, name.as_deref());
            }
        }
    }
}

/// What a network can do to a datagram, from no route to a full queue; anything else is a mistake of ours or the system's.
fn is_of_the_network(error: &io::Error) -> bool {
    let of_the_network = [
        Errno::NETUNREACH,
        Errno::HOSTUNREACH,
        Errno::NETDOWN,
        Errno::CONNREFUSED,
        Errno::ADDRNOTAVAIL,
        Errno::ACCESS,
        Errno::PERM,
        Errno::NOBUFS,
        Errno::AGAIN,
        Errno::INTR,
        Errno::INVAL,
    ];
    Errno::from_io_error(error).is_some_and(|errno| of_the_network.contains(&errno))
}

/// `id.server. CH TXT` (RFC 4892).
fn question(id: u16) -> Vec<u8> {
    let mut query = id.to_be_bytes().to_vec();
    query.extend([0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    query.extend(b"\x02id\x06server\x00");
    query.extend([0, 16, 0, 3]);
    query
}

/// The message id of a response, and the name in it if there is one.
fn read_answer(bytes: &[u8]) -> Option<(u16, Option<String>)> {
    let message = Message::from_vec(bytes).ok()?;
    let name = message.answers.first().and_then(|record| match &record.data {
        RData::TXT(text) => text.txt_data.first().map(|name| String::from_utf8_lossy(name).into_owned()),
        _ => None,
    });
    Some((message.metadata.id, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server of one thread that answers `answers` questions with the name s1.
    fn answer(server: &UdpSocket, answers: usize) {
        let mut buffer = [0; 512];
        for _ in 0..answers {
            let (length, client) = server.recv_from(&mut buffer).unwrap();
            let mut response = buffer[..length].to_vec();
            response[2] |= 0x80;
            response[7] = 1;
            response.extend(b"\xc0\x0c\x00\x10\x00\x03\x00\x00\x00\x00\x00\x03\x02s1");
            server.send_to(&response, client).unwrap();
        }
    }

    #[test]
    fn what_is_due_is_asked_from_all_ports_in_turn_and_answers_find_their_queries() {
        let server = UdpSocket::bind("[::1]:0").unwrap();
        let settings = Settings {
            service: server.local_addr().unwrap(),
            rate: 100,
            ports: 4,
            seconds: None,
            plain: true,
        };
        let mut asker = Asker::open(&settings).unwrap();
        let mut tally = Tally::new(4);
        asker.ask_what_is_due(Duration::from_millis(95), &mut tally).unwrap();
        assert_eq!(asker.next_due(), Duration::from_millis(100));
        answer(&server, 9);
        while tally.is_waiting() {
            asker.receive(Duration::from_secs(1), &mut tally).unwrap();
        }
        let row = tally.end_second(clock::now());
        assert_eq!((row.sent, row.answered, row.by_server["s1"]), (9, 9, 9));
    }

    #[test]
    fn a_long_pause_is_not_made_up_for() {
        let server = UdpSocket::bind("[::1]:0").unwrap();
        let settings = Settings {
            service: server.local_addr().unwrap(),
            rate: 1_000,
            ports: 1,
            seconds: None,
            plain: true,
        };
        let mut asker = Asker::open(&settings).unwrap();
        let mut tally = Tally::new(1);
        asker.ask_what_is_due(Duration::from_secs(60), &mut tally).unwrap();
        assert_eq!(tally.end_second(clock::now()).sent, LONGEST_BURST);
        assert_eq!(asker.next_due(), Duration::from_millis(60_001));
    }
}
