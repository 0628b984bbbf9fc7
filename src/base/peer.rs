//! What a server says of itself to the others, and what is known of each of them.
//!
//! The words of claim 17's separate protocol without its bytes: those are in `advertiser::peers::wire`.

use std::fmt;
use std::net::Ipv6Addr;
use std::time::Duration;

use super::address::LinkLayerAddress;
use super::random::mix;
use super::time::Timestamp;

/// 64 bits that stand for a server's identity on the wire, in option 253 and in the peer message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdentityHash(pub u64);

impl IdentityHash {
    /// The hash of `identity` (FNV-1a, then mixed): the same on every server and in every version.
    #[must_use]
    pub fn of(identity: &str) -> Self {
        let fnv = identity.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(mix(fnv))
    }
}

/// Longest identity, in octets: what people read should fit a line.
pub const LONGEST_IDENTITY: usize = 64;

/// True if `text` can be a server's identity: 1 to 64 visible ASCII characters. It is shown on terminals and in logs as it is.
#[must_use]
pub fn is_identity(text: &[u8]) -> bool {
    (1..=LONGEST_IDENTITY).contains(&text.len()) && text.iter().all(u8::is_ascii_graphic)
}

impl fmt::Display for IdentityHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

/// The states that a server tells the others. The names are those of `status`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum PeerState {
    /// Not ready yet.
    #[default]
    Starting = 0,
    /// Ready, and not attracting queries.
    Standby = 1,
    /// Attracting queries.
    Active = 2,
    /// Serves what still comes, wants no more.
    Draining = 3,
    /// Unhealthy.
    Withdrawn = 4,
    /// On its way out.
    Stopping = 5,
    /// Its last word, or said on its behalf: nothing answers there any more.
    Gone = 6,
}

impl PeerState {
    /// The state with this number on the wire.
    #[must_use]
    pub const fn from_wire(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Starting,
            1 => Self::Standby,
            2 => Self::Active,
            3 => Self::Draining,
            4 => Self::Withdrawn,
            5 => Self::Stopping,
            6 => Self::Gone,
            _ => return None,
        })
    }

    /// True if the server would serve if it were asked to.
    #[must_use]
    pub const fn is_ready(self) -> bool {
        matches!(self, Self::Standby | Self::Active)
    }

    /// The state's name in `status`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Standby => "standby",
            Self::Active => "active",
            Self::Draining => "draining",
            Self::Withdrawn => "withdrawn",
            Self::Stopping => "stopping",
            Self::Gone => "gone",
        }
    }
}

/// What one server says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statement {
    /// Its configured identity.
    pub identity: String,
    /// The service addresses it serves, sorted.
    pub services: Vec<Ipv6Addr>,
    /// Its state.
    pub state: PeerState,
    /// In idle standby: no query for a while (claim 7).
    pub idle: bool,
    /// It is the one whose link-layer address the routers should have now.
    pub holder: bool,
    /// Its term: grows with every take-over.
    pub term: u32,
    /// Its health, higher is better: 255 fit, lower with soft faults.
    pub health: u8,
    /// Its configured weight.
    pub weight: u16,
    /// While leaving: who should take over.
    pub successor: Option<IdentityHash>,
    /// Its cost class: 0 normal, 1 busy, 2 overloaded, 3 last resort.
    pub class: u8,
    /// Queries a second it can take; 0: not known.
    pub capacity: u32,
    /// Queries a second it is asked.
    pub offered: u32,
    /// Load in thousandths of its capacity.
    pub load: u16,
    /// The same over the last second or two, for a router side, which must not wait as long as the cost classes do.
    pub recent_load: Option<u16>,
    /// Queries that reached it while another server was the holder, since its start.
    pub misdelivered: u32,
    /// Its link-layer address on the shared link.
    pub link_layer: LinkLayerAddress,
    /// Its link-local address on the shared link.
    pub link_local: Option<Ipv6Addr>,
    /// The time between its messages.
    pub interval: Duration,
}

/// A peer: what it last said, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Hash of its identity.
    pub hash: IdentityHash,
    /// What it last said.
    pub statement: Statement,
    /// Which of its lives it is in: grows with every start.
    pub boot: u64,
    /// The address its messages come from.
    pub source: Ipv6Addr,
    /// It is on the shared link (its messages come from a link-local address).
    pub on_link: bool,
    /// Its message carried a valid signature.
    pub signed: bool,
    /// When its last message came.
    pub last_heard: Timestamp,
}

/// So many of its intervals without a sign of life, and a peer is dead.
pub const MISSED_UNTIL_DEAD: u32 = 3;

impl Peer {
    /// When the peer counts as dead if its messages are all that is heard of it and no more come.
    #[must_use]
    pub fn dies_at(&self) -> Timestamp {
        self.last_heard + self.statement.interval * MISSED_UNTIL_DEAD
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_hashes_never_change_between_versions() {
        assert_eq!(IdentityHash::of("s1"), IdentityHash::of("s1"));
        assert_ne!(IdentityHash::of("s1"), IdentityHash::of("s2"));
        assert_eq!(IdentityHash::of("").to_string().len(), 16);
    }

    #[test]
    fn an_identity_is_visible_ascii_of_up_to_64_octets() {
        assert!(is_identity(b"ams-1.example_~!") && is_identity(&[b'a'; 64]));
        for wrong in [&b""[..], &[b'a'; 65], b"a b", b"a\x1b[2J", b"a\n", "\u{e4}".as_bytes()] {
            assert!(!is_identity(wrong), "{wrong:?}");
        }
    }
}
