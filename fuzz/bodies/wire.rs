//! A reader of DNS messages (RFC 1035 §4.1) that knows nothing of the server's code, and takes no liberty.
//!
//! It panics where a message is not whole, has octets after its end, or points anywhere but backwards. Names come out in
//! full, those in rdata that may be compressed too.

/// Octets of the header.
pub const HEADER: usize = 12;
pub const OPT: u16 = 41;
/// Types whose rdata are so many octets, then so many names that may be compressed (RFC 1035 §3.3).
const COMPRESSED: &[(u16, usize, usize)] = &[
    (2, 0, 1),
    (3, 0, 1),
    (4, 0, 1),
    (5, 0, 1),
    (6, 0, 2),
    (7, 0, 1),
    (8, 0, 1),
    (9, 0, 1),
    (12, 0, 1),
    (14, 0, 2),
    (15, 2, 1),
];

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub id: u16,
    pub flags: u16,
    /// Octets of the questions, as they stand in the message.
    pub question: Vec<u8>,
    /// The records of answer, authority and additional section.
    pub sections: [Vec<Record>; 3],
}

/// A record of a message.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    /// The owner in wire form, in full.
    pub owner: Vec<u8>,
    pub record_type: u16,
    pub class: u16,
    pub ttl: u32,
    /// Data, all names in full.
    pub rdata: Vec<u8>,
}

impl Message {
    /// Reads all of `octets`.
    pub fn read(octets: &[u8]) -> Self {
        let mut reader = Reader { octets, at: 0 };
        let (id, flags) = (reader.u16(), reader.u16());
        let [questions, answers, authorities, additionals] = [(); 4].map(|()| reader.u16());
        let start = reader.at;
        for _ in 0..questions {
            reader.name();
            reader.take(4);
        }
        let question = octets[start..reader.at].to_vec();
        let sections = [answers, authorities, additionals].map(|count| (0..count).map(|_| reader.record()).collect());
        assert_eq!(reader.at, octets.len(), "octets after the last record");
        Self {
            id,
            flags,
            question,
            sections,
        }
    }

    /// All records.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.sections.iter().flatten()
    }
}

/// Whether names in the data of this type may be compressed.
pub fn is_compressed(record_type: u16) -> bool {
    COMPRESSED.iter().any(|(other, ..)| *other == record_type)
}

struct Reader<'m> {
    octets: &'m [u8],
    at: usize,
}

impl<'m> Reader<'m> {
    fn take(&mut self, count: usize) -> &'m [u8] {
        let taken = self.octets.get(self.at..self.at + count);
        let Some(taken) = taken else {
            panic!("{count} octets wanted at {}, of {}", self.at, self.octets.len())
        };
        self.at += count;
        taken
    }

    fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.take(2).try_into().unwrap())
    }

    fn record(&mut self) -> Record {
        let owner = self.name();
        let (record_type, class) = (self.u16(), self.u16());
        let ttl = u32::from(self.u16()) << 16 | u32::from(self.u16());
        let length = usize::from(self.u16());
        let end = self.at + length;
        let mut rdata = Vec::new();
        if let Some((_, before, names)) = COMPRESSED.iter().find(|(other, ..)| *other == record_type) {
            rdata.extend_from_slice(self.take(*before));
            (0..*names).for_each(|_| rdata.extend(self.name()));
        }
        assert!(self.at <= end, "a name in the data of type {record_type} goes beyond it");
        rdata.extend_from_slice(self.take(end - self.at));
        Record {
            owner,
            record_type,
            class,
            ttl,
            rdata,
        }
    }

    /// A name in full.
    fn name(&mut self) -> Vec<u8> {
        let mut name = Vec::new();
        let (mut at, mut end) = (self.at, None);
        // where the labels at hand begin: a pointer leads to before them
        let mut start = at;
        loop {
            let octet = *self.octets.get(at).expect("a name goes beyond the message");
            match octet {
                0 => break,
                1..=63 => {
                    let label = self.octets.get(at..at + 1 + usize::from(octet));
                    name.extend_from_slice(label.expect("a label goes beyond the message"));
                    at += 1 + usize::from(octet);
                }
                0xc0.. => {
                    let low = *self.octets.get(at + 1).expect("a pointer goes beyond the message");
                    let target = usize::from(u16::from_be_bytes([octet & 0x3f, low]));
                    assert!((HEADER..start).contains(&target), "a pointer from {start} to {target}");
                    end.get_or_insert(at + 2);
                    (at, start) = (target, target);
                }
                _ => panic!("label type {octet}"),
            }
        }
        name.push(0);
        assert!(name.len() <= 255, "a name of {} octets", name.len());
        self.at = end.unwrap_or(at + 1);
        name
    }
}
