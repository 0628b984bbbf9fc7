//! The farewell slot: a piece of memory that two processes share, in which one leaves what the other is to send when it dies.
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
const HALF: usize = 64 << 10;
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
    /// Next header of the packet.
    pub next_header: u8,
    /// Its hop limit.
    pub hop_limit: u8,
    /// Its source.
    pub source: Ipv6Addr,
    /// Its destination.
    pub destination: Ipv6Addr,
    /// What follows the IPv6 header.
    pub payload: Vec<u8>,
}

impl ReadyPacket {
    /// The datagram for a raw `channel` on an interface that looks so; none for other channels.
    #[must_use]
    pub fn new(after: Duration, channel: &Channel, link: &InterfaceState, datagram: &OutDatagram) -> Option<Self> {
        let Channel::Raw {
            interface,
            next_header,
            hop_limit,
            ..
        } = channel
        else {
            return None;
        };
        Some(Self {
            after,
            interface: interface.clone(),
            index: link.index.0,
            next_header: *next_header,
            hop_limit: *hop_limit,
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
        let channel = Channel::Raw {
            interface: self.interface.clone(),
            next_header: self.next_header,
            hop_limit: self.hop_limit,
            groups: Vec::new(),
            icmp_types: Vec::new(),
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

    /// Sends it on its open channel.
    ///
    /// # Errors
    /// Why not.
    pub fn send(&self, driver: &mut Driver, handle: Handle) -> Result<(), SendError> {
        let datagram = OutDatagram {
            source: Some(self.source),
            destination: self.destination,
            port: 0,
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
}

impl FarewellSlot {
    /// A new, empty one; processes that are started from now on inherit it.
    ///
    /// # Errors
    /// The kernel's.
    pub fn create() -> io::Result<Self> {
        let file = File::from(memfd_create(c"heraldns-farewell", MemfdFlags::empty())?);
        file.set_len(2 * HALF as u64)?;
        Ok(Self { file, generation: 0 })
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
        if file.metadata()?.len() != 2 * HALF as u64 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut slot = Self { file, generation: 0 };
        slot.generation = slot.halves().into_iter().map(|(generation, _)| generation).max().unwrap_or(0);
        Ok(slot)
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
            next_header: 89,
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
        successor.leave(&[]).unwrap();
        assert_eq!(slot.read(), []);
        assert!(FarewellSlot::inherited(0).is_err(), "standard input is none");
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
