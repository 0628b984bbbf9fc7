//! The peer message: one UDP datagram in which a server says all that a [`Statement`] holds (claim 17).
//!
//! Version 1 is fixed; what later versions of heraldns add comes as fields that version 1 skips. With a key the last field
//! is an HMAC-SHA256 (RFC 2104) over everything before its value. Not here: replay and who may speak (`machine`).

#[cfg(test)]
mod tests;

use std::net::Ipv6Addr;
use std::time::Duration;

use ring::hmac;

use crate::base::address::LinkLayerAddress;
use crate::base::peer::{IdentityHash, LONGEST_IDENTITY, PeerState, Statement, is_identity};

/// Longest message that is sent, and the longest that is read: it fits the smallest IPv6 MTU.
pub const LONGEST: usize = 1_200;
/// Most service addresses in a message.
pub const MOST_SERVICES: usize = 48;

const MAGIC: [u8; 4] = *b"HDPM";
const VERSION: u8 = 1;
const FIXED: usize = 84;
const FIELD_HEADER: usize = 4;
const FIELD_IDENTITY: u16 = 1;
const FIELD_SERVICES: u16 = 2;
const FIELD_RECENT_LOAD: u16 = 3;
const FIELD_SIGNATURE: u16 = 0xffff;
const SIGNATURE: usize = 32;
const FLAG_IDLE: u8 = 1;
const FLAG_HOLDER: u8 = 2;
const FLAG_SUCCESSOR: u8 = 4;
const FLAG_LINK_LOCAL: u8 = 8;
const WORST_CLASS: u8 = 3;

/// One peer message.
///
/// ```text
///  0 | 'H'   'D'   'P'   'M'                     |
///  4 | version 1 | state     | class     | health|
///  8 | flags     | reserved  | weight            |
/// 12 | term                                      |
/// 16 | boot (64)                                 |
/// 24 | sequence                                  |
/// 28 | interval, ms                              |
/// 32 | identity hash (64)                        |
/// 40 | successor's identity hash (64)            |
/// 48 | capacity, queries/s                       |
/// 52 | offered, queries/s                        |
/// 56 | load, permille        | link-layer (48)   |
/// 64 | misdelivered queries                      |
/// 68 | link-local address (128)                  |
/// 84 | fields: type (16), length (16), value     |
/// ```
///
/// Flags: 1 idle, 2 holder, 4 the successor is given, 8 the link-local address is given. Fields: 1 identity, visible
/// ASCII; 2 service addresses, 16 octets each; 3 recent load, permille, 2 octets; 65535 signature, always the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerMessage {
    /// What the server says.
    pub statement: Statement,
    /// Which of its lives the server is in: grows with every start.
    pub boot: u64,
    /// Counts the messages of this life.
    pub sequence: u32,
}

/// The key that peers share.
#[derive(Clone, Debug)]
pub struct Key(hmac::Key);

impl Key {
    /// A key from the octets of the key file.
    #[must_use]
    pub fn new(octets: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, octets))
    }
}

/// Why a datagram is no peer message that can be believed. Each cause is counted under its [`name`](Malformed::name).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Shorter than the fixed part.
    #[error("{0} octets are too few")]
    Short(usize),
    /// Longer than any message may be.
    #[error("{0} octets are too many")]
    Long(usize),
    /// Something else that came to the port.
    #[error("no peer message")]
    Magic,
    /// A version that does not keep to version 1.
    #[error("version {0} instead of 1")]
    Version(u8),
    /// A state nobody knows.
    #[error("unknown state {0}")]
    State(u8),
    /// A cost class nobody knows.
    #[error("unknown class {0}")]
    Class(u8),
    /// A field that ends after the datagram.
    #[error("field {0} overruns the message")]
    FieldOverrun(u16),
    /// No identity, or an empty one.
    #[error("no identity")]
    IdentityMissing,
    /// An identity that no config allows: too long, or not fit for a terminal.
    #[error("the identity is more than {LONGEST_IDENTITY} octets or has others than visible ASCII characters")]
    IdentityText,
    /// The hash is not the identity's.
    #[error("{0} is not the hash of the identity")]
    IdentityHash(IdentityHash),
    /// No whole addresses, or too many.
    #[error("{0} octets of service addresses")]
    Services(usize),
    /// A key is configured, and the message carries no signature.
    #[error("unsigned")]
    Unsigned,
    /// The signature was made with another key, or over other octets.
    #[error("wrong signature")]
    WrongKey,
}

impl Malformed {
    /// The name under which the cause is counted.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Short(_) => "short",
            Self::Long(_) => "long",
            Self::Magic => "magic",
            Self::Version(_) => "version",
            Self::State(_) => "state",
            Self::Class(_) => "class",
            Self::FieldOverrun(_) => "field-overrun",
            Self::IdentityMissing => "identity-missing",
            Self::IdentityText => "identity-text",
            Self::IdentityHash(_) => "identity-hash",
            Self::Services(_) => "services",
            Self::Unsigned => "unsigned",
            Self::WrongKey => "wrong-key",
        }
    }
}

impl PeerMessage {
    /// Reads a datagram. With a key, only what was signed with it is read at all.
    ///
    /// # Errors
    /// The first check that failed.
    pub fn parse(bytes: &[u8], key: Option<&Key>) -> Result<Self, Malformed> {
        if bytes.len() > LONGEST {
            return Err(Malformed::Long(bytes.len()));
        }
        let Some((fixed, fields)) = bytes.split_first_chunk::<FIXED>() else {
            return Err(Malformed::Short(bytes.len()));
        };
        if fixed[..4] != MAGIC {
            return Err(Malformed::Magic);
        }
        if fixed[4] != VERSION {
            return Err(Malformed::Version(fixed[4]));
        }
        if let Some(key) = key {
            verify(bytes, key)?;
        }
        let mut message = Self::parse_fixed(fixed)?;
        message.parse_fields(fields)?;
        let claimed = IdentityHash(u64_at(fixed, 32));
        if claimed != IdentityHash::of(&message.statement.identity) {
            return Err(Malformed::IdentityHash(claimed));
        }
        Ok(message)
    }

    fn parse_fixed(fixed: &[u8; FIXED]) -> Result<Self, Malformed> {
        let [_, _, _, _, _, state, class, health, flags, ..] = *fixed;
        let given = |flag| flags & flag != 0;
        if class > WORST_CLASS {
            return Err(Malformed::Class(class));
        }
        let mut link_layer = [0; 6];
        link_layer.copy_from_slice(&fixed[58..64]);
        let mut link_local = [0; 16];
        link_local.copy_from_slice(&fixed[68..84]);
        let statement = Statement {
            identity: String::new(),
            services: Vec::new(),
            state: PeerState::from_wire(state).ok_or(Malformed::State(state))?,
            idle: given(FLAG_IDLE),
            holder: given(FLAG_HOLDER),
            term: u32_at(fixed, 12),
            health,
            weight: u16_at(fixed, 10),
            successor: given(FLAG_SUCCESSOR).then(|| IdentityHash(u64_at(fixed, 40))),
            class,
            capacity: u32_at(fixed, 48),
            offered: u32_at(fixed, 52),
            load: u16_at(fixed, 56),
            recent_load: None,
            misdelivered: u32_at(fixed, 64),
            link_layer: LinkLayerAddress(link_layer),
            link_local: given(FLAG_LINK_LOCAL).then(|| Ipv6Addr::from(link_local)),
            interval: Duration::from_millis(u64::from(u32_at(fixed, 28))),
        };
        Ok(Self {
            statement,
            boot: u64_at(fixed, 16),
            sequence: u32_at(fixed, 24),
        })
    }

    fn parse_fields(&mut self, fields: &[u8]) -> Result<(), Malformed> {
        for field in Fields(fields) {
            match field? {
                (FIELD_IDENTITY, value) => self.statement.identity = read_identity(value)?,
                (FIELD_SERVICES, value) => self.statement.services = read_services(value)?,
                (FIELD_RECENT_LOAD, &[high, low]) => self.statement.recent_load = Some(u16::from_be_bytes([high, low])),
                (_, _) => {}
            }
        }
        if self.statement.identity.is_empty() {
            return Err(Malformed::IdentityMissing);
        }
        Ok(())
    }

    /// Writes the message. An identity or a list of services above the limits is cut; the config refuses both earlier.
    #[must_use]
    pub fn emit(&self, key: Option<&Key>) -> Vec<u8> {
        let statement = &self.statement;
        let identity = cut(&statement.identity);
        let flag = |set: bool, flag| if set { flag } else { 0 };
        let flags = flag(statement.idle, FLAG_IDLE)
            | flag(statement.holder, FLAG_HOLDER)
            | flag(statement.successor.is_some(), FLAG_SUCCESSOR)
            | flag(statement.link_local.is_some(), FLAG_LINK_LOCAL);
        let interval = u32::try_from(statement.interval.as_millis()).unwrap_or(u32::MAX);
        let mut bytes = Vec::with_capacity(LONGEST);
        bytes.extend(MAGIC);
        bytes.extend([VERSION, statement.state as u8, statement.class, statement.health, flags, 0]);
        bytes.extend(statement.weight.to_be_bytes());
        bytes.extend(statement.term.to_be_bytes());
        bytes.extend(self.boot.to_be_bytes());
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend(interval.to_be_bytes());
        bytes.extend(IdentityHash::of(identity).0.to_be_bytes());
        bytes.extend(statement.successor.unwrap_or_default().0.to_be_bytes());
        bytes.extend(statement.capacity.to_be_bytes());
        bytes.extend(statement.offered.to_be_bytes());
        bytes.extend(statement.load.to_be_bytes());
        bytes.extend(statement.link_layer.0);
        bytes.extend(statement.misdelivered.to_be_bytes());
        bytes.extend(statement.link_local.unwrap_or(Ipv6Addr::UNSPECIFIED).octets());
        push_field(&mut bytes, FIELD_IDENTITY, identity.as_bytes());
        let services: Vec<u8> = statement.services.iter().take(MOST_SERVICES).flat_map(Ipv6Addr::octets).collect();
        push_field(&mut bytes, FIELD_SERVICES, &services);
        if let Some(load) = statement.recent_load {
            push_field(&mut bytes, FIELD_RECENT_LOAD, &load.to_be_bytes());
        }
        if let Some(key) = key {
            push_field(&mut bytes, FIELD_SIGNATURE, &[]);
            let length = bytes.len() - 2;
            bytes[length..].copy_from_slice(&(SIGNATURE as u16).to_be_bytes());
            let signature = hmac::sign(&key.0, &bytes);
            bytes.extend(signature.as_ref());
        }
        bytes
    }
}

/// The identity as it goes on the wire: its first 64 octets, whole characters only.
#[must_use]
pub fn cut(identity: &str) -> &str {
    &identity[..identity.floor_char_boundary(LONGEST_IDENTITY)]
}

fn verify(bytes: &[u8], key: &Key) -> Result<(), Malformed> {
    let Some((signed, signature)) = bytes.split_last_chunk::<SIGNATURE>() else {
        return Err(Malformed::Unsigned);
    };
    let [high, low] = FIELD_SIGNATURE.to_be_bytes();
    if signed.len() < FIXED || !signed.ends_with(&[high, low, 0, SIGNATURE as u8]) {
        return Err(Malformed::Unsigned);
    }
    hmac::verify(&key.0, signed, signature).map_err(|_| Malformed::WrongKey)
}

fn read_identity(value: &[u8]) -> Result<String, Malformed> {
    if value.is_empty() {
        return Err(Malformed::IdentityMissing);
    }
    if !is_identity(value) {
        return Err(Malformed::IdentityText);
    }
    String::from_utf8(value.to_vec()).map_err(|_| Malformed::IdentityText)
}

fn read_services(value: &[u8]) -> Result<Vec<Ipv6Addr>, Malformed> {
    let (addresses, rest) = value.as_chunks::<16>();
    if !rest.is_empty() || addresses.len() > MOST_SERVICES {
        return Err(Malformed::Services(value.len()));
    }
    Ok(addresses.iter().copied().map(Ipv6Addr::from).collect())
}

fn push_field(bytes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    bytes.extend(kind.to_be_bytes());
    bytes.extend((value.len() as u16).to_be_bytes());
    bytes.extend(value);
}

/// Type and value of each field; ends after the first error.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u16, &'a [u8]), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = std::mem::take(&mut self.0);
        if bytes.is_empty() {
            return None;
        }
        let Some((header, rest)) = bytes.split_first_chunk::<FIELD_HEADER>() else {
            return Some(Err(Malformed::FieldOverrun(0)));
        };
        let kind = u16::from_be_bytes([header[0], header[1]]);
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let Some((value, rest)) = rest.split_at_checked(length) else {
            return Some(Err(Malformed::FieldOverrun(kind)));
        };
        self.0 = rest;
        Some(Ok((kind, value)))
    }
}

fn u16_at(fixed: &[u8; FIXED], at: usize) -> u16 {
    u16::from_be_bytes([fixed[at], fixed[at + 1]])
}

fn u32_at(fixed: &[u8; FIXED], at: usize) -> u32 {
    u32::from(u16_at(fixed, at)) << 16 | u32::from(u16_at(fixed, at + 2))
}

fn u64_at(fixed: &[u8; FIXED], at: usize) -> u64 {
    u64::from(u32_at(fixed, at)) << 32 | u64::from(u32_at(fixed, at + 4))
}
