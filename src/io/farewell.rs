//! The farewell slot: a piece of memory that two processes share, in which one leaves what the other is to send when it dies or
//! hangs; with a beat that shows that it does neither, and a mark that what was left has been sent.
//!
//! It is a file without a name (memfd), written and read as a file: no mapping, so nothing unsafe. There are two halves; the
//! older one is overwritten, and what was half written when its writer died has a wrong checksum, so that the other half counts.

use std::fs::File;
use std::hash::Hasher;
use std::io;
use std::net::Ipv6Addr;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use rustix::fs::{MemfdFlags, memfd_create};
use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher13;

use super::driver::{Driver, Handle, OpenError};
use crate::base::address::InterfaceIndex;
use crate::base::machine::{Channel, InterfaceState, OutDatagram, SendError};

/// Octets of one half: more than the farewells of any server.
const HALF: usize = 256 << 10;
/// Behind the halves: the beat, and the mark.
const BEAT: u64 = 2 * HALF as u64;
const MARK: u64 = BEAT + 8;
const LENGTH: u64 = MARK + 8;
/// Generation, checksum, length.
const HEADER: usize = 8 + 8 + 4;

/// A packet that is ready to be sent, with all that has to be known for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadyPacket {
    /// How long after the death.
    pub after: Duration,
    /// The interface's name.
    pub interface: String,
    /// Its index.
    pub index: u32,
    /// What it is.
    pub kind: PacketKind,
    /// Its hop limit.
    pub hop_limit: u8,
    /// Its source; of a UDP datagram that goes beyond the link the kernel chooses it.
    pub source: Ipv6Addr,
    /// Its destination.
    pub destination: Ipv6Addr,
    /// What follows the IPv6 header, or the UDP header.
    pub payload: Vec<u8>,
}

/// What a [`ReadyPacket`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PacketKind {
    /// A packet with this next header.
    Raw(u8),
    /// A datagram to this port, from any.
    Udp(u16),
}

impl ReadyPacket {
    /// The datagram for a `channel` on an interface that looks so; none for one of frames.
    #[must_use]
    pub fn new(after: Duration, channel: &Channel, link: &InterfaceState, datagram: &OutDatagram) -> Option<Self> {
        let (kind, hop_limit) = match channel {
            Channel::Raw {
                next_header, hop_limit, ..
            } => (PacketKind::Raw(*next_header), *hop_limit),
            Channel::Udp { hop_limit, .. } => (PacketKind::Udp(datagram.port), *hop_limit),
            Channel::Frame { .. } => return None,
        };
        Some(Self {
            after,
            interface: channel.interface().to_owned(),
            index: link.index.0,
            kind,
            hop_limit,
            source: datagram.source.or(link.link_local)?,
            destination: datagram.destination,
            payload: datagram.payload.clone(),
        })
    }

    /// Opens a channel for it.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(&self, driver: &mut Driver) -> Result<Vec<Handle>, OpenError> {
        let (interface, hop_limit) = (self.interface.clone(), self.hop_limit);
        let channel = match self.kind {
            PacketKind::Raw(next_header) => Channel::Raw {
                interface,
                next_header,
                hop_limit,
                groups: Vec::new(),
                icmp_types: Vec::new(),
            },
            // A process that hangs has its own port still.
            PacketKind::Udp(_) => Channel::Udp {
                interface,
                port: 0,
                hop_limit,
                groups: Vec::new(),
            },
        };
        let handles = driver.open(&[channel])?;
        let link = InterfaceState {
            index: InterfaceIndex(self.index),
            link_local: Some(self.source),
            up: true,
            groups_held: true,
            ..InterfaceState::default()
        };
        driver.follow(&self.interface, &link)?;
        Ok(handles)
    }

    /// True if `other` goes by the same channel.
    #[must_use]
    pub fn shares_channel(&self, other: &Self) -> bool {
        let way = |packet: &Self| (packet.interface.clone(), packet.kind, packet.hop_limit);
        way(self) == way(other)
    }

    /// Sends it on its open channel.
    ///
    /// # Errors
    /// Why not.
    pub fn send(&self, driver: &mut Driver, handle: Handle) -> Result<(), SendError> {
        let (source, port) = match self.kind {
            PacketKind::Raw(_) => (Some(self.source), 0),
            PacketKind::Udp(port) => (None, port),
        };
        let datagram = OutDatagram {
            source,
            destination: self.destination,
            port,
            link_layer: None,
            payload: self.payload.clone(),
        };
        driver.send(handle, &datagram)
    }
}

/// The slot, in either process.
#[derive(Debug)]
pub struct FarewellSlot {
    file: File,
    generation: u64,
    beats: u64,
}

impl FarewellSlot {
    /// A new, empty one; processes that are started from now on inherit it.
    ///
    /// # Errors
    /// The kernel's.
    pub fn create() -> io::Result<Self> {
        let file = File::from(memfd_create(c"heraldns-farewell", MemfdFlags::empty())?);
        file.set_len(LENGTH)?;
        Ok(Self::over(file))
    }

    /// Its descriptor's number, by which a child finds it.
    #[must_use]
    pub fn number(&self) -> i32 {
        self.file.as_raw_fd()
    }

    /// The one that was inherited under this number.
    ///
    /// # Errors
    /// The kernel's, and "invalid data" if that is something else.
    pub fn inherited(number: i32) -> io::Result<Self> {
        let file = File::options().read(true).write(true).open(format!("/proc/self/fd/{number}"))?;
        if file.metadata()?.len() != LENGTH {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut slot = Self::over(file);
        slot.catch_up();
        Ok(slot)
    }

    fn over(file: File) -> Self {
        Self {
            file,
            generation: 0,
            beats: 0,
        }
    }

    /// Writes on from what another process has written.
    fn catch_up(&mut self) {
        self.generation = self.halves().into_iter().map(|(generation, _)| generation).max().unwrap_or(0);
    }

    /// Prepares it for a process that is to be started: nothing is left in it, and nothing is watched.
    ///
    /// # Errors
    /// The kernel's.
    pub fn empty(&mut self) -> io::Result<()> {
        self.catch_up();
        self.write_word(BEAT, 0)?;
        self.write_word(MARK, 0)?;
        self.leave(&[])
    }

    /// Shows that this process lives. From its first beat on it is watched.
    ///
    /// # Errors
    /// The kernel's.
    pub fn beat(&mut self) -> io::Result<()> {
        self.beats += 1;
        self.write_word(BEAT, self.beats)
    }

    /// This process ends in order, and is not to be watched any more.
    ///
    /// # Errors
    /// The kernel's.
    pub fn rest(&mut self) -> io::Result<()> {
        self.write_word(BEAT, 0)
    }

    /// Changes while the other process lives; 0: it is not to be watched.
    #[must_use]
    pub fn beats(&self) -> u64 {
        self.word(BEAT)
    }

    /// Marks that what was left is said, before it is; or, by the process that left it, that it has seen that.
    ///
    /// # Errors
    /// The kernel's.
    pub fn mark_said(&mut self, said: bool) -> io::Result<()> {
        self.write_word(MARK, u64::from(said))
    }

    /// True if what was left has been said, and the process that left it does not know.
    #[must_use]
    pub fn is_said(&self) -> bool {
        self.word(MARK) != 0
    }

    fn write_word(&self, at: u64, word: u64) -> io::Result<()> {
        self.file.write_all_at(&word.to_ne_bytes(), at)
    }

    fn word(&self, at: u64) -> u64 {
        let mut octets = [0; 8];
        let read = self.file.read_exact_at(&mut octets, at);
        read.map_or(0, |()| u64::from_ne_bytes(octets))
    }

    /// Leaves these packets in place of those before.
    ///
    /// # Errors
    /// The kernel's, and "invalid input" if they are too many.
    pub fn leave(&mut self, packets: &[ReadyPacket]) -> io::Result<()> {
        let body = serde_json::to_vec(packets)?;
        if body.len() > HALF - HEADER {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.generation += 1;
        let mut half = Vec::with_capacity(HEADER + body.len());
        half.extend(self.generation.to_ne_bytes());
        half.extend(checksum(self.generation, &body).to_ne_bytes());
        half.extend((body.len() as u32).to_ne_bytes());
        half.extend(body);
        self.file.write_all_at(&half, place(self.generation))
    }

    /// What was left last.
    #[must_use]
    pub fn read(&self) -> Vec<ReadyPacket> {
        let last = self.halves().into_iter().max_by_key(|(generation, _)| *generation);
        last.and_then(|(_, body)| serde_json::from_slice(&body).ok()).unwrap_or_default()
    }

    /// The halves that are whole.
    fn halves(&self) -> Vec<(u64, Vec<u8>)> {
        let half = |number| {
            let mut octets = vec![0; HALF];
            self.file.read_exact_at(&mut octets, place(number)).ok()?;
            let (generation, rest) = octets.split_first_chunk()?;
            let (sum, rest) = rest.split_first_chunk()?;
            let (length, rest) = rest.split_first_chunk()?;
            let generation = u64::from_ne_bytes(*generation);
            let body = rest.get(..u32::from_ne_bytes(*length) as usize)?;
            let is_whole = generation > 0 && checksum(generation, body) == u64::from_ne_bytes(*sum);
            is_whole.then(|| (generation, body.to_vec()))
        };
        [0, 1].into_iter().filter_map(half).collect()
    }
}

fn place(generation: u64) -> u64 {
    generation % 2 * HALF as u64
}

fn checksum(generation: u64, body: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write_u64(generation);
    hasher.write(body);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(payload: u8) -> ReadyPacket {
        ReadyPacket {
            after: Duration::from_millis(50),
            interface: "eth0".to_owned(),
            index: 3,
            kind: PacketKind::Raw(89),
            hop_limit: 1,
            source: "fe80::1".parse().unwrap(),
            destination: "ff02::5".parse().unwrap(),
            payload: vec![payload; 36],
        }
    }

    #[test]
    fn what_one_leaves_the_other_reads() {
        let slot = FarewellSlot::create().unwrap();
        assert_eq!(slot.read(), []);
        let mut inherited = FarewellSlot::inherited(slot.number()).unwrap();
        for number in 1..5 {
            inherited.leave(&[packet(number), packet(0)]).unwrap();
            assert_eq!(slot.read(), [packet(number), packet(0)]);
        }
        let mut successor = FarewellSlot::inherited(slot.number()).unwrap();
        successor.leave(&[packet(9)]).unwrap();
        assert_eq!(slot.read(), [packet(9)]);
        assert!(FarewellSlot::inherited(0).is_err(), "standard input is none");
    }

    #[test]
    fn an_emptied_slot_is_as_new_whoever_wrote_it_last() {
        let mut slot = FarewellSlot::create().unwrap();
        let mut inherited = FarewellSlot::inherited(slot.number()).unwrap();
        for number in 1..4 {
            inherited.leave(&[packet(number)]).unwrap();
            inherited.beat().unwrap();
            slot.mark_said(true).unwrap();
            assert!(inherited.is_said());
            slot.empty().unwrap();
            assert_eq!((slot.read(), slot.beats(), inherited.is_said()), (Vec::new(), 0, false));
            inherited = FarewellSlot::inherited(slot.number()).unwrap();
        }
    }

    #[test]
    fn a_beat_changes_what_the_other_sees_until_there_is_nothing_to_watch() {
        let slot = FarewellSlot::create().unwrap();
        let mut inherited = FarewellSlot::inherited(slot.number()).unwrap();
        let seen: Vec<u64> = (0..3)
            .map(|_| {
                inherited.beat().unwrap();
                slot.beats()
            })
            .collect();
        assert_eq!(seen, [1, 2, 3]);
        inherited.rest().unwrap();
        assert_eq!(slot.beats(), 0);
    }

    #[test]
    fn a_half_that_was_being_written_does_not_count() {
        let mut slot = FarewellSlot::create().unwrap();
        slot.leave(&[packet(1)]).unwrap();
        slot.leave(&[packet(2)]).unwrap();
        slot.file.write_all_at(&[7; 30], place(2) + 40).unwrap();
        assert_eq!(slot.read(), [packet(1)]);
    }

    #[test]
    fn too_much_is_refused_and_the_last_one_stays() {
        let mut slot = FarewellSlot::create().unwrap();
        slot.leave(&[packet(1)]).unwrap();
        assert!(slot.leave(&vec![packet(2); 10_000]).is_err());
        assert_eq!(slot.read(), [packet(1)]);
    }
}
