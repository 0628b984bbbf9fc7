//! What is sent on the link: every ICMPv6 and OSPFv3 packet and peer message as it enters the switch, once, with its port and time.
//!
//! A packet socket in the switch's namespace sees each frame on each port; only a frame's way *in* is kept, so that
//! one frame is one entry and its port names its sender. Headers are decoded by pnet; ND options by hand.

use std::fmt;
use std::io::IoSliceMut;
use std::net::Ipv6Addr;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use heraldns::base::address::LinkLayerAddress;
use nix::sys::socket::{ControlMessageOwned, LinkAddr, MsgFlags, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use pnet_packet::Packet;
use pnet_packet::ethernet::{EtherTypes, EthernetPacket};
use pnet_packet::icmpv6::Icmpv6Packet;
use pnet_packet::ip::IpNextHeaderProtocols;
use pnet_packet::ipv6::Ipv6Packet;
use pnet_packet::udp::UdpPacket;
use rustix::net::netdevice::name_to_index;
use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use super::clock;
use super::switch::Switch;

/// UDP port of the peer message.
const PEER_PORT: u16 = 4844;
/// `sll_pkttype` of a frame that leaves by the port it is seen on.
const OUTGOING: u8 = 4;

/// Frames that are shown when a test fails.
const SHOWN: usize = 40;

/// A frame that a station sent.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// When the kernel saw it.
    pub(crate) at: Instant,
    /// The port it came in by.
    pub(crate) port: String,
    /// Ethernet source.
    pub(crate) from: LinkLayerAddress,
    /// Ethernet destination.
    pub(crate) to: LinkLayerAddress,
    /// IPv6 source.
    pub(crate) source: Ipv6Addr,
    /// IPv6 destination.
    pub(crate) destination: Ipv6Addr,
    /// IPv6 hop limit.
    pub(crate) hop_limit: u8,
    /// What it says.
    pub(crate) message: Message,
}

/// What a captured frame says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// ICMPv6 type 135.
    Solicitation {
        /// Whose link-layer address is asked for.
        target: Ipv6Addr,
        /// Option 1.
        source_mac: Option<LinkLayerAddress>,
    },
    /// ICMPv6 type 136.
    Advertisement {
        /// Whose link-layer address is told.
        target: Ipv6Addr,
        /// R, S and O.
        flags: Flags,
        /// Option 2.
        target_mac: Option<LinkLayerAddress>,
        /// Body of option 253, heraldns' own.
        herald: Option<Vec<u8>>,
    },
    /// Another ICMPv6 type.
    OtherIcmp(u8),
    /// A peer message.
    Peer(Vec<u8>),
    /// An OSPFv3 packet, with what follows it (RFC 7166).
    Ospf(Vec<u8>),
    /// Multicast Listener Discovery: it travels behind a hop-by-hop header.
    HopByHop,
}

/// Flags of a Neighbor Advertisement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flags {
    pub(crate) router: bool,
    pub(crate) solicited: bool,
    pub(crate) override_entry: bool,
}

impl Frame {
    /// True if it is a Neighbor Advertisement that gives `mac` for `target`.
    pub(crate) fn advertises(&self, target: Ipv6Addr, mac: LinkLayerAddress) -> bool {
        matches!(&self.message, Message::Advertisement { target: told, target_mac, .. } if *told == target && *target_mac == Some(mac))
    }

    /// True if it is a Neighbor Advertisement for `target`.
    pub(crate) fn is_advertisement_of(&self, target: Ipv6Addr) -> bool {
        matches!(&self.message, Message::Advertisement { target: told, .. } if *told == target)
    }

    /// True if it is a Neighbor Solicitation for `target`.
    pub(crate) fn solicits(&self, target: Ipv6Addr) -> bool {
        matches!(&self.message, Message::Solicitation { target: asked, .. } if *asked == target)
    }

    /// True if it is the unicast advertisement that answers the solicitation `asked`.
    pub(crate) fn answers(&self, asked: &Self) -> bool {
        let Message::Solicitation { target, .. } = asked.message else {
            return false;
        };
        self.is_advertisement_of(target) && self.destination == asked.source && self.to == asked.from && self.at >= asked.at
    }

    /// True if it is a solicitation or an advertisement.
    pub(crate) fn is_neighbor_discovery(&self) -> bool {
        matches!(self.message, Message::Solicitation { .. } | Message::Advertisement { .. })
    }

    /// True if it is Neighbor Discovery that has to do with `address`: as target, or as the source of a solicitation.
    pub(crate) fn concerns(&self, address: Ipv6Addr) -> bool {
        match &self.message {
            Message::Solicitation { target, .. } => *target == address || self.source == address,
            Message::Advertisement { target, .. } => *target == address,
            Message::OtherIcmp(_) | Message::Peer(_) | Message::Ospf(_) | Message::HopByHop => false,
        }
    }
}

/// A running capture. Frames are kept until it is dropped.
#[derive(Debug)]
pub(crate) struct Capture {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    frames: Mutex<Vec<Frame>>,
    arrived: Condvar,
    stop: AtomicBool,
}

impl Capture {
    /// Captures on all ports that `switch` has now.
    pub(crate) fn start(switch: &Switch) -> Self {
        let socket = switch.namespace().enter(open);
        let ports = switch
            .ports()
            .iter()
            .map(|port| {
                let index = name_to_index(&socket, port).expect("a port of the switch exists");
                (index as usize, port.clone())
            })
            .collect::<Vec<_>>();
        let shared = Arc::new(Shared::default());
        let ours = Arc::clone(&shared);
        let thread = thread::spawn(move || ours.run(&socket, &ports));
        Self {
            shared,
            thread: Some(thread),
        }
    }

    /// All frames sent since `since` for which `wanted` holds, in order.
    pub(crate) fn since(&self, since: Instant, wanted: impl Fn(&Frame) -> bool) -> Vec<Frame> {
        let frames = self.shared.lock();
        frames.iter().filter(|frame| frame.at >= since && wanted(frame)).cloned().collect()
    }

    /// The first frame sent since `since` for which `wanted` holds; waits for it, panics with `what` after `limit`.
    #[track_caller]
    pub(crate) fn wait_for(&self, limit: Duration, what: &str, since: Instant, wanted: impl Fn(&Frame) -> bool) -> Frame {
        let begin = clock::now();
        let mut frames = self.shared.lock();
        loop {
            if let Some(frame) = frames.iter().find(|frame| frame.at >= since && wanted(frame)) {
                return frame.clone();
            }
            let left = limit.saturating_sub(begin.elapsed());
            assert!(!left.is_zero(), "waited {limit:?} in vain for a frame: {what}");
            (frames, _) = self
                .shared
                .arrived
                .wait_timeout(frames, left)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _its_panic_was_printed = thread.join();
        }
        if thread::panicking() {
            let frames = self.shared.lock();
            eprintln!("--- the last Neighbor Discovery packets on the link:");
            let shown: Vec<&Frame> = frames.iter().filter(|frame| frame.is_neighbor_discovery()).collect();
            shown[shown.len().saturating_sub(SHOWN)..]
                .iter()
                .for_each(|frame| eprintln!("{frame}"));
        }
    }
}

impl fmt::Display for Frame {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ago, port, source, destination) = (clock::millis(self.at.elapsed()), &self.port, self.source, self.destination);
        write!(
            formatter,
            "{ago:8.1} ms ago, {port}: {source} > {destination} [{} > {}]: {:?}",
            self.from, self.to, self.message
        )
    }
}

impl Shared {
    /// The frames, also after a test panicked while it waited for one.
    fn lock(&self) -> MutexGuard<'_, Vec<Frame>> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, socket: &Socket, ports: &[(usize, String)]) {
        let mut buffer = [0; 2_048];
        let mut control = nix::cmsg_space!(TimeSpec);
        while !self.stop.load(Ordering::Relaxed) {
            let mut slices = [IoSliceMut::new(&mut buffer)];
            let Ok(received) = recvmsg::<LinkAddr>(socket.as_raw_fd(), &mut slices, Some(&mut control), MsgFlags::empty()) else {
                continue; // the read timeout: look at `stop`
            };
            let Some(address) = received.address.filter(|address| address.pkttype() != OUTGOING) else {
                continue;
            };
            let Some((_, port)) = ports.iter().find(|(index, _)| *index == address.ifindex()) else {
                continue;
            };
            let at = received
                .cmsgs()
                .ok()
                .and_then(|mut messages| messages.find_map(timestamp))
                .unwrap_or_else(clock::now);
            let length = received.bytes;
            let Some(frame) = decode(buffer.get(..length).unwrap_or_default(), port, at) else {
                continue;
            };
            self.lock().push(frame);
            self.arrived.notify_all();
        }
    }
}

fn open() -> Socket {
    let every_protocol = Protocol::from(i32::from(3_u16.to_be()));
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(every_protocol)).expect("root may open packet sockets");
    socket.attach_filter(&routing_and_peers()).expect("the filter is well-formed");
    socket.set_recv_buffer_size(4 << 20).expect("a buffer size is a wish");
    socket
        .set_read_timeout(Some(Duration::from_millis(50)))
        .expect("a timeout can be set");
    setsockopt(&socket, sockopt::ReceiveTimestampns, &true).expect("the kernel stamps packets");
    socket
}

/// A kernel filter (classic BPF) that lets ICMPv6, OSPFv3, hop-by-hop headers and peer messages through, and no load.
fn routing_and_peers() -> [SockFilter; 11] {
    const LOAD_HALF: u16 = 0x28;
    const LOAD_BYTE: u16 = 0x30;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    [
        SockFilter::new(LOAD_HALF, 0, 0, 12),
        SockFilter::new(JUMP_IF_EQUAL, 0, 8, 0x86dd),
        SockFilter::new(LOAD_BYTE, 0, 0, 20),
        SockFilter::new(JUMP_IF_EQUAL, 5, 0, 58),
        SockFilter::new(JUMP_IF_EQUAL, 4, 0, 0),
        SockFilter::new(JUMP_IF_EQUAL, 3, 0, 89),
        SockFilter::new(JUMP_IF_EQUAL, 0, 3, 17),
        SockFilter::new(LOAD_HALF, 0, 0, 56),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, u32::from(PEER_PORT)),
        SockFilter::new(RETURN, 0, 0, 0xffff),
        SockFilter::new(RETURN, 0, 0, 0),
    ]
}

fn timestamp(message: ControlMessageOwned) -> Option<Instant> {
    let ControlMessageOwned::ScmTimestampns(stamp) = message else {
        return None;
    };
    Some(clock::from_wall(SystemTime::UNIX_EPOCH + Duration::from(stamp)))
}

fn decode(bytes: &[u8], port: &str, at: Instant) -> Option<Frame> {
    let ethernet = EthernetPacket::new(bytes).filter(|frame| frame.get_ethertype() == EtherTypes::Ipv6)?;
    let ipv6 = Ipv6Packet::new(ethernet.payload())?;
    let message = match ipv6.get_next_header() {
        IpNextHeaderProtocols::Icmpv6 => decode_icmp(ipv6.payload())?,
        IpNextHeaderProtocols::OspfigP => Message::Ospf(ipv6.payload().to_vec()),
        IpNextHeaderProtocols::Udp => Message::Peer(UdpPacket::new(ipv6.payload())?.payload().to_vec()),
        _ => Message::HopByHop,
    };
    Some(Frame {
        at,
        port: port.to_owned(),
        from: LinkLayerAddress(ethernet.get_source().octets()),
        to: LinkLayerAddress(ethernet.get_destination().octets()),
        source: ipv6.get_source(),
        destination: ipv6.get_destination(),
        hop_limit: ipv6.get_hop_limit(),
        message,
    })
}

fn decode_icmp(bytes: &[u8]) -> Option<Message> {
    let kind = Icmpv6Packet::new(bytes)?.get_icmpv6_type().0;
    let neighbor_discovery = bytes
        .get(8..24)
        .map(|target| Ipv6Addr::from(<[u8; 16]>::try_from(target).expect("16 octets")));
    let Some(target) = neighbor_discovery.filter(|_| matches!(kind, 135 | 136)) else {
        return Some(Message::OtherIcmp(kind));
    };
    let options = bytes.get(24..).unwrap_or_default();
    Some(if kind == 135 {
        Message::Solicitation {
            target,
            source_mac: option(options, 1).and_then(link_layer),
        }
    } else {
        Message::Advertisement {
            target,
            flags: Flags {
                router: bytes[4] & 0x80 != 0,
                solicited: bytes[4] & 0x40 != 0,
                override_entry: bytes[4] & 0x20 != 0,
            },
            target_mac: option(options, 2).and_then(link_layer),
            herald: option(options, 253).map(<[u8]>::to_vec),
        }
    })
}

/// The body of the first option of type `wanted`.
fn option(mut options: &[u8], wanted: u8) -> Option<&[u8]> {
    while let [kind, units, ..] = *options {
        let length = usize::from(units) * 8;
        let body = options.get(2..length)?;
        if kind == wanted {
            return Some(body);
        }
        options = &options[length..];
    }
    None
}

fn link_layer(body: &[u8]) -> Option<LinkLayerAddress> {
    Some(LinkLayerAddress(body.get(..6)?.try_into().ok()?))
}
