//! The authentication trailer (RFC 7166): a keyed digest after the packet, and a sequence number against replay.
//!
//! The sender's address is part of what is digested, so that nobody can send another's packet as its own. Not here: which
//! sequence number is too old.

use std::fmt;
use std::net::Ipv6Addr;

use ring::{digest, hmac};

use super::Malformed;
use super::octets::Reader;

/// Octets of the trailer before the digest.
pub const TRAILER_HEADER: usize = 16;
/// HMAC: the only authentication type there is.
const TYPE: u16 = 1;
/// Ends every key, so that another protocol with the same key makes other digests.
const PROTOCOL: [u8; 2] = [0, 1];

/// In which order the two octets of the protocol's number end the key. A key in one form accepts packets in both: whoever
/// made them has the same secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// As in RFC 7166 §4.5, by BIRD and later FRR.
    #[default]
    Standard,
    /// Little-endian: by FRR 8.4 on little-endian machines. It accepts no other.
    Swapped,
}

impl Form {
    const ALL: [Self; 2] = [Self::Standard, Self::Swapped];

    fn protocol(self) -> [u8; 2] {
        let [high, low] = PROTOCOL;
        match self {
            Self::Standard => [high, low],
            Self::Swapped => [low, high],
        }
    }
}
/// Fills the place of the digest while it is made, after the sender's address.
const PAD: [u8; 4] = [0x87, 0x8f, 0xe1, 0xf3];

impl fmt::Display for Form {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Standard => "network",
            Self::Swapped => "little-endian",
        })
    }
}

/// How the digest is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC-SHA-1: for routers that know nothing better.
    HmacSha1,
    /// HMAC-SHA-256.
    #[default]
    HmacSha256,
    /// HMAC-SHA-384.
    HmacSha384,
    /// HMAC-SHA-512.
    HmacSha512,
}

impl Algorithm {
    fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::HmacSha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::HmacSha256 => hmac::HMAC_SHA256,
            Self::HmacSha384 => hmac::HMAC_SHA384,
            Self::HmacSha512 => hmac::HMAC_SHA512,
        }
    }

    fn digest(self) -> &'static digest::Algorithm {
        match self {
            Self::HmacSha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::HmacSha256 => &digest::SHA256,
            Self::HmacSha384 => &digest::SHA384,
            Self::HmacSha512 => &digest::SHA512,
        }
    }

    /// Octets of the digest.
    #[must_use]
    pub fn digest_length(self) -> usize {
        self.digest().output_len()
    }

    /// The longest secret that all routers use alike: longer ones are hashed first, and not everywhere at the same length.
    #[must_use]
    pub fn longest_secret(self) -> usize {
        self.digest_length() - PROTOCOL.len()
    }
}

/// A secret that the routers of a link share, and its number.
#[derive(Clone, Debug)]
pub struct Key {
    id: u16,
    algorithm: Algorithm,
    /// For what is sent.
    form: Form,
    /// In the order of [`Form::ALL`].
    hmacs: [hmac::Key; 2],
}

impl Key {
    /// The key called `id`, made of the octets of its file (RFC 7166 §4.5).
    #[must_use]
    pub fn new(id: u16, algorithm: Algorithm, secret: &[u8]) -> Self {
        Self {
            id,
            algorithm,
            form: Form::default(),
            hmacs: Form::ALL.map(|form| specific_key(algorithm, secret, form)),
        }
    }

    /// In which form it seals.
    #[must_use]
    pub const fn form(&self) -> Form {
        self.form
    }

    /// The same secret for routers that use the other form.
    #[must_use]
    pub fn in_form(self, form: Form) -> Self {
        Self { form, ..self }
    }

    fn hmac(&self, form: Form) -> &hmac::Key {
        &self.hmacs[form as usize]
    }

    /// Octets that the trailer adds to a packet.
    #[must_use]
    pub fn trailer_length(&self) -> usize {
        TRAILER_HEADER + self.algorithm.digest_length()
    }

    /// Puts the trailer behind a packet from `source`.
    ///
    /// ```text
    ///  0 | type 1                | length            |
    ///  4 | 0                     | key ID            |
    ///  8 | sequence number (64)                      |
    /// 16 | digest
    /// ```
    pub(super) fn seal(&self, packet: &mut Vec<u8>, sequence: u64, source: Ipv6Addr) {
        let start = packet.len() + TRAILER_HEADER;
        packet.extend(TYPE.to_be_bytes());
        packet.extend((self.trailer_length() as u16).to_be_bytes());
        packet.extend([0, 0]);
        packet.extend(self.id.to_be_bytes());
        packet.extend(sequence.to_be_bytes());
        packet.extend(pad(source, self.algorithm.digest_length()));
        let digest = hmac::sign(self.hmac(self.form), packet);
        packet[start..].copy_from_slice(digest.as_ref());
    }

    /// Sequence number and form of a packet of `length` octets from `source`, whose trailer ends with the `octets`.
    pub(super) fn verify(&self, octets: &[u8], length: usize, source: Ipv6Addr) -> Result<(u64, Form), Malformed> {
        let start = find(octets, length).ok_or(Malformed::Unauthenticated)?;
        let mut reader = Reader::new(&octets[start..]);
        let (_kind, _length, _zero) = (reader.u16()?, reader.u16()?, reader.u16()?);
        let id = reader.u16()?;
        if id != self.id {
            return Err(Malformed::KeyId(id));
        }
        let sequence = u64::from_be_bytes(reader.array()?);
        let digest = reader.rest();
        if digest.len() != self.algorithm.digest_length() {
            return Err(Malformed::DigestLength(digest.len()));
        }
        let mut digested = octets[..octets.len() - digest.len()].to_vec();
        digested.extend(pad(source, digest.len()));
        let is_right = |form: &Form| hmac::verify(self.hmac(*form), &digested, digest).is_ok();
        let form = Form::ALL.into_iter().find(is_right).ok_or(Malformed::Digest)?;
        Ok((sequence, form))
    }
}

/// The key of the algorithm itself (RFC 7166 §4.5).
fn specific_key(algorithm: Algorithm, secret: &[u8], form: Form) -> hmac::Key {
    let specific = [secret, &form.protocol()].concat();
    let hashed = digest::digest(algorithm.digest(), &specific);
    let value = if specific.len() > algorithm.digest_length() {
        hashed.as_ref()
    } else {
        &specific
    };
    hmac::Key::new(algorithm.hmac(), value)
}

/// True if these octets behind a packet are a trailer.
pub(super) fn is_trailer(behind: &[u8]) -> bool {
    find(behind, 0).is_some()
}

/// Where the trailer begins: behind the packet, or behind the signalling block (RFC 5613) that may come first.
fn find(octets: &[u8], length: usize) -> Option<usize> {
    let behind = octets.get(length..)?;
    if fits(behind) {
        return Some(length);
    }
    let words = u16::from_be_bytes([*behind.get(2)?, *behind.get(3)?]);
    let block = usize::from(words) * 4;
    (block > 0 && fits(behind.get(block..)?)).then_some(length + block)
}

fn fits(trailer: &[u8]) -> bool {
    let mut reader = Reader::new(trailer);
    let (kind, length) = (reader.u16(), reader.u16());
    trailer.len() > TRAILER_HEADER && kind == Ok(TYPE) && length.is_ok_and(|length| usize::from(length) == trailer.len())
}

fn pad(source: Ipv6Addr, length: usize) -> Vec<u8> {
    source.octets().into_iter().chain(PAD.into_iter().cycle()).take(length).collect()
}
