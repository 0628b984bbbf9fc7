//! An answer without its compression: what two answers must have in common to be equal, octet for octet.

use std::fmt;

/// A message, its names written out. Case counts, order counts.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) id: u16,
    pub(super) flags: u16,
    question: Vec<u8>,
    sections: [Vec<Record>; 3],
}

#[derive(Clone, PartialEq, Eq)]
struct Record {
    owner: Vec<u8>,
    record_type: u16,
    class: u16,
    ttl: u32,
    rdata: Vec<u8>,
}

impl Answer {
    pub(super) fn read(message: &[u8]) -> Self {
        let mut reader = Reader { message, at: 0 };
        let [id, flags, questions, answers, authorities, additionals] = std::array::from_fn(|_| reader.u16());
        let start = reader.at;
        for _ in 0..questions {
            reader.name();
            reader.take(4);
        }
        let question = message[start..reader.at].to_vec();
        let sections = [answers, authorities, additionals].map(|count| (0..count).map(|_| reader.record()).collect());
        assert_eq!(reader.at, message.len(), "octets after the last record");
        Self {
            id,
            flags,
            question,
            sections,
        }
    }

    pub(super) fn is_truncated(&self) -> bool {
        self.flags & 0x0200 != 0
    }

    pub(super) fn counts(&self) -> [usize; 3] {
        self.sections.each_ref().map(Vec::len)
    }

    /// Every type of a record in the message.
    pub(super) fn types(&self) -> impl Iterator<Item = u16> {
        self.sections.iter().flatten().map(|record| record.record_type)
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "id {} flags {:04x} question {}",
            self.id,
            self.flags,
            self.question.escape_ascii()
        )?;
        for (name, section) in ["answer", "authority", "additional"].iter().zip(&self.sections) {
            for record in section {
                let Record {
                    owner,
                    record_type,
                    class,
                    ttl,
                    rdata,
                } = record;
                let (owner, rdata) = (owner.escape_ascii(), rdata.escape_ascii());
                writeln!(formatter, "{name}: {owner} class {class} type {record_type} ttl {ttl} {rdata}")?;
            }
        }
        Ok(())
    }
}

struct Reader<'m> {
    message: &'m [u8],
    at: usize,
}

impl<'m> Reader<'m> {
    fn take(&mut self, count: usize) -> &'m [u8] {
        self.at += count;
        &self.message[self.at - count..self.at]
    }

    fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.take(2).try_into().unwrap())
    }

    fn name(&mut self) -> Vec<u8> {
        let (mut name, mut at, mut end) = (Vec::new(), self.at, None);
        loop {
            let length = usize::from(self.message[at]);
            match length {
                0xc0.. => {
                    end = end.or(Some(at + 2));
                    at = (length & 0x3f) << 8 | usize::from(self.message[at + 1]);
                }
                _ => {
                    name.extend_from_slice(&self.message[at..=at + length]);
                    at += 1 + length;
                    if length == 0 {
                        self.at = end.unwrap_or(at);
                        return name;
                    }
                }
            }
        }
    }

    fn record(&mut self) -> Record {
        let owner = self.name();
        let (record_type, class) = (self.u16(), self.u16());
        let ttl = u32::from_be_bytes(self.take(4).try_into().unwrap());
        let end = usize::from(self.u16()) + self.at;
        // NS MD MF CNAME SOA MB MG MR PTR MINFO MX: the types whose names may be compressed (RFC 3597 §4).
        let (before, names) = match record_type {
            2..=5 | 7..=9 | 12 => (0, 1),
            6 | 14 => (0, 2),
            15 => (2, 1),
            _ => (0, 0),
        };
        let mut rdata = self.take(before).to_vec();
        (0..names).for_each(|_| rdata.extend(self.name()));
        rdata.extend_from_slice(self.take(end - self.at));
        Record {
            owner,
            record_type,
            class,
            ttl,
            rdata,
        }
    }
}
