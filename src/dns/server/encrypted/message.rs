//! An answer's octets taken apart for hickory, whose server takes records and writes messages itself.
//!
//! Nothing is decided here and nothing may be lost: header, question, every record in its place and case, and the OPT record
//! come out as they went in. Only the compression of names is hickory's. Rdata stays octets; a name in it that was
//! compressed is written out, since a pointer means nothing in another message.

use hickory_proto::op::{Edns, Header, Metadata, ResponseCode};
use hickory_proto::rr::rdata::NULL;
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption, OPT};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, BinEncoder, DecodeError};
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
                RData::Unknown { code, rdata } if code == RecordType::OPT => {
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

    /// Hickory compresses less than we do. What does not fit a message because of that loses all its records and gets the
    /// TC bit, rather than half an RRset.
    pub(super) fn fit(&mut self) {
        if self.longest() <= MAX_MESSAGE {
            return;
        }
        let mut octets = Vec::new();
        let mut encoder = BinEncoder::new(&mut octets);
        encoder.set_max_size(u16::MAX);
        let is_whole = self
            .response()
            .destructive_emit(&mut encoder)
            .is_ok_and(|sent| sent.truncation == self.metadata.truncation);
        if !is_whole {
            self.metadata.truncation = true;
            for section in [&mut self.answers, &mut self.authorities, &mut self.additionals] {
                section.clear();
            }
        }
    }

    /// Octets of the message without any compression, the OPT record apart, which has at most a few hundred.
    fn longest(&self) -> usize {
        const OPT_AND_HEADER: usize = 1024;
        const FIXED: usize = 10;
        let records = self.answers.iter().chain(&self.authorities).chain(&self.additionals);
        let octets = records.map(|record| match &record.data {
            RData::Unknown { rdata, .. } => record.name.len() + FIXED + rdata.anything.len(),
            _ => 0,
        });
        OPT_AND_HEADER + octets.sum::<usize>()
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
