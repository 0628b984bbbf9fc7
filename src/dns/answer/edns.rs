//! The OPT record, both ways (RFC 6891 §6.1): what a client says in its own, what goes into ours.
//!
//! Options that are read: NSID (RFC 5001), COOKIE (RFC 7873), edns-tcp-keepalive (RFC 7828); all others are stepped over.
//! Our record has these and extended errors (RFC 8914), never more than [`MOST`] octets, so that it fits the smallest
//! datagram beside the longest question. Nothing is allocated.

use std::time::Duration;

use super::message::Malformed;
use crate::dns::protect::cookie::{CLIENT, Cookie, SERVER};
use crate::dns::types::{RecordType, ResponseCode};

/// The only EDNS version there is.
pub const EDNS_VERSION: u8 = 0;
/// The EDNS option with which a client asks who answers (RFC 5001).
pub const NSID: u16 = 3;
/// The EDNS option with the cookies of client and server (RFC 7873).
pub const COOKIE: u16 = 10;
/// The EDNS option that says how long an idle connection is kept (RFC 7828).
pub const TCP_KEEPALIVE: u16 = 11;
/// The EDNS option that says why (RFC 8914).
pub const EXTENDED_ERROR: u16 = 15;

const DNSSEC_OK: u16 = 0x8000;
/// Octets of an OPT record without options, and of the head of an option.
const FIXED: usize = 11;
const HEAD: usize = 4;
/// Longer identities are cut.
const MOST_IDENTITY: usize = 128;
/// The most octets of our OPT record.
pub const MOST: usize = FIXED + HEAD + MOST_IDENTITY + HEAD + CLIENT + SERVER + HEAD + 2 + HEAD + 2;

// Header, the longest question and the longest OPT record fit the smallest datagram.
const _: () = assert!(super::HEADER + 255 + 4 + MOST <= super::PLAIN_UDP_PAYLOAD as usize);

/// What a client says in its OPT record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edns {
    /// The largest datagram it takes, in octets.
    pub udp_payload: u16,
    /// Its EDNS version.
    pub version: u8,
    /// It wants DNSSEC records (RFC 3225).
    pub dnssec_ok: bool,
    /// It asks which server answers (RFC 5001).
    pub wants_nsid: bool,
    /// It asks how long this connection may be idle (RFC 7828).
    pub wants_keepalive: bool,
    /// Its cookie: the first one, further ones are ignored (RFC 7873 §5.2).
    pub cookie: Option<Cookie>,
    /// A cookie has a length that none can have: the message is malformed (RFC 7873 §5.2.2).
    pub malformed_cookie: bool,
}

impl Edns {
    /// Reads the fields of an OPT record, which lie where other records have class and TTL (RFC 6891 §6.1.2).
    /// Nothing is known of the options of other versions than ours.
    pub(super) fn read(class: u16, ttl: u32, options: &[u8]) -> Result<Self, Malformed> {
        let mut edns = Self {
            udp_payload: class,
            version: (ttl >> 16) as u8,
            dnssec_ok: ttl as u16 & DNSSEC_OK != 0,
            wants_nsid: false,
            wants_keepalive: false,
            cookie: None,
            malformed_cookie: false,
        };
        if edns.version == EDNS_VERSION {
            edns.read_options(options)?;
        }
        Ok(edns)
    }

    fn read_options(&mut self, mut options: &[u8]) -> Result<(), Malformed> {
        while let Some((head, rest)) = options.split_first_chunk::<HEAD>() {
            let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
            let (content, rest) = rest.split_at_checked(length).ok_or(Malformed)?;
            options = rest;
            match u16::from_be_bytes([head[0], head[1]]) {
                NSID => self.wants_nsid = true,
                TCP_KEEPALIVE => self.wants_keepalive = true,
                COOKIE if self.cookie.is_none() && !self.malformed_cookie => {
                    self.cookie = Cookie::from_option(content);
                    self.malformed_cookie = self.cookie.is_none();
                }
                _ => {}
            }
        }
        if options.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

/// Why a query was not answered as it might have been (RFC 8914 §4); the codes that a server of zones has a use for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum ExtendedError {
    /// No zone of this server has the name.
    NotAuthoritative = 20,
    /// This server does not do what was asked: another opcode, another class, a zone transfer.
    NotSupported = 21,
    /// This server is to have the zone of the name, and its file could never be loaded.
    InvalidData = 24,
}

/// What our OPT record says.
#[derive(Clone, Copy, Debug)]
pub(super) struct OptRecord<'a> {
    /// The largest datagram this server takes, in octets.
    pub(super) udp_payload: u16,
    /// The client's own bit, repeated (RFC 3225 §3).
    pub(super) dnssec_ok: bool,
    /// Its high bits stand here.
    pub(super) response_code: ResponseCode,
    /// For NSID.
    pub(super) identity: Option<&'a [u8]>,
    /// Both cookies.
    pub(super) cookie: Option<&'a [u8; CLIENT + SERVER]>,
    /// How long the connection may be idle.
    pub(super) keepalive: Option<Duration>,
    /// Why.
    pub(super) error: Option<ExtendedError>,
}

impl OptRecord<'_> {
    /// Its length, at most [`MOST`].
    pub(super) fn octets(&self) -> usize {
        let option = |content: Option<usize>| content.map_or(0, |octets| HEAD + octets);
        FIXED
            + option(self.identity.map(|identity| identity.len().min(MOST_IDENTITY)))
            + option(self.cookie.map(|cookie| cookie.len()))
            + option(self.keepalive.map(|_| 2))
            + option(self.error.map(|_| 2))
    }

    /// Writes it to `room`, which has exactly as many octets as it needs.
    pub(super) fn write(&self, room: &mut [u8]) {
        let ttl = u32::from(self.response_code.0 >> 4) << 24 | u32::from(EDNS_VERSION) << 16;
        let ttl = ttl | if self.dnssec_ok { u32::from(DNSSEC_OK) } else { 0 };
        let options = room.len() - FIXED;
        let mut room = Room(room);
        room.put(&[0]);
        room.put(&RecordType::OPT.0.to_be_bytes());
        room.put(&self.udp_payload.to_be_bytes());
        room.put(&ttl.to_be_bytes());
        room.put(&(options as u16).to_be_bytes());
        if options == 0 {
            return;
        }
        if let Some(identity) = self.identity {
            room.option(NSID, &identity[..identity.len().min(MOST_IDENTITY)]);
        }
        if let Some(cookie) = self.cookie {
            room.option(COOKIE, cookie);
        }
        if let Some(idle) = self.keepalive {
            // In units of 100 ms (RFC 7828 §3.1), rounded down: never promise more than is kept.
            let units = u16::try_from(idle.as_millis() / 100).unwrap_or(u16::MAX);
            room.option(TCP_KEEPALIVE, &units.to_be_bytes());
        }
        if let Some(error) = self.error {
            room.option(EXTENDED_ERROR, &(error as u16).to_be_bytes());
        }
    }
}

/// What is left to write to.
struct Room<'r>(&'r mut [u8]);

impl Room<'_> {
    fn put(&mut self, octets: &[u8]) {
        let (taken, left) = std::mem::take(&mut self.0).split_at_mut(octets.len());
        taken.copy_from_slice(octets);
        self.0 = left;
    }

    fn option(&mut self, code: u16, content: &[u8]) {
        self.put(&code.to_be_bytes());
        self.put(&(content.len() as u16).to_be_bytes());
        self.put(content);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COOKIES: [u8; 24] = [7; 24];

    fn read(options: &[u8]) -> Option<Edns> {
        Edns::read(1232, 0, options).ok()
    }

    fn option(code: u8, content: &[u8]) -> Vec<u8> {
        [&[0, code, 0, content.len() as u8], content].concat()
    }

    #[test]
    fn options_are_read_and_unknown_ones_stepped_over() {
        let padding = option(12, &[0; 9]);
        let all = [option(3, &[]), padding.clone(), option(10, &[1; 8]), option(11, &[])].concat();
        let edns = read(&all).unwrap();
        assert!(edns.wants_nsid && edns.wants_keepalive && !edns.malformed_cookie);
        assert_eq!(edns.cookie, Cookie::from_option(&[1; 8]));
        let none = read(&padding).unwrap();
        assert!(!none.wants_nsid && !none.wants_keepalive && none.cookie.is_none() && !none.malformed_cookie);
        assert_eq!(read(&[]), Some(Edns { ..none }));
    }

    #[test]
    fn the_first_cookie_counts() {
        let two = [option(10, &[1; 8]), option(10, &[2; 7])].concat();
        let edns = read(&two).unwrap();
        assert_eq!((edns.cookie, edns.malformed_cookie), (Cookie::from_option(&[1; 8]), false));
        let two = [option(10, &[2; 7]), option(10, &[1; 8])].concat();
        let edns = read(&two).unwrap();
        assert_eq!((edns.cookie, edns.malformed_cookie), (None, true));
    }

    #[test]
    fn options_that_end_elsewhere_than_the_record_are_malformed() {
        for options in [&[0][..], &[0, 3, 0], &[0, 3, 0, 1], &[0, 3, 0, 0, 0]] {
            assert!(read(options).is_none(), "{options:?}");
        }
        let other_version = Edns::read(1232, 1 << 16, &[9, 9, 9]);
        assert!(other_version.is_ok_and(|edns| edns.version == 1), "its options may be anything");
    }

    fn written(record: &OptRecord<'_>) -> Vec<u8> {
        let mut room = vec![0xee; record.octets()];
        record.write(&mut room);
        room
    }

    #[test]
    fn a_record_has_what_it_is_given() {
        let plain = OptRecord {
            udp_payload: 1232,
            dnssec_ok: false,
            response_code: ResponseCode::NO_ERROR,
            identity: None,
            cookie: None,
            keepalive: None,
            error: None,
        };
        assert_eq!(written(&plain), [0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0]);
        let full = OptRecord {
            dnssec_ok: true,
            response_code: ResponseCode::BAD_COOKIE,
            identity: Some(b"s1"),
            cookie: Some(&COOKIES),
            keepalive: Some(Duration::from_millis(1_299)),
            error: Some(ExtendedError::NotAuthoritative),
            ..plain
        };
        let options = [option(3, b"s1"), option(10, &COOKIES), option(11, &[0, 12]), option(15, &[0, 20])];
        let options = options.concat();
        let expected = [&[0, 0, 41, 0x04, 0xd0, 1, 0, 0x80, 0, 0, options.len() as u8][..], &options].concat();
        assert_eq!(written(&full), expected);
        assert_eq!(read(&written(&full)[FIXED..]).unwrap().cookie, Cookie::from_option(&COOKIES));
    }

    #[test]
    fn the_longest_record_has_as_many_octets_as_are_said() {
        let longest = OptRecord {
            udp_payload: 1232,
            dnssec_ok: true,
            response_code: ResponseCode::BAD_COOKIE,
            identity: Some(&[b'i'; 300]),
            cookie: Some(&COOKIES),
            keepalive: Some(Duration::MAX),
            error: Some(ExtendedError::NotSupported),
        };
        assert_eq!(written(&longest).len(), MOST);
    }
}
