//! A protocol with the network taken out: the [`Machine`] trait, what goes into a machine and what comes out.
//!
//! A machine knows no socket, clock, file or random source of its own. The driver (`app::herald` on `io`, or the
//! simulator in the tests) opens the channels it names, hands it every input with the time, and does what it finds in
//! the [`Outbox`] when the call returns. Nothing is left to be polled.

use std::net::Ipv6Addr;

use super::address::{InterfaceIndex, LinkLayerAddress};
use super::peer::Peer;
use super::time::Timestamp;

/// A protocol as a pure machine: bytes and time in, bytes and deadlines out.
pub trait Machine {
    /// The channels this machine speaks on, fixed for its life; the index is the [`ChannelId`].
    fn channels(&self) -> &[Channel];

    /// Takes one input; everything that is to be done about it is in `out` on return.
    fn handle(&mut self, input: Input<'_>, now: Timestamp, out: &mut Outbox);

    /// When [`Input::Tick`] is next due. Asked again after every call.
    fn deadline(&self) -> Option<Timestamp>;
}

/// Which of its channels a machine means: an index into [`Machine::channels`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChannelId(pub usize);

/// A way to the network, as data: the driver opens it, the simulator plays it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Channel {
    /// IPv6 packets with this next header on one link, sent from its link-local address.
    Raw {
        /// Name of the interface.
        interface: String,
        /// 58 for ICMPv6, 89 for OSPFv3.
        next_header: u8,
        /// Hop limit of everything that is sent.
        hop_limit: u8,
        /// Multicast groups that are joined (so that MLD reports go out).
        groups: Vec<Ipv6Addr>,
        /// With next header 58: the ICMPv6 types that are let through; the others never reach the machine.
        icmp_types: Vec<u8>,
    },
    /// Send only: IPv6 packets put on the link towards a link-layer address of our choice, past the neighbour cache.
    Frame {
        /// Name of the interface.
        interface: String,
        /// Next header of the IPv6 packets.
        next_header: u8,
        /// Hop limit of everything that is sent.
        hop_limit: u8,
    },
    /// UDP datagrams on one link.
    Udp {
        /// Name of the interface.
        interface: String,
        /// Port that is listened on and sent from.
        port: u16,
        /// Hop limit of everything that is sent.
        hop_limit: u8,
        /// Multicast groups that are joined.
        groups: Vec<Ipv6Addr>,
    },
}

impl Channel {
    /// The name of its interface.
    #[must_use]
    pub fn interface(&self) -> &str {
        match self {
            Self::Raw { interface, .. } | Self::Frame { interface, .. } | Self::Udp { interface, .. } => interface,
        }
    }
}

/// What happens to a machine.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// The deadline has come.
    Tick,
    /// The interface as it is now. Always the first input a machine sees, and again after every change.
    Interface(&'a InterfaceState),
    /// All peers known, after every change of what they say.
    Peers(&'a [Peer]),
    /// A packet came in on a channel.
    Datagram(ChannelId, Datagram<'a>),
    /// A packet could not be sent.
    Unsent(ChannelId, SendError),
    /// Queries from others reached a service address: how many since the start. Comes only when the number has grown.
    Inflow(u64),
}

/// What is known of the link interface. Unknown counts as down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InterfaceState {
    /// The kernel's number; 0 while the interface does not exist.
    pub index: InterfaceIndex,
    /// Its own link-layer address.
    pub link_layer: LinkLayerAddress,
    /// Its link-local address, once that is usable (not tentative, not failed).
    pub link_local: Option<Ipv6Addr>,
    /// Its MTU in octets.
    pub mtu: u32,
    /// Administratively up and with carrier.
    pub up: bool,
    /// Every multicast group of our channels is held by the kernel on this interface.
    pub groups_held: bool,
    /// All service addresses are configured on this host (314).
    pub service_addresses_held: bool,
    /// Its other addresses (not link-local, not the service addresses).
    pub addresses: Vec<Ipv6Addr>,
    /// The routers of the default routes through it: their link-local addresses, sorted. May be a second old.
    pub routers: Vec<Ipv6Addr>,
}

impl InterfaceState {
    /// True if an advertiser can speak on the link and what it advertises would be true.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.up && self.link_local.is_some() && self.groups_held && self.service_addresses_held
    }
}

/// A packet as it came in, headers taken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// IPv6 source address.
    pub source: Ipv6Addr,
    /// UDP source port; 0 on a raw channel.
    pub source_port: u16,
    /// IPv6 destination address.
    pub destination: Ipv6Addr,
    /// Hop limit it arrived with.
    pub hop_limit: u8,
    /// What follows the IPv6 (raw) or UDP header.
    pub payload: &'a [u8],
}

/// A packet to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutDatagram {
    /// IPv6 source address; `None`: the interface's link-local address.
    pub source: Option<Ipv6Addr>,
    /// IPv6 destination address.
    pub destination: Ipv6Addr,
    /// UDP destination port; 0 on raw and frame channels.
    pub port: u16,
    /// Where the frame goes. Needed on a frame channel, unused on the others.
    pub link_layer: Option<LinkLayerAddress>,
    /// What follows the IPv6 (raw, frame; checksum filled in) or UDP header.
    pub payload: Vec<u8>,
}

/// Why a packet could not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// The interface is down or gone.
    InterfaceDown,
    /// The socket's or the device's queue is full.
    QueueFull,
    /// Another error of the kernel's: its errno.
    Kernel(i32),
}

/// What a machine wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this packet.
    Send(ChannelId, OutDatagram),
    /// Tell the others in this process.
    Event(Event),
}

/// What a machine tells the rest of the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Somebody wants this server's service, so idle standby ends (claims 2 and 8).
    Wanted(Wanted),
    /// One line for the operator.
    Notice(Severity, String),
}

/// Why idle standby ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A Neighbor Solicitation asked for the service address.
    Solicitation,
    /// This server took an active service over from another one.
    TakeOver,
    /// A peer answers queries that should come here.
    Misdelivered,
}

/// How much an operator should care.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// A change of state.
    Info,
    /// Somebody should look.
    Warning,
}

/// Everything one call of a machine wants done, in order.
#[derive(Debug, Default)]
pub struct Outbox {
    outputs: Vec<Output>,
}

impl Outbox {
    /// An empty outbox.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for a packet to be sent.
    pub fn send(&mut self, channel: ChannelId, datagram: OutDatagram) {
        self.outputs.push(Output::Send(channel, datagram));
    }

    /// Tells the rest of the process.
    pub fn event(&mut self, event: Event) {
        self.outputs.push(Output::Event(event));
    }

    /// Writes one line for the operator.
    pub fn notice(&mut self, severity: Severity, text: impl Into<String>) {
        self.event(Event::Notice(severity, text.into()));
    }

    /// Takes everything out, in order; the outbox is empty afterwards.
    pub fn drain(&mut self) -> impl Iterator<Item = Output> + '_ {
        self.outputs.drain(..)
    }

    /// What is in it.
    #[must_use]
    pub fn outputs(&self) -> &[Output] {
        &self.outputs
    }
}
