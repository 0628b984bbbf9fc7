//! Link state advertisements (RFC 5340 appendix A.4): header, checksum, which of two instances is newer, and what those say
//! that a host originates or looks into.
//!
//! An [`Lsa`] keeps its body as octets, so that what others have said is handed on as it came; [`Content`] is what the octets
//! mean. Inter-area and unknown types stay opaque.

mod content;

use std::cmp::Ordering;
use std::fmt;

pub use content::{Attachment, Content, External, IntraAreaPrefix, Link, LinkLsa, Misformed, Network, Prefix, PrefixCost, Router};

use super::names::RouterId;
use super::octets::{Reader, Writer};
use super::{Malformed, fletcher};

/// Octets of an LSA's header.
pub const HEADER: usize = 20;
/// An LSA of this age, in seconds, is withdrawn.
pub const MAX_AGE: u16 = 3_600;
/// Two instances whose ages differ by more are two.
const MAX_AGE_DIFFERENCE: u16 = 900;
/// Where the checksum stands, counted from behind the age.
const CHECKSUM_POSITION: usize = 14;

/// What an LSA is about, and how far it goes: U bit, scope, function code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LsaType(pub u16);

/// How far an LSA goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Its link.
    Link,
    /// Its area.
    Area,
    /// Everywhere but in stub areas.
    AutonomousSystem,
    /// Nobody knows.
    Reserved,
}

impl LsaType {
    /// A router's links.
    pub const ROUTER: Self = Self(0x2001);
    /// The routers on a link, as its DR says.
    pub const NETWORK: Self = Self(0x2002);
    /// A route to elsewhere.
    pub const AS_EXTERNAL: Self = Self(0x4005);
    /// A route to elsewhere, out of an area that takes none from outside.
    pub const NSSA: Self = Self(0x2007);
    /// A router's addresses on a link.
    pub const LINK: Self = Self(0x0008);
    /// A router's prefixes.
    pub const INTRA_AREA_PREFIX: Self = Self(0x2009);

    /// How far LSAs of this type go.
    #[must_use]
    pub const fn scope(self) -> Scope {
        match self.0 >> 13 & 3 {
            0 => Scope::Link,
            1 => Scope::Area,
            2 => Scope::AutonomousSystem,
            _ => Scope::Reserved,
        }
    }
}

/// What an LSA is called; its instances have this in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LsaKey {
    /// What it is about.
    pub kind: LsaType,
    /// Which of that type.
    pub id: u32,
    /// Who says it.
    pub router: RouterId,
}

impl LsaKey {
    pub(super) fn parse(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            kind: LsaType(reader.u16()?),
            id: reader.u32()?,
            router: RouterId(reader.u32()?),
        })
    }

    pub(super) fn emit(self, writer: &mut Writer) {
        writer.u16(self.kind.0);
        writer.u32(self.id);
        writer.u32(self.router.0);
    }
}

/// Orders the instances of an LSA; signed (RFC 2328 §12.1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SequenceNumber(pub i32);

impl SequenceNumber {
    /// The first one.
    pub const INITIAL: Self = Self(i32::MIN + 1);
    /// The last one: the LSA has to be withdrawn before the first can follow.
    pub const MAX: Self = Self(i32::MAX);

    /// The next one; none after the last.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:#010x}", self.0)
    }
}

/// The header of an LSA (A.4.2): what tells its instances apart.
///
/// ```text
///  0 | age, s                | type              |
///  4 | link state ID                             |
///  8 | advertising router                        |
/// 12 | sequence number                           |
/// 16 | checksum              | length            |
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LsaHeader {
    /// Seconds since it was originated, at most [`MAX_AGE`].
    pub age: u16,
    /// What it is called.
    pub key: LsaKey,
    /// Grows with each instance.
    pub sequence: SequenceNumber,
    /// Over everything but the age.
    pub checksum: u16,
    /// Octets with the header: at least 20.
    pub length: u16,
}

impl LsaHeader {
    pub(super) fn parse(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let age = reader.u16()?.min(MAX_AGE);
        let key = LsaKey::parse(reader)?;
        let sequence = SequenceNumber(i32::from_be_bytes(reader.array()?));
        let (checksum, length) = (reader.u16()?, reader.u16()?);
        if usize::from(length) < HEADER {
            return Err(Malformed::LsaLength(length));
        }
        Ok(Self {
            age,
            key,
            sequence,
            checksum,
            length,
        })
    }

    pub(super) fn parse_all(reader: &mut Reader<'_>) -> Result<Vec<Self>, Malformed> {
        let mut headers = Vec::with_capacity(reader.left() / HEADER);
        while reader.left() >= HEADER {
            headers.push(Self::parse(reader)?);
        }
        Ok(headers)
    }

    pub(super) fn emit(&self, writer: &mut Writer) {
        writer.u16(self.age);
        self.key.emit(writer);
        writer.u32(self.sequence.0 as u32);
        writer.u16(self.checksum);
        writer.u16(self.length);
    }

    /// True if the LSA is withdrawn by this instance.
    #[must_use]
    pub const fn is_max_age(&self) -> bool {
        self.age >= MAX_AGE
    }

    /// Which of two instances is newer (RFC 2328 §13.1): `Greater` if this one is.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Ordering {
        let instance = |header: &Self| (header.sequence, header.checksum, header.is_max_age());
        instance(self).cmp(&instance(other)).then_with(|| {
            if self.age.abs_diff(other.age) > MAX_AGE_DIFFERENCE {
                other.age.cmp(&self.age)
            } else {
                Ordering::Equal
            }
        })
    }
}

/// A whole LSA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lsa {
    /// Its header; the length is that of the whole.
    pub header: LsaHeader,
    body: Vec<u8>,
}

impl Lsa {
    /// A new instance, with its checksum.
    #[must_use]
    pub fn new(key: LsaKey, sequence: SequenceNumber, age: u16, content: &Content) -> Self {
        Self::with_body(key, sequence, age, content.emit())
    }

    fn with_body(key: LsaKey, sequence: SequenceNumber, age: u16, body: Vec<u8>) -> Self {
        let header = LsaHeader {
            age: age.min(MAX_AGE),
            key,
            sequence,
            checksum: 0,
            length: u16::try_from(HEADER + body.len()).unwrap_or(u16::MAX),
        };
        let mut lsa = Self { header, body };
        lsa.header.checksum = lsa.checksum();
        lsa
    }

    /// The same LSA, said again as a later instance.
    #[must_use]
    pub fn again(&self, sequence: SequenceNumber, age: u16) -> Self {
        Self::with_body(self.header.key, sequence, age, self.body.clone())
    }

    /// This instance at another age.
    #[must_use]
    pub fn aged(mut self, age: u16) -> Self {
        self.header.age = age.min(MAX_AGE);
        self
    }

    pub(super) fn parse(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let header = LsaHeader::parse(reader)?;
        let body = reader.take(usize::from(header.length) - HEADER);
        let body = body.map_err(|_| Malformed::LsaLength(header.length))?.to_vec();
        Ok(Self { header, body })
    }

    pub(super) fn emit(&self, writer: &mut Writer) {
        self.header.emit(writer);
        writer.bytes(&self.body);
    }

    /// True if the checksum is right.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.header.checksum == self.checksum()
    }

    /// What it says.
    ///
    /// # Errors
    /// Why it cannot be understood.
    pub fn content(&self) -> Result<Content, Misformed> {
        Content::parse(self.header.key.kind, &self.body)
    }

    /// True if every router can read it: BIRD takes one without a body for damage, and begins the exchange anew.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        !self.body.is_empty() && self.content().is_ok()
    }

    /// Octets of the whole.
    #[must_use]
    pub fn length(&self) -> usize {
        HEADER + self.body.len()
    }

    fn checksum(&self) -> u16 {
        let mut writer = Writer::default();
        LsaHeader {
            checksum: 0,
            ..self.header
        }
        .emit(&mut writer);
        fletcher::checksum(&[&writer.0[2..], &self.body], CHECKSUM_POSITION)
    }
}
