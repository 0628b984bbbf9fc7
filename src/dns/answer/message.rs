//! What of a query message an authoritative server needs: header, question, EDNS (RFC 1035 §4.1, RFC 6891 §6.1).
//!
//! Not a general message parser: records other than OPT are only stepped over. A message is either dropped (there is
//! nobody to answer, or nothing to answer to) or becomes a [`Query`], which may already know that it is refused.

use crate::dns::counters::Drop;
use crate::dns::name::{self, MAX_LABEL, MAX_NAME, Name};
use crate::dns::types::{Class, Opcode, RecordType, ResponseCode};

/// Octets of the header.
pub const HEADER: usize = 12;
/// The most octets of an answer over UDP to a client without EDNS (RFC 1035 §4.2.1).
pub const PLAIN_UDP_PAYLOAD: u16 = 512;
/// The only EDNS version there is.
pub const EDNS_VERSION: u8 = 0;
/// The EDNS option with which a client asks who answers (RFC 5001).
pub const NSID: u16 = 3;

pub(super) const QR: u16 = 0x8000;
pub(super) const AA: u16 = 0x0400;
pub(super) const TC: u16 = 0x0200;
const RD: u16 = 0x0100;
const OPCODE: u16 = 0x7800;
const DNSSEC_OK: u16 = 0x8000;

/// What is asked: a name in lower case, a type and a class.
#[derive(Clone, Copy)]
pub struct Question {
    name: [u8; MAX_NAME],
    length: u8,
    /// The type of the records wanted.
    pub record_type: RecordType,
    /// Their class.
    pub class: Class,
}

impl Question {
    /// A question of class IN.
    #[must_use]
    pub fn new(name: &Name, record_type: RecordType) -> Self {
        Self::from_wire(name.as_wire(), record_type, Class::IN)
    }

    /// A question for a whole, uncompressed name in wire form, in any case.
    fn from_wire(wire_name: &[u8], record_type: RecordType, class: Class) -> Self {
        let mut lower = [0; MAX_NAME];
        let length = name::lower_into(wire_name, &mut lower).len() as u8;
        Self {
            name: lower,
            length,
            record_type,
            class,
        }
    }

    /// The name in wire form, in lower case.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.name[..usize::from(self.length)]
    }
}

impl std::fmt::Debug for Question {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {} {}", name::display(self.name()), self.class, self.record_type)
    }
}

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
}

/// A message that gets an answer.
#[derive(Clone, Copy, Debug)]
pub struct Query {
    /// The client's number for it.
    pub id: u16,
    flags: u16,
    /// The question, where it could be read.
    pub question: Option<Question>,
    /// The client's OPT record, where it could be read.
    pub edns: Option<Edns>,
    /// The code with which it is answered without a look at the zones.
    pub refusal: Option<ResponseCode>,
}

impl Query {
    /// Reads a message. What follows its last record is not looked at.
    ///
    /// # Errors
    /// Why it gets no answer at all.
    pub fn parse(octets: &[u8]) -> Result<Self, Drop> {
        let mut reader = Reader { octets, at: 0 };
        let header = reader.header().ok_or(Drop::Short)?;
        if header.flags & QR != 0 {
            return Err(Drop::Response);
        }
        let mut query = Self {
            id: header.id,
            flags: header.flags,
            question: None,
            edns: None,
            refusal: None,
        };
        let malformed = query.read_sections(&header, &mut reader).err();
        // A version comes first: what a message of another one means is not known (RFC 6891 §6.1.3).
        query.refusal = if query.edns.is_some_and(|edns| edns.version != EDNS_VERSION) {
            Some(ResponseCode::BAD_VERS)
        } else if query.opcode() != Opcode::QUERY {
            Some(ResponseCode::NOT_IMP)
        } else if malformed.is_some() {
            Some(ResponseCode::FORM_ERR)
        } else {
            None
        };
        Ok(query)
    }

    /// What the message asks the server to do.
    #[must_use]
    pub const fn opcode(&self) -> Opcode {
        Opcode(((self.flags & OPCODE) >> 11) as u8)
    }

    /// The flags that an answer repeats: opcode and RD. Not CD, which is for resolvers (RFC 4035 §3.1.6).
    #[must_use]
    pub const fn repeated_flags(&self) -> u16 {
        self.flags & (OPCODE | RD)
    }

    /// The client wants DNSSEC records.
    #[must_use]
    pub fn dnssec_ok(&self) -> bool {
        self.edns.is_some_and(|edns| edns.dnssec_ok)
    }

    /// The most octets of an answer over UDP, when this server sends no more than `server_payload`.
    #[must_use]
    pub fn udp_limit(&self, server_payload: u16) -> u16 {
        let offered = self.edns.map_or(PLAIN_UDP_PAYLOAD, |edns| edns.udp_payload);
        offered.min(server_payload).max(PLAIN_UDP_PAYLOAD)
    }

    fn read_sections(&mut self, header: &Header, reader: &mut Reader<'_>) -> Result<(), Malformed> {
        if header.questions != 1 {
            return Err(Malformed);
        }
        self.question = Some(reader.question().ok_or(Malformed)?);
        for _ in 0..u32::from(header.answers) + u32::from(header.authorities) {
            if reader.record()?.record_type == RecordType::OPT {
                return Err(Malformed);
            }
        }
        for _ in 0..header.additionals {
            let record = reader.record()?;
            if record.record_type != RecordType::OPT {
                continue;
            }
            if self.edns.take().is_some() || !record.at_root {
                return Err(Malformed);
            }
            self.edns = Some(record.edns()?);
        }
        Ok(())
    }
}

struct Malformed;

struct Header {
    id: u16,
    flags: u16,
    questions: u16,
    answers: u16,
    authorities: u16,
    additionals: u16,
}

struct Record<'m> {
    at_root: bool,
    record_type: RecordType,
    class: u16,
    ttl: u32,
    rdata: &'m [u8],
}

impl Record<'_> {
    /// An OPT record's fields, which lie where other records have class and TTL (RFC 6891 §6.1.2).
    fn edns(&self) -> Result<Edns, Malformed> {
        let mut options = Reader { octets: self.rdata, at: 0 };
        let mut wants_nsid = false;
        while options.at < self.rdata.len() {
            let code = options.u16().ok_or(Malformed)?;
            let length = options.u16().ok_or(Malformed)?;
            options.take(usize::from(length)).ok_or(Malformed)?;
            wants_nsid |= code == NSID;
        }
        Ok(Edns {
            udp_payload: self.class,
            version: (self.ttl >> 16) as u8,
            dnssec_ok: self.ttl as u16 & DNSSEC_OK != 0,
            wants_nsid,
        })
    }
}

struct Reader<'m> {
    octets: &'m [u8],
    at: usize,
}

impl<'m> Reader<'m> {
    fn take(&mut self, count: usize) -> Option<&'m [u8]> {
        let taken = self.octets.get(self.at..)?.get(..count)?;
        self.at += count;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        let octets = self.take(2)?;
        Some(u16::from_be_bytes([octets[0], octets[1]]))
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from(self.u16()?) << 16 | u32::from(self.u16()?))
    }

    fn header(&mut self) -> Option<Header> {
        Some(Header {
            id: self.u16()?,
            flags: self.u16()?,
            questions: self.u16()?,
            answers: self.u16()?,
            authorities: self.u16()?,
            additionals: self.u16()?,
        })
    }

    /// The question, whose name must not be compressed: there is nothing before it to point to.
    fn question(&mut self) -> Option<Question> {
        let length = name::wire_length(self.octets.get(self.at..)?)?;
        let name = self.take(length)?;
        let record_type = RecordType(self.u16()?);
        let class = Class(self.u16()?);
        Some(Question::from_wire(name, record_type, class))
    }

    fn record(&mut self) -> Result<Record<'m>, Malformed> {
        self.any_record().ok_or(Malformed)
    }

    fn any_record(&mut self) -> Option<Record<'m>> {
        let at_root = self.octets.get(self.at) == Some(&0);
        self.skip_name()?;
        let record_type = RecordType(self.u16()?);
        let class = self.u16()?;
        let ttl = self.u32()?;
        let length = self.u16()?;
        let rdata = self.take(usize::from(length))?;
        Some(Record {
            at_root,
            record_type,
            class,
            ttl,
            rdata,
        })
    }

    /// Steps over a name; where a pointer leads is not looked at.
    fn skip_name(&mut self) -> Option<()> {
        loop {
            let length = usize::from(self.take(1)?[0]);
            match length {
                0 => return Some(()),
                1..=MAX_LABEL => drop(self.take(length)?),
                0xc0.. => return self.take(1).map(drop),
                _ => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const QUESTION: &[u8] = b"\x03WwW\x07eXample\0\0\x01\0\x01";

    fn message(flags: u16, counts: [u16; 4], sections: &[&[u8]]) -> Vec<u8> {
        let mut octets = vec![0x12, 0x34];
        octets.extend(flags.to_be_bytes());
        counts.iter().for_each(|count| octets.extend(count.to_be_bytes()));
        octets.extend(sections.concat());
        octets
    }

    fn opt(payload: u16, ttl: u32, options: &[u8]) -> Vec<u8> {
        let mut octets = vec![0, 0, 41];
        octets.extend(payload.to_be_bytes());
        octets.extend(ttl.to_be_bytes());
        octets.extend((options.len() as u16).to_be_bytes());
        octets.extend(options);
        octets
    }

    fn parse(octets: &[u8]) -> Query {
        Query::parse(octets).unwrap()
    }

    fn refusal(counts: [u16; 4], sections: &[&[u8]]) -> Option<ResponseCode> {
        parse(&message(0, counts, sections)).refusal
    }

    #[test]
    fn a_plain_query_is_read() {
        let query = parse(&message(0x0110, [1, 0, 0, 0], &[QUESTION]));
        let question = query.question.unwrap();
        assert_eq!((query.id, query.refusal, query.edns), (0x1234, None, None));
        assert_eq!(format!("{question:?}"), "www.example. IN A");
        assert_eq!(query.repeated_flags(), 0x0100, "RD is repeated, CD is not");
        assert_eq!(query.udp_limit(1232), 512);
    }

    #[test]
    fn an_opt_record_is_read() {
        let cookie_and_nsid = [0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 3, 0, 0];
        let query = parse(&message(0, [1, 0, 0, 1], &[QUESTION, &opt(4096, 0x8000, &cookie_and_nsid)]));
        let expected = Edns {
            udp_payload: 4096,
            version: 0,
            dnssec_ok: true,
            wants_nsid: true,
        };
        assert_eq!((query.edns, query.refusal), (Some(expected), None));
        assert_eq!(query.udp_limit(1232), 1232);
    }

    #[test]
    fn the_payload_size_is_never_below_512() {
        for (offered, limit) in [(0, 512), (511, 512), (800, 800), (65_535, 1232)] {
            let query = parse(&message(0, [1, 0, 0, 1], &[QUESTION, &opt(offered, 0, &[])]));
            assert_eq!(query.udp_limit(1232), limit, "offered {offered}");
        }
    }

    #[test]
    fn records_before_the_opt_record_are_stepped_over() {
        let soa = [b"\xc0\x0c\0\x06\0\x01\0\0\0\0\0\x02".as_slice(), &[0, 0]].concat();
        let other = b"\x01a\xc0\x0c\0\x10\0\x01\0\0\0\0\0\0";
        let query = parse(&message(0, [1, 0, 1, 2], &[QUESTION, &soa, other, &opt(1232, 0, &[])]));
        assert!(query.refusal.is_none() && query.edns.is_some());
    }

    #[test]
    fn some_messages_get_no_answer() {
        let whole = message(0, [1, 0, 0, 0], &[QUESTION]);
        for length in 0..HEADER {
            assert_eq!(Query::parse(&whole[..length]).unwrap_err(), Drop::Short);
        }
        let response = message(0x8000, [1, 0, 0, 0], &[QUESTION]);
        assert_eq!(Query::parse(&response).unwrap_err(), Drop::Response);
    }

    #[test]
    fn malformed_messages_are_told_so() {
        let malformed = Some(ResponseCode::FORM_ERR);
        let edns = opt(1232, 0, &[]);
        assert_eq!(refusal([0, 0, 0, 0], &[]), malformed, "no question");
        assert_eq!(refusal([2, 0, 0, 0], &[QUESTION, QUESTION]), malformed, "two questions");
        assert_eq!(
            refusal([1, 0, 0, 0], &[QUESTION, b"x"]),
            None,
            "trailing octets are none of the message"
        );
        assert_eq!(refusal([1, 0, 0, 0], &[b"\xc0\x0c\0\x01\0\x01"]), malformed, "compressed question");
        assert_eq!(
            refusal([1, 0, 0, 0], &[b"\x01a\xc0\x0c\0\x01\0\x01"]),
            malformed,
            "question compressed in the middle"
        );
        assert_eq!(refusal([1, 0, 0, 0], &[b"\x41a\0\0\x01\0\x01"]), malformed, "unknown label type");
        assert_eq!(refusal([1, 0, 0, 0], &[&[1; 300]]), malformed, "a name without an end");
        assert_eq!(refusal([1, 0, 0, 1], &[QUESTION]), malformed, "a missing record");
        assert_eq!(refusal([1, 0, 0, 2], &[QUESTION, &edns, &edns]), malformed, "two OPT records");
        assert_eq!(refusal([1, 1, 0, 0], &[QUESTION, &edns]), malformed, "OPT in the answer section");
        assert_eq!(refusal([1, 0, 0, 1], &[QUESTION, b"\x01a", &edns]), malformed, "OPT with an owner");
        assert_eq!(
            refusal([1, 0, 0, 1], &[QUESTION, &opt(1232, 0, &[0, 3, 0, 9])]),
            malformed,
            "an option beyond its end"
        );
    }

    #[test]
    fn other_opcodes_and_versions_are_refused() {
        let update = parse(&message(0x2800, [1, 0, 0, 0], &[QUESTION]));
        assert_eq!((update.opcode(), update.refusal), (Opcode::UPDATE, Some(ResponseCode::NOT_IMP)));
        assert_eq!(parse(&message(0x7800, [0; 4], &[])).refusal, Some(ResponseCode::NOT_IMP));
        assert_eq!(
            refusal([1, 0, 0, 1], &[QUESTION, &opt(1232, 1 << 16, &[])]),
            Some(ResponseCode::BAD_VERS)
        );
        let other_version = parse(&message(0x2800, [1, 0, 0, 1], &[QUESTION, &opt(1232, 1 << 16, &[])]));
        assert_eq!(other_version.refusal, Some(ResponseCode::BAD_VERS), "whatever the opcode");
    }

    proptest! {
        #[test]
        fn no_octets_panic(octets in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = Query::parse(&octets);
        }

        #[test]
        fn no_changed_query_panics(at in 0_usize..60, value: u8, cut in 0_usize..60) {
            let mut octets = message(0, [1, 0, 0, 1], &[QUESTION, &opt(1232, 0, &[0, 3, 0, 0, 0, 10, 0, 1, 7])]);
            let length = octets.len();
            octets[at % length] = value;
            octets.truncate(length - cut % length);
            let _ = Query::parse(&octets);
        }
    }
}
