//! An answer's octets taken apart for hickory, whose server takes records and writes messages itself.
//!
//! Nothing is decided here and nothing may be lost: header, question, every record in its place and case, and the OPT record
//! come out as they went in. Only the compression of names is hickory's. Rdata stays octets; a name in it that was
//! compressed is written out, since a pointer means nothing in another message.

use hickory_proto::op::{Edns, Header, Metadata, ResponseCode};
use hickory_proto::rr::rdata::NULL;
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption, OPT};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, DecodeError};
use hickory_server::zone_handler::{MessageResponse, MessageResponseBuilder, Queries};

use crate::dns::answer::MAX_MESSAGE;
use crate::dns::types::RecordType as Type;

/// An answer in hickory's terms.
pub(super) struct Parts {
    pub(super) metadata: Metadata,
    queries: Queries,
    answers: Vec<Record>,
    authorities: Vec<Record>,
    additionals: Vec<Record>,
    edns: Option<Edns>,
}

impl Parts {
    /// Takes apart an answer of ours.
    ///
    /// # Errors
    /// What of it cannot be read, which is a defect of this program.
    pub(super) fn of(message: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = BinDecoder::new(message);
        let Header { metadata, counts } = Header::read(&mut decoder)?;
        let mut parts = Self {
            metadata,
            queries: Queries::read(&mut decoder, usize::from(counts.queries))?,
            answers: Vec::with_capacity(usize::from(counts.answers)),
            authorities: Vec::with_capacity(usize::from(counts.authorities)),
            additionals: Vec::with_capacity(usize::from(counts.additionals)),
            edns: None,
        };
        for _ in 0..counts.answers {
            parts.answers.push(read_record(&mut decoder)?);
        }
        for _ in 0..counts.authorities {
            parts.authorities.push(read_record(&mut decoder)?);
        }
        for _ in 0..counts.additionals {
            let record = read_record(&mut decoder)?;
            match record.data {
                RData::Unknown {
                    code: RecordType::OPT,
                    rdata,
                } => {
                    let edns = read_edns(record.dns_class.into(), record.ttl, &rdata.anything)?;
                    parts.metadata.response_code = ResponseCode::from(edns.rcode_high(), metadata.response_code.low());
                    parts.edns = Some(edns);
                }
                _ => parts.additionals.push(record),
            }
        }
        Ok(parts)
    }

    /// The message as hickory's server takes it.
    pub(super) fn response<'a>(
        &'a self,
    ) -> MessageResponse<
        'a,
        'a,
        impl Iterator<Item = &'a Record> + Send + 'a,
        impl Iterator<Item = &'a Record> + Send + 'a,
        impl Iterator<Item = &'a Record> + Send + 'a,
        impl Iterator<Item = &'a Record> + Send + 'a,
    > {
        let builder = MessageResponseBuilder::new(&self.queries, self.edns.as_ref());
        builder.build(self.metadata, &self.answers, &self.authorities, &[], &self.additionals)
    }

    /// Hickory compresses the first 120 names of a message and no more. An answer that might not fit because of that loses
    /// all its records and gets the TC bit, rather than half an RRset. Says whether that was done.
    pub(super) fn cut_to_fit(&mut self) -> bool {
        let fits = self.longest() <= MAX_MESSAGE;
        if !fits {
            self.metadata.truncation = true;
            for section in [&mut self.answers, &mut self.authorities, &mut self.additionals] {
                section.clear();
            }
        }
        !fits
    }

    /// The most octets that the message can have: as if no name were compressed.
    fn longest(&self) -> usize {
        /// Header, question and OPT record; the identity in it has at most 200.
        const APART_FROM_RECORDS: usize = 1024;
        const FIXED: usize = 10;
        let records = self.answers.iter().chain(&self.authorities).chain(&self.additionals);
        let octets = records.map(|record| match &record.data {
            RData::Unknown { rdata, .. } => record.name.len() + FIXED + rdata.anything.len(),
            _ => 0,
        });
        APART_FROM_RECORDS + octets.sum::<usize>()
    }
}

fn read_record(decoder: &mut BinDecoder<'_>) -> Result<Record, DecodeError> {
    let name = Name::read(decoder)?;
    let code = u16_of(decoder)?;
    let class = u16_of(decoder)?;
    let ttl = decoder.read_u32()?.unverified(/* any is good */);
    let octets = usize::from(u16_of(decoder)?);
    let rdata = match names_in(Type(code)) {
        Some(layout) => written_out(decoder, layout, octets)?,
        None => decoder.read_vec(octets)?.unverified(/* any octets are good */),
    };
    let mut null = NULL::new();
    null.anything = rdata;
    let data = RData::Unknown {
        code: RecordType::from(code),
        rdata: null,
    };
    let mut record = Record::from_rdata(name, ttl, data);
    record.dns_class = DNSClass::from(class);
    Ok(record)
}

/// Octets before the first name, and names, in the rdata of the types whose names we compress (RFC 3597 §4).
const fn names_in(record_type: Type) -> Option<(usize, usize)> {
    match record_type {
        Type::NS | Type::CNAME | Type::PTR | Type::MD | Type::MF | Type::MB | Type::MG | Type::MR => Some((0, 1)),
        Type::SOA | Type::MINFO => Some((0, 2)),
        Type::MX => Some((2, 1)),
        _ => None,
    }
}

fn written_out(decoder: &mut BinDecoder<'_>, (before, names): (usize, usize), octets: usize) -> Result<Vec<u8>, DecodeError> {
    let start = decoder.index();
    let mut rdata = decoder.read_vec(before)?.unverified(/* any octets are good */);
    for _ in 0..names {
        for label in Name::read(decoder)?.iter() {
            rdata.push(label.len() as u8);
            rdata.extend_from_slice(label);
        }
        rdata.push(0);
    }
    let rest = (start + octets).saturating_sub(decoder.index());
    rdata.extend(decoder.read_vec(rest)?.unverified(/* any octets are good */));
    Ok(rdata)
}

fn read_edns(payload: u16, ttl: u32, options: &[u8]) -> Result<Edns, DecodeError> {
    let [rcode_high, version, flags @ ..] = ttl.to_be_bytes();
    let mut edns = Edns::new();
    edns.set_max_payload(payload).set_rcode_high(rcode_high).set_version(version);
    *edns.flags_mut() = u16::from_be_bytes(flags).into();
    let mut decoder = BinDecoder::new(options);
    let mut read = Vec::new();
    while !decoder.is_empty() {
        let code = u16_of(&mut decoder)?;
        let octets = usize::from(u16_of(&mut decoder)?);
        let data = decoder.read_vec(octets)?.unverified(/* any octets are good */);
        read.push((EdnsCode::from(code), EdnsOption::Unknown(code, data)));
    }
    *edns.options_mut() = OPT::new(read);
    Ok(edns)
}

fn u16_of(decoder: &mut BinDecoder<'_>) -> Result<u16, DecodeError> {
    Ok(decoder.read_u16()?.unverified(/* any is good */))
}

#[cfg(test)]
mod tests {
    use hickory_proto::serialize::binary::BinEncoder;

    use super::*;

    /// An answer with so many address records, each with a pointer to the question for its name, and an OPT record.
    fn answer(records: u16) -> Vec<u8> {
        let mut octets = b"\0\0\x84\0\0\x01".to_vec();
        octets.extend(records.to_be_bytes());
        octets.extend(b"\0\0\0\x01\x03WwW\x07example\0\0\x01\0\x01");
        for number in 0..records {
            octets.extend(b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\x0c");
            octets.extend(number.to_be_bytes());
        }
        octets.extend(b"\0\0\x29\x04\xd0\x01\0\x80\0\0\x06\xfd\xe9\0\x02hi");
        octets
    }

    fn written(message: &[u8]) -> Vec<u8> {
        let mut parts = Parts::of(message).unwrap();
        parts.cut_to_fit();
        let mut octets = Vec::new();
        let mut encoder = BinEncoder::new(&mut octets);
        encoder.set_max_size(u16::MAX);
        parts.response().destructive_emit(&mut encoder).unwrap();
        octets
    }

    #[test]
    fn nothing_is_lost_but_compression() {
        let octets = written(&answer(2));
        let mut expected = answer(2);
        // Hickory never points into a question; the second name points to the first.
        let first = b"\x03WwW\x07example\0".to_vec();
        let at = 12 + first.len() + 4;
        expected.splice(at..at + 2, first);
        assert_eq!(octets[..expected.len() - 19 - 16], expected[..expected.len() - 19 - 16]);
        assert!(
            octets.ends_with(b"\xc0\x0c\0\x01\0\0\x29\x04\xd0\x01\0\x80\0\0\x06\xfd\xe9\0\x02hi"),
            "{}",
            octets.escape_ascii()
        );
        let metadata = Parts::of(&octets).unwrap().metadata;
        assert_eq!(u16::from(metadata.response_code), 16, "the upper half is in the OPT record");
    }

    #[test]
    fn what_hickory_cannot_fit_is_cut_as_a_whole() {
        let fits = written(&answer(2300));
        assert_eq!((&fits[2..4], &fits[6..8]), (&b"\x84\0"[..], &2300_u16.to_be_bytes()[..]));
        assert!((60_000..MAX_MESSAGE).contains(&fits.len()), "{}", fits.len());
        let cut = written(&answer(2500));
        assert_eq!((&cut[2..4], &cut[6..8]), (&b"\x86\0"[..], &[0, 0][..]));
        assert!(cut.ends_with(b"hi"));
    }

    #[test]
    fn rdata_is_octets_but_for_compressed_names() {
        // A mail exchange whose name is a pointer, and a text that looks like one.
        let octets = b"\0\0\x84\0\0\x01\0\x02\0\0\0\0\x01X\0\0\xff\0\x01\
            \xc0\x0c\0\x0f\0\x01\0\0\0\0\0\x06\0\x0a\x01y\xc0\x0c\
            \xc0\x0c\0\x10\0\x01\0\0\0\0\0\x03\x02\xc0\x0c";
        let parts = Parts::of(octets).unwrap();
        let rdata = parts.answers.iter().map(|record| match &record.data {
            RData::Unknown { rdata, .. } => rdata.anything.clone(),
            other => panic!("{other:?}"),
        });
        assert_eq!(rdata.collect::<Vec<_>>(), [&b"\0\x0a\x01y\x01X\0"[..], b"\x02\xc0\x0c"]);
    }

    #[test]
    fn what_is_cut_off_is_an_error() {
        let octets = answer(2);
        assert!((0..octets.len()).all(|length| Parts::of(&octets[..length]).is_err()));
    }
}
