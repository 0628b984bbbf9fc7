//! Octets of an answer: a buffer with a limit, whole RRsets or nothing, compressed names (RFC 1035 §4.1.4, RFC 3597 §4).
//!
//! Knows no zones and decides nothing. A write that does not fit leaves the message as it was.

use super::message::HEADER;
use crate::dns::name;
use crate::dns::types::{Class, RecordType};

/// Names a compression pointer can be made to; the rest is written out.
const MAX_KNOWN: usize = 64;
/// Of a name with more labels than both together only so many ends are remembered, the longest and the shortest: other names
/// of a message are either close to it or share its last labels.
const LONGEST_ENDS: usize = 4;
const SHORTEST_ENDS: usize = 12;
/// Compression pointers have 14 bits.
const MAX_POINTER: usize = 0x3fff;

/// It does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

/// The sections with records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Answer = 6,
    Authority = 8,
    Additional = 10,
}

/// A message that is being written.
pub(super) struct Writer<'b> {
    buffer: &'b mut [u8],
    at: usize,
    /// Octets at the end of the buffer that are kept for the OPT record.
    reserved: usize,
    known: [Known; MAX_KNOWN],
    known_count: usize,
}

/// A name that stands in the message.
#[derive(Clone, Copy, Default)]
struct Known {
    offset: u16,
    /// Octets of the whole name when it is not compressed.
    octets: u16,
}

/// A place in the message to go back to.
#[derive(Clone, Copy)]
struct Mark {
    at: usize,
    known_count: usize,
}

/// What the records of one RRset have in common.
#[derive(Clone, Copy)]
pub(super) struct RecordHead<'n> {
    pub(super) owner: &'n [u8],
    pub(super) record_type: RecordType,
    pub(super) ttl: u32,
}

impl<'b> Writer<'b> {
    /// A message with an empty header. The buffer has room for a header, a question and what is reserved.
    pub(super) fn new(buffer: &'b mut [u8], reserved: usize) -> Self {
        buffer[..HEADER].fill(0);
        Self {
            buffer,
            at: HEADER,
            reserved,
            known: [Known::default(); MAX_KNOWN],
            known_count: 0,
        }
    }

    pub(super) fn set_u16(&mut self, at: usize, value: u16) {
        self.buffer[at..at + 2].copy_from_slice(&value.to_be_bytes());
    }

    /// How many octets are written.
    pub(super) const fn len(&self) -> usize {
        self.at
    }

    /// Lets the OPT record use what was kept for it.
    pub(super) fn release_reserved(&mut self) {
        self.reserved = 0;
    }

    /// Repeats the question as the client wrote it. `question` is a valid uncompressed name, type and class.
    pub(super) fn question(&mut self, question: &[u8]) -> Result<(), Full> {
        self.octets(question)?;
        self.set_u16(4, 1);
        self.remember(&question[..question.len() - 4], HEADER, usize::MAX);
        Ok(())
    }

    /// Writes all records of an RRset into a section, or none of them.
    pub(super) fn records<'r>(
        &mut self,
        section: Section,
        heads: impl IntoIterator<Item = (RecordHead<'r>, impl Iterator<Item = &'r [u8]>)>,
    ) -> Result<(), Full> {
        let mark = self.mark();
        let mut count = 0;
        let outcome = heads.into_iter().try_for_each(|(head, mut records)| {
            records.try_for_each(|rdata| {
                count += 1;
                self.record(head, rdata)
            })
        });
        match outcome {
            Ok(()) => self.add_to_count(section, count),
            Err(Full) => self.go_back(mark),
        }
        outcome
    }

    /// Writes the OPT record: the whole record is handed in.
    pub(super) fn opt(&mut self, record: &[&[u8]]) -> Result<(), Full> {
        let mark = self.mark();
        let outcome = record.iter().try_for_each(|part| self.octets(part));
        match outcome {
            Ok(()) => self.add_to_count(Section::Additional, 1),
            Err(Full) => self.go_back(mark),
        }
        outcome
    }

    fn record(&mut self, head: RecordHead<'_>, rdata: &[u8]) -> Result<(), Full> {
        self.class_record(head, Class::IN, |writer| writer.rdata(head.record_type, rdata))
    }

    /// Writes one record of another class than IN, outside of RRsets.
    pub(super) fn single(&mut self, head: RecordHead<'_>, class: Class, rdata: &[&[u8]]) -> Result<(), Full> {
        let mark = self.mark();
        let outcome = self.class_record(head, class, |writer| rdata.iter().try_for_each(|part| writer.octets(part)));
        match outcome {
            Ok(()) => self.add_to_count(Section::Answer, 1),
            Err(Full) => self.go_back(mark),
        }
        outcome
    }

    fn class_record(
        &mut self,
        head: RecordHead<'_>,
        class: Class,
        write_rdata: impl FnOnce(&mut Self) -> Result<(), Full>,
    ) -> Result<(), Full> {
        self.name(head.owner)?;
        let mut fixed = [0; 10];
        fixed[..2].copy_from_slice(&head.record_type.0.to_be_bytes());
        fixed[2..4].copy_from_slice(&class.0.to_be_bytes());
        fixed[4..8].copy_from_slice(&head.ttl.to_be_bytes());
        self.octets(&fixed)?;
        let start = self.at;
        write_rdata(self)?;
        self.set_u16(start - 2, (self.at - start) as u16);
        Ok(())
    }

    /// Writes rdata; names in it are compressed only for the types of RFC 1035, which every client can undo.
    fn rdata(&mut self, record_type: RecordType, rdata: &[u8]) -> Result<(), Full> {
        let (before, names) = match record_type {
            RecordType::NS | RecordType::CNAME | RecordType::PTR => (0, 1),
            RecordType::MD | RecordType::MF | RecordType::MB | RecordType::MG | RecordType::MR => (0, 1),
            RecordType::SOA | RecordType::MINFO => (0, 2),
            RecordType::MX => (2, 1),
            _ => return self.octets(rdata),
        };
        let (before, mut rest) = rdata.split_at_checked(before).unwrap_or((rdata, &[]));
        self.octets(before)?;
        for _ in 0..names {
            let length = name::wire_length(rest).unwrap_or(0);
            let (name, after) = rest.split_at(length);
            self.name(name)?;
            rest = after;
        }
        self.octets(rest)
    }

    /// Writes a name: its labels up to the longest end that the message already has, and a pointer to that.
    fn name(&mut self, wire: &[u8]) -> Result<(), Full> {
        let start = self.at;
        let mut rest = wire;
        while rest.len() > 1 {
            if let Some(offset) = self.find(rest) {
                let written = wire.len() - rest.len();
                self.octets(&wire[..written])?;
                self.octets(&(0xc000 | offset).to_be_bytes())?;
                self.remember(wire, start, written);
                return Ok(());
            }
            rest = name::parent(rest).unwrap_or(&[]);
        }
        self.octets(wire)?;
        self.remember(wire, start, usize::MAX);
        Ok(())
    }

    fn find(&self, wire: &[u8]) -> Option<u16> {
        let known = self.known[..self.known_count].iter();
        let mut same_length = known.filter(|known| usize::from(known.octets) == wire.len());
        same_length.find(|known| self.is_at(wire, known.offset)).map(|known| known.offset)
    }

    /// True if the message has this name at `offset`. All pointers in it are ours and lead backwards.
    fn is_at(&self, wire: &[u8], offset: u16) -> bool {
        let mut at = usize::from(offset);
        let mut rest = wire;
        while let [length, ..] = rest {
            while self.buffer[at] >= 0xc0 {
                at = usize::from(u16::from_be_bytes([self.buffer[at] & 0x3f, self.buffer[at + 1]]));
            }
            let label = 1 + usize::from(*length);
            // A label in the message may be shorter than ours and the last thing in it.
            if !self.buffer[..self.at]
                .get(at..at + label)
                .is_some_and(|known| known.eq_ignore_ascii_case(&rest[..label]))
            {
                return false;
            }
            at += label;
            rest = &rest[label..];
        }
        true
    }

    /// Remembers the name at `start` and its ends that begin in its first `written` octets, the root not included.
    fn remember(&mut self, wire: &[u8], start: usize, written: usize) {
        let mut rest = wire;
        let left_out = LONGEST_ENDS..name::count_labels(wire).saturating_sub(SHORTEST_ENDS);
        for position in 0.. {
            let before = wire.len() - rest.len();
            let offset = start + before;
            if rest.len() <= 1 || before >= written || offset > MAX_POINTER || self.known_count == MAX_KNOWN {
                return;
            }
            if !left_out.contains(&position) {
                self.known[self.known_count] = Known {
                    offset: offset as u16,
                    octets: rest.len() as u16,
                };
                self.known_count += 1;
            }
            rest = name::parent(rest).unwrap_or(&[]);
        }
    }

    fn octets(&mut self, octets: &[u8]) -> Result<(), Full> {
        let end = self.at + octets.len();
        if end + self.reserved > self.buffer.len() {
            return Err(Full);
        }
        self.buffer[self.at..end].copy_from_slice(octets);
        self.at = end;
        Ok(())
    }

    fn add_to_count(&mut self, section: Section, count: u16) {
        let at = section as usize;
        let before = u16::from_be_bytes([self.buffer[at], self.buffer[at + 1]]);
        self.set_u16(at, before + count);
    }

    const fn mark(&self) -> Mark {
        Mark {
            at: self.at,
            known_count: self.known_count,
        }
    }

    fn go_back(&mut self, mark: Mark) {
        self.at = mark.at;
        self.known_count = mark.known_count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(text: &str) -> Vec<u8> {
        text.parse::<name::Name>().unwrap().as_wire().to_vec()
    }

    fn written(names: &[&str]) -> Vec<u8> {
        let mut buffer = [0; 600];
        let mut writer = Writer::new(&mut buffer, 0);
        for name in names {
            writer.name(&wire(name)).unwrap();
        }
        let end = writer.len();
        buffer[HEADER..end].to_vec()
    }

    #[test]
    fn names_share_their_ends() {
        assert_eq!(written(&["a.example.", "a.example."]), b"\x01a\x07example\0\xc0\x0c");
        assert_eq!(written(&["a.example.", "b.a.example."]), b"\x01a\x07example\0\x01b\xc0\x0c");
        assert_eq!(written(&["a.example.", "b.example."]), b"\x01a\x07example\0\x01b\xc0\x0e");
        assert_eq!(
            written(&["a.example.", "b.example.", "c.b.example."]),
            b"\x01a\x07example\0\x01b\xc0\x0e\x01c\xc0\x17"
        );
        let long = "a.".repeat(120) + "example.";
        let after = written(&[&long, "b.example.", &long]).split_off(120 * 2 + 9);
        assert_eq!(
            after, b"\x01b\xc0\xfc\xc0\x0c",
            "of a name of many labels the end is shared, and the whole"
        );
        assert_eq!(written(&[".", "."]), b"\0\0", "the root is shorter than a pointer");
    }

    #[test]
    fn case_does_not_keep_names_apart() {
        assert_eq!(written(&["A.Example.", "a.eXAMPLE."]), b"\x01A\x07Example\0\xc0\x0c");
    }

    #[test]
    fn names_of_one_length_are_told_apart_to_the_last_octet() {
        assert_eq!(written(&["a.bc.", "abcd."]), b"\x01a\x02bc\0\x04abcd\0");
        assert_eq!(written(&["bc.", "a.bc.", "abcd."]), b"\x02bc\0\x01a\xc0\x0c\x04abcd\0");
        let mut buffer = [0; HEADER + 14];
        let mut writer = Writer::new(&mut buffer, 0);
        writer.name(&wire("bc.")).unwrap();
        writer.name(&wire("a.bc.")).unwrap();
        writer.name(&wire("abcd.")).unwrap();
    }

    #[test]
    fn what_does_not_fit_leaves_no_trace() {
        let mut buffer = [0; HEADER + 20];
        let mut writer = Writer::new(&mut buffer, 0);
        let head = RecordHead {
            owner: &wire("a."),
            record_type: RecordType::A,
            ttl: 1,
        };
        let records = || [&[1; 4][..], &[2; 4]].into_iter();
        assert_eq!(writer.records(Section::Answer, [(head, records())]), Err(Full));
        assert_eq!(writer.len(), HEADER);
        assert_eq!(writer.records(Section::Answer, [(head, records().take(1))]), Ok(()));
        assert_eq!(writer.len(), HEADER + 17);
        assert_eq!(buffer[6..8], [0, 1]);
    }

    #[test]
    fn only_rdata_of_rfc_1035_is_compressed() {
        let cases = [
            (RecordType::MX, b"\0\x0a\x01m\x01a\0".as_slice(), b"\0\x0a\x01m\xc0\x0c".as_slice()),
            (RecordType::NS, b"\x01a\0", b"\xc0\x0c"),
            (RecordType::SRV, b"\0\0\0\0\0\x01\x01m\x01a\0", b"\0\0\0\0\0\x01\x01m\x01a\0"),
            (RecordType::DNAME, b"\x01a\0", b"\x01a\0"),
        ];
        for (record_type, rdata, expected) in cases {
            let mut buffer = [0; 100];
            let mut writer = Writer::new(&mut buffer, 0);
            let head = RecordHead {
                owner: &wire("a."),
                record_type,
                ttl: 0,
            };
            writer.records(Section::Answer, [(head, [rdata].into_iter())]).unwrap();
            let end = writer.len();
            assert_eq!(&buffer[HEADER + 13..end], expected, "{record_type}");
            assert_eq!(buffer[HEADER + 12], expected.len() as u8);
        }
    }

    #[test]
    fn pointers_reach_only_as_far_as_14_bits() {
        let mut buffer = vec![0; 0x5000];
        let mut writer = Writer::new(&mut buffer, 0);
        writer.octets(&vec![0; 0x4000]).unwrap();
        let start = writer.len();
        writer.name(&wire("a.b.")).unwrap();
        writer.name(&wire("a.b.")).unwrap();
        assert_eq!(writer.len() - start, 10);
    }
}
