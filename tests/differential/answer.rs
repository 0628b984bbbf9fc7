//! An answer as it is compared: header, sections as sorted sets of records, all names whole and in lower case.
//!
//! Not heraldns's own reader of messages, which may share its mistakes.

use std::fmt::{self, Write as _};

use heraldns::dns::name;
use heraldns::dns::types::{RecordType, ResponseCode};

use crate::client::Reply;
use crate::questions::Question;

/// A record: its place in a section does not count.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Record {
    pub(crate) owner: Vec<u8>,
    pub(crate) record_type: RecordType,
    pub(crate) class: u16,
    pub(crate) ttl: u32,
    pub(crate) data: Vec<u8>,
}

/// What a server said to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) response_code: ResponseCode,
    pub(crate) authoritative: bool,
    pub(crate) truncated: bool,
    pub(crate) authentic: bool,
    /// The question came back octet for octet.
    pub(crate) question: bool,
    /// There is an OPT record, and its DO bit.
    pub(crate) edns: Option<bool>,
    pub(crate) answer: Vec<Record>,
    pub(crate) authority: Vec<Record>,
    pub(crate) additional: Vec<Record>,
    /// The length of the whole message.
    pub(crate) octets: usize,
}

impl Answer {
    /// Reads a reply. `None` if there is none, or it is malformed.
    pub(crate) fn read(question: &Question, reply: &Reply) -> Option<Self> {
        let message = reply.whole.as_ref().unwrap_or(&reply.datagram);
        let mut answer = Reader { message, position: 0 }.message(question)?;
        answer.truncated |= reply.whole.is_some();
        Some(answer)
    }

    /// It names the servers of another zone.
    pub(crate) fn is_referral(&self) -> bool {
        self.response_code == ResponseCode::NO_ERROR && self.authority.iter().any(|record| record.record_type == RecordType::NS)
    }

    /// Owner and target of the alias at which the chain from the question's name ends; none when it ends at data, or never.
    pub(crate) fn last_alias(&self, question: &Question) -> Option<(Vec<u8>, Vec<u8>)> {
        let mut name = question.wire_name().to_ascii_lowercase();
        let mut last = None;
        for _ in 0..=self.answer.len() {
            let at_name = |record: &&Record| record.owner == name;
            match self.answer.iter().find(at_name) {
                None => return last,
                Some(record) if record.record_type == RecordType::CNAME => {
                    let from = std::mem::replace(&mut name, record.data.clone());
                    last = Some((from, name.clone()));
                }
                Some(_) => return None,
            }
        }
        None
    }
}

/// What the data of a record is made of.
#[derive(Clone, Copy)]
enum Field {
    Name,
    Octets(usize),
    Text,
    Rest,
}

fn fields(record_type: RecordType) -> &'static [Field] {
    use Field::{Name, Octets, Rest, Text};
    match record_type.0 {
        2..=5 | 7..=9 | 12 | 39 => &[Name],
        6 => &[Name, Name, Octets(20)],
        14 | 17 => &[Name, Name],
        15 | 18 | 21 | 36 => &[Octets(2), Name],
        33 => &[Octets(6), Name],
        35 => &[Octets(4), Text, Text, Text, Name],
        46 => &[Octets(18), Name, Rest],
        47 => &[Name, Rest],
        64 | 65 => &[Octets(2), Name, Rest],
        _ => &[Rest],
    }
}

struct Reader<'m> {
    message: &'m [u8],
    position: usize,
}

impl Reader<'_> {
    fn message(mut self, question: &Question) -> Option<Answer> {
        let header: [u8; 12] = self.take(12)?.try_into().ok()?;
        let count = |index: usize| u16::from_be_bytes([header[index], header[index + 1]]);
        let asked = &question.message[12..12 + name::wire_length(&question.message[12..])? + 4];
        let same = count(4) == 1 && self.message.get(12..12 + asked.len()) == Some(asked);
        if count(4) == 1 {
            self.name()?;
            self.take(4)?;
        }
        let mut answer = Answer {
            response_code: ResponseCode(u16::from(header[3] & 15)),
            authoritative: header[2] & 4 != 0,
            truncated: header[2] & 2 != 0,
            authentic: header[3] & 0x20 != 0,
            question: same,
            edns: None,
            answer: self.section(count(6))?,
            authority: self.section(count(8))?,
            additional: self.section(count(10))?,
            octets: self.message.len(),
        };
        if let Some(position) = answer.additional.iter().position(|record| record.record_type == RecordType::OPT) {
            let opt = answer.additional.remove(position);
            answer.response_code.0 |= (opt.ttl >> 24 << 4) as u16;
            answer.edns = Some(opt.ttl & 0x8000 != 0);
        }
        (self.position == self.message.len()).then_some(answer)
    }

    fn section(&mut self, count: u16) -> Option<Vec<Record>> {
        let mut records = Vec::with_capacity(usize::from(count));
        for _ in 0..count {
            records.push(self.record()?);
        }
        records.sort_unstable();
        // some servers repeat the alias of a loop
        records.dedup();
        Some(records)
    }

    fn record(&mut self) -> Option<Record> {
        let owner = self.name()?;
        let record_type = RecordType(self.number()?);
        let class = self.number()?;
        let ttl = u32::from(self.number()?) << 16 | u32::from(self.number()?);
        let length = usize::from(self.number()?);
        let end = self.position + length;
        let mut data = Vec::with_capacity(length);
        for field in fields(record_type) {
            match field {
                Field::Name => data.extend(self.name()?),
                Field::Octets(count) => data.extend(self.take(*count)?),
                Field::Text => {
                    let count = usize::from(*self.message.get(self.position)?);
                    data.extend(self.take(count + 1)?);
                }
                Field::Rest => {
                    let count = end.checked_sub(self.position)?;
                    data.extend(self.take(count)?);
                }
            }
        }
        let record = Record {
            owner,
            record_type,
            class,
            ttl,
            data,
        };
        (self.position == end).then_some(record)
    }

    /// A name, whole and in lower case.
    fn name(&mut self) -> Option<Vec<u8>> {
        let mut wire = Vec::with_capacity(32);
        let mut position = self.position;
        let mut followed = false;
        loop {
            let length = usize::from(*self.message.get(position)?);
            if length >= 0xc0 {
                let target = (length & 0x3f) << 8 | usize::from(*self.message.get(position + 1)?);
                if !followed {
                    self.position = position + 2;
                }
                followed = true;
                // only backwards, so that it ends
                position = (target < position).then_some(target)?;
                continue;
            }
            wire.extend(self.message.get(position..=position + length)?.to_ascii_lowercase());
            position += length + 1;
            if length == 0 {
                break;
            }
        }
        if !followed {
            self.position = position;
        }
        Some(wire)
    }

    fn number(&mut self) -> Option<u16> {
        let octets = self.take(2)?;
        Some(u16::from_be_bytes([octets[0], octets[1]]))
    }

    fn take(&mut self, count: usize) -> Option<&[u8]> {
        let taken = self.message.get(self.position..self.position + count)?;
        self.position += count;
        Some(taken)
    }
}

impl fmt::Display for Record {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {} {}", name::display(&self.owner), self.ttl, self.record_type)?;
        let mut rest = self.data.as_slice();
        for field in fields(self.record_type) {
            let length = match field {
                Field::Name => name::wire_length(rest).unwrap_or(rest.len()),
                Field::Octets(count) => *count,
                Field::Text => usize::from(rest[0]) + 1,
                Field::Rest => rest.len(),
            };
            let (own, more) = rest.split_at(length);
            rest = more;
            match field {
                Field::Name => write!(formatter, " {}", name::display(own))?,
                Field::Octets(_) | Field::Text | Field::Rest => {
                    let hex = own.iter().take(40).fold(String::new(), |mut hex, octet| {
                        let _ = write!(hex, "{octet:02x}");
                        hex
                    });
                    write!(formatter, " {hex}")?;
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.response_code)?;
        for (flag, shown) in [
            (self.authoritative, "AA"),
            (self.truncated, "TC"),
            (self.authentic, "AD"),
            (!self.question, "other-question"),
        ] {
            if flag {
                write!(formatter, " {shown}")?;
            }
        }
        match self.edns {
            None => writeln!(formatter)?,
            Some(dnssec_ok) => writeln!(formatter, " EDNS{}", if dnssec_ok { " DO" } else { "" })?,
        }
        for (section, records) in [
            ("answer", &self.answer),
            ("authority", &self.authority),
            ("additional", &self.additional),
        ] {
            for record in records {
                writeln!(formatter, "      {section}: {record}")?;
            }
        }
        Ok(())
    }
}
