//! Frame channels: IPv6 packets put on the link towards a link-layer address of our choice (RFC 2464 §3, RFC 8200 §3).
//!
//! Send only: the packet socket has protocol 0, so the kernel delivers nothing to it (packet(7)).

use std::net::Ipv6Addr;
use std::os::fd::AsRawFd;

use nix::sys::socket::{MsgFlags, sendto};
use pnet_packet::ethernet::{EtherTypes, MutableEthernetPacket};
use pnet_packet::ip::IpNextHeaderProtocol;
use pnet_packet::ipv6::MutableIpv6Packet;
use rustix::io::Errno;
use socket2::{Domain, Socket, Type};

use super::datagram::send_error;
use super::port::Link;
use super::socket::{Attempt, OpenError};
use super::sys::packet::link_destination;
use crate::base::address::LinkLayerAddress;
use crate::base::machine::{OutDatagram, SendError};

const ETHERNET_HEADER: usize = 14;
const IPV6_HEADER: usize = 40;

/// Opens a packet socket that hears nothing.
pub(super) fn open(attempt: Attempt<'_>) -> Result<Socket, OpenError> {
    Socket::new(Domain::PACKET, Type::RAW.nonblocking(), None).map_err(|error| attempt.failed(error))
}

/// The addresses of a frame and of the packet in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Link-layer source.
    pub from: LinkLayerAddress,
    /// Link-layer destination; a group address is as good as any.
    pub to: LinkLayerAddress,
    /// IPv6 source.
    pub source: Ipv6Addr,
    /// IPv6 destination.
    pub destination: Ipv6Addr,
    /// What the payload is.
    pub next_header: u8,
    /// Hop limit.
    pub hop_limit: u8,
}

/// Writes the whole frame into `frame`, replacing what was there; `None` for a payload that no IPv6 packet can carry.
#[must_use]
pub fn build(frame: &mut Vec<u8>, header: &Header, payload: &[u8]) -> Option<()> {
    let length = u16::try_from(payload.len()).ok()?;
    frame.clear();
    frame.resize(ETHERNET_HEADER + IPV6_HEADER, 0);
    frame.extend_from_slice(payload);
    let mut ethernet = MutableEthernetPacket::new(frame)?;
    ethernet.set_source(header.from.0.into());
    ethernet.set_destination(header.to.0.into());
    ethernet.set_ethertype(EtherTypes::Ipv6);
    let mut packet = MutableIpv6Packet::new(&mut frame[ETHERNET_HEADER..])?;
    packet.set_version(6);
    packet.set_payload_length(length);
    packet.set_next_header(IpNextHeaderProtocol::new(header.next_header));
    packet.set_hop_limit(header.hop_limit);
    packet.set_source(header.source);
    packet.set_destination(header.destination);
    Some(())
}

/// Writes the frame that carries `datagram` on `link` into `frame`.
pub(super) fn build_for(frame: &mut Vec<u8>, link: &Link, next_header: u8, hop_limit: u8, datagram: &OutDatagram) -> Result<(), SendError> {
    let header = Header {
        from: link.link_layer,
        to: datagram.link_layer.ok_or(SendError::Kernel(Errno::DESTADDRREQ.raw_os_error()))?,
        source: datagram.source.or(link.link_local).ok_or(SendError::InterfaceDown)?,
        destination: datagram.destination,
        next_header,
        hop_limit,
    };
    build(frame, &header, &datagram.payload).ok_or(SendError::Kernel(Errno::MSGSIZE.raw_os_error()))
}

/// Puts a whole frame on the link.
pub(super) fn send(socket: &Socket, link: &Link, frame: &[u8]) -> Result<(), SendError> {
    let destination = link_destination(link.index).ok_or(SendError::InterfaceDown)?;
    sendto(socket.as_raw_fd(), frame, &destination, MsgFlags::MSG_DONTWAIT)
        .map(|_| ())
        .map_err(send_error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_these_bytes() {
        let header = Header {
            from: LinkLayerAddress([2, 0, 0, 0, 0, 1]),
            to: LinkLayerAddress([0x33, 0x33, 0xff, 0, 0, 0x53]),
            source: "fe80::1".parse().unwrap(),
            destination: "ff02::1".parse().unwrap(),
            next_header: 58,
            hop_limit: 255,
        };
        let mut frame = vec![0xee; 200];
        build(&mut frame, &header, &[0x88, 0, 0xab, 0xcd]).unwrap();
        let mut expected = vec![0x33, 0x33, 0xff, 0, 0, 0x53, 2, 0, 0, 0, 0, 1, 0x86, 0xdd]; // destination, source, EtherType
        expected.extend([0x60, 0, 0, 0, 0, 4, 58, 255]); // version, class and flow; payload length, next header, hop limit
        expected.extend([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        expected.extend([0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        expected.extend([0x88, 0, 0xab, 0xcd]);
        assert_eq!(frame, expected);
        assert_eq!(build(&mut frame, &header, &vec![0; 65_536]), None);
    }
}
