//! The self-probe: asks our own service, through its real sockets and workers, who it is.
//!
//! A thread of its own, apart from the workers it asks and from the herald loop that reads its record. It asks
//! `id.server. CH TXT`, so an answer proves that *this* server answered, not another holder of the service address.
//! Probes come from this host, so they never count as queries from others.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, RecordType};

use super::observation::{Fault, Health};
use crate::base::time::Timestamp;
use crate::io::clock;

/// Time between two rounds.
const INTERVAL: Duration = Duration::from_millis(100);
/// How long a round waits for its answers.
const TIMEOUT: Duration = Duration::from_millis(250);
/// So many rounds in a row without an answer are a fault.
const TOLERATED: u32 = 3;
/// A prober that has not ended a round for so long is itself dead: nothing is known any more.
const STALE: Duration = Duration::from_secs(3);
/// Larger than any answer to the probe.
const ANSWER_OCTETS: usize = 1_024;

/// What the probe has seen, for whoever reads it.
#[derive(Debug)]
pub struct Record {
    targets: Box<[Target]>,
    last_round: AtomicU64,
    stop: AtomicBool,
}

#[derive(Debug)]
struct Target {
    address: SocketAddr,
    answered: AtomicU64,
    unanswered_in_a_row: AtomicU32,
}

impl Record {
    /// Health of the service by its own answers. Every address must have answered once.
    #[must_use]
    pub fn health(&self, now: Timestamp) -> Health {
        let last_round = Timestamp::from_micros(self.last_round.load(Ordering::Acquire));
        if now.since(last_round) > STALE {
            return Health::Unknown;
        }
        let misses = |target: &Target| target.unanswered_in_a_row.load(Ordering::Acquire);
        if self.targets.iter().any(|target| misses(target) >= TOLERATED) {
            return Health::Faulty(Fault::ProbeUnanswered);
        }
        let answered_once = self.targets.iter().all(|target| target.answered.load(Ordering::Acquire) > 0);
        if answered_once { Health::Healthy } else { Health::Unknown }
    }

    /// Forgets what was missed: the addresses were not there to be asked, which says nothing about the service.
    pub fn forgive(&self) {
        self.targets
            .iter()
            .for_each(|target| target.unanswered_in_a_row.store(0, Ordering::Release));
    }

    /// Probes answered by all addresses together, since the start.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.targets.iter().map(|target| target.answered.load(Ordering::Relaxed)).sum()
    }
}

/// The running probe. Dropping it ends its thread.
#[derive(Debug)]
pub struct Probe {
    record: Arc<Record>,
    thread: Option<JoinHandle<()>>,
}

impl Probe {
    /// Probes `targets`, all served by this process under `identity`.
    ///
    /// # Errors
    /// Those of starting a thread.
    pub fn start(targets: &[SocketAddr], identity: String) -> io::Result<Self> {
        let target = |address: &SocketAddr| Target {
            address: *address,
            answered: AtomicU64::new(0),
            unanswered_in_a_row: AtomicU32::new(0),
        };
        let record = Arc::new(Record {
            targets: targets.iter().map(target).collect(),
            last_round: AtomicU64::new(clock::now().as_micros()),
            stop: AtomicBool::new(false),
        });
        let shared = Arc::clone(&record);
        let thread = thread::Builder::new()
            .name("probe".to_owned())
            .spawn(move || probe_until_stopped(&shared, &identity))?;
        Ok(Self {
            record,
            thread: Some(thread),
        })
    }

    /// What it has seen.
    #[must_use]
    pub fn record(&self) -> Arc<Record> {
        Arc::clone(&self.record)
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.record.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // A panicked prober has already shown as stale.
            let _ = thread.join();
        }
    }
}

fn probe_until_stopped(record: &Record, identity: &str) {
    let mut id = 0_u16;
    while !record.stop.load(Ordering::Acquire) {
        id = id.wrapping_add(1);
        let round_began = clock::now();
        let asked: Vec<Option<UdpSocket>> = record.targets.iter().map(|target| ask(target.address, id).ok()).collect();
        for (target, socket) in record.targets.iter().zip(asked) {
            let left = TIMEOUT
                .saturating_sub(clock::now().since(round_began))
                .max(Duration::from_millis(1));
            if socket.is_some_and(|socket| is_answered(&socket, id, identity, left)) {
                target.unanswered_in_a_row.store(0, Ordering::Release);
                target.answered.fetch_add(1, Ordering::AcqRel);
            } else {
                target.unanswered_in_a_row.fetch_add(1, Ordering::AcqRel);
            }
        }
        record.last_round.store(clock::now().as_micros(), Ordering::Release);
        thread::park_timeout(INTERVAL.saturating_sub(clock::now().since(round_began)));
    }
}

/// A new socket for every probe: its new source port reaches another one of the workers behind the address.
///
/// Its source is the asked address itself: were that no longer on this host, the probe would leave it and be answered, or
/// counted, by the next holder.
fn ask(address: SocketAddr, id: u16) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((address.ip(), 0))?;
    socket.connect(address)?;
    socket.send(&question(id).ok_or(io::ErrorKind::InvalidData)?)?;
    Ok(socket)
}

fn question(id: u16) -> Option<Vec<u8>> {
    let name = Name::from_ascii("id.server.").ok()?;
    let mut query = Query::query(name, RecordType::TXT);
    query.set_query_class(DNSClass::CH);
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.add_query(query);
    message.to_vec().ok()
}

fn is_answered(socket: &UdpSocket, id: u16, identity: &str, timeout: Duration) -> bool {
    let mut answer = [0; ANSWER_OCTETS];
    if socket.set_read_timeout(Some(timeout)).is_err() {
        return false;
    }
    let Ok(length) = socket.recv(&mut answer) else { return false };
    let Ok(message) = Message::from_vec(&answer[..length]) else {
        return false;
    };
    let names_us = |data: &RData| matches!(data, RData::TXT(text) if text.txt_data.iter().any(|part| **part == *identity.as_bytes()));
    message.metadata.id == id
        && message.metadata.response_code == ResponseCode::NoError
        && message.answers.iter().any(|record| names_us(&record.data))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
        let limit = clock::now() + Duration::from_secs(10);
        while !condition() {
            assert!(clock::now() < limit, "{what} did not come");
            thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// A responder that answers as `identity`, for as long as `alive`.
    fn responder(identity: &'static str, alive: Arc<AtomicBool>) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        thread::spawn(move || {
            let mut bytes = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut bytes) {
                if !alive.load(Ordering::Acquire) {
                    continue;
                }
                let mut answer = Message::from_vec(&bytes[..length]).unwrap();
                answer.metadata.message_type = MessageType::Response;
                let text = hickory_proto::rr::rdata::TXT::new(vec![identity.to_owned()]);
                let mut record = hickory_proto::rr::Record::from_rdata(answer.queries[0].name().clone(), 0, RData::TXT(text));
                record.dns_class = DNSClass::CH;
                answer.answers.push(record);
                socket.send_to(&answer.to_vec().unwrap(), from).unwrap();
            }
        });
        address
    }

    #[test]
    fn an_answer_makes_healthy_and_silence_makes_faulty() {
        let alive = Arc::new(AtomicBool::new(true));
        let address = responder("s1", Arc::clone(&alive));
        let probe = Probe::start(&[address], "s1".to_owned()).unwrap();
        let record = probe.record();
        wait_for("health", || record.health(clock::now()) == Health::Healthy);
        alive.store(false, Ordering::Release);
        wait_for("the fault", || {
            record.health(clock::now()) == Health::Faulty(Fault::ProbeUnanswered)
        });
        record.forgive();
        assert_eq!(record.health(clock::now()), Health::Healthy, "forgiven");
        wait_for("the fault again", || {
            record.health(clock::now()) == Health::Faulty(Fault::ProbeUnanswered)
        });
        alive.store(true, Ordering::Release);
        wait_for("recovery", || record.health(clock::now()) == Health::Healthy);
    }

    #[test]
    fn the_answer_of_another_server_is_no_answer() {
        let address = responder("s2", Arc::new(AtomicBool::new(true)));
        let probe = Probe::start(&[address], "s1".to_owned()).unwrap();
        wait_for("the fault", || {
            probe.record().health(clock::now()) == Health::Faulty(Fault::ProbeUnanswered)
        });
    }

    #[test]
    fn nothing_seen_yet_is_unknown() {
        let target = Target {
            address: ([127, 0, 0, 1], 53).into(),
            answered: AtomicU64::new(0),
            unanswered_in_a_row: AtomicU32::new(0),
        };
        let record = Record {
            targets: Box::new([target]),
            last_round: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        };
        assert_eq!(record.health(Timestamp::ZERO), Health::Unknown);
        record.targets[0].answered.store(1, Ordering::Release);
        assert_eq!(record.health(Timestamp::ZERO), Health::Healthy);
        assert_eq!(
            record.health(Timestamp::from_secs(10)),
            Health::Unknown,
            "a dead prober knows nothing"
        );
    }
}
