//! Hash tables from names to numbers, made once and then only read; the names themselves live with the table's owner.
//!
//! A bucket is one cache line: twelve numbers, each with an octet of its name's hash, so that a lookup touches one line
//! here and, but for one in some hundred strangers, only the one name that is looked for. A full bucket overflows into the
//! next one. [`NameHash`] grows from the root down, a label at a time, so that one pass over a name gives the hashes of
//! all its ancestors. It needs no secret: the names that are put in are the operator's own.

use crate::dns::name;

/// Numbers in a bucket.
const WIDTH: usize = 12;
/// Of these so many are taken on average in a table that has as many names as it was made for.
const FILL: usize = 8;
/// The octet of a bucket that says that something has overflowed from it.
const OVERFLOWED: usize = 15;

/// The hash of a name in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameHash(u64);

/// From the hash of a name to the number of the thing with that name.
#[derive(Clone, Debug, Default)]
pub(super) struct NameTable {
    buckets: Box<[Bucket]>,
}

/// A cache line of a hash table of names.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
pub struct Bucket {
    numbers: [u32; WIDTH],
    /// An octet of each number's hash, zero where there is none; the last of the rest is [`OVERFLOWED`].
    tags: [u8; 16],
}

impl NameHash {
    /// The hash of the root.
    pub const ROOT: Self = Self(0x243f_6a88_85a3_08d3);

    /// The hash of the child with this label, which is lower-cased and has its length octet before it.
    #[must_use]
    pub fn child(self, label: &[u8]) -> Self {
        const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut hash = self.0;
        let (chunks, rest) = label.as_chunks::<8>();
        for chunk in chunks {
            hash = fold(hash ^ u64::from_le_bytes(*chunk), FACTOR);
        }
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            hash = fold(hash ^ u64::from_le_bytes(last), FACTOR);
        }
        // A label never begins with an octet above 63: what this adds no chunk can undo.
        Self(hash ^ 0xa5 << 56)
    }

    /// The hash of a whole lower-cased wire name.
    #[must_use]
    pub fn of(lower_wire_name: &[u8]) -> Self {
        Self::below(Self::ROOT, lower_wire_name)
    }

    /// The hash of the name whose labels, lower-cased wire form, go before a name with the hash `ancestor`; a root label
    /// at their end does not count.
    #[must_use]
    pub fn below(ancestor: Self, labels: &[u8]) -> Self {
        // as most names of a zone are below its apex
        if labels
            .first()
            .is_some_and(|length| usize::from(*length) + 1 == labels.len() && *length != 0)
        {
            return ancestor.child(labels);
        }
        let mut starts = name::LabelStarts::of(labels);
        let mut hash = ancestor;
        let mut end = starts.end();
        while let Some(start) = starts.pop() {
            hash = hash.child(&labels[start..end]);
            end = start;
        }
        hash
    }

    fn tag(self) -> u8 {
        (self.0 as u8).max(1)
    }
}

fn fold(value: u64, factor: u64) -> u64 {
    let product = u128::from(value) * u128::from(factor);
    let (low, high) = (product as u64, (product >> 64) as u64);
    low ^ high
}

impl NameTable {
    /// A table for about `count` names. More of them make it slower; there must be less than one and a half times as many.
    pub(super) fn with_capacity(count: usize) -> Self {
        Self {
            buckets: vec![Bucket::default(); count / FILL + 1].into(),
        }
    }

    /// Adds `number` under `hash`; its name must not be in the table yet.
    pub(super) fn insert(&mut self, hash: NameHash, number: u32) {
        let mut at = self.place(hash);
        loop {
            let bucket = &mut self.buckets[at];
            // no loop that would have to know what the bucket holds: the next ones are fetched meanwhile
            let free = bucket.places_of(0).trailing_zeros() as usize;
            if let Some(place) = bucket.numbers.get_mut(free) {
                *place = number;
                bucket.tags[free] = hash.tag();
                return;
            }
            bucket.tags[OVERFLOWED] = 1;
            at = self.after(at);
        }
    }

    /// Reads the cache line that [`Self::insert`] will read first, and does not wait for it.
    pub(super) fn touch(&self, hash: NameHash) {
        std::hint::black_box(self.bucket(hash).map(|bucket| bucket.tags[0]));
    }

    /// The number under `hash` for which `is_it` says yes.
    pub(super) fn find(&self, hash: NameHash, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        if self.buckets.is_empty() {
            return None;
        }
        let mut at = self.place(hash);
        for _ in 0..self.buckets.len() {
            let bucket = &self.buckets[at];
            let mut matches = bucket.matches(hash);
            while matches != 0 {
                let number = bucket.numbers[matches.trailing_zeros() as usize];
                if is_it(number) {
                    return Some(number);
                }
                matches &= matches - 1;
            }
            if bucket.tags[OVERFLOWED] == 0 {
                return None;
            }
            at = self.after(at);
        }
        None
    }

    /// The cache line that a lookup of `hash` will read first; none in an empty table.
    pub(super) fn bucket(&self, hash: NameHash) -> Option<&Bucket> {
        self.buckets.get(self.place(hash))
    }

    /// Octets of memory.
    pub(super) fn octets(&self) -> usize {
        size_of_val(&*self.buckets)
    }

    fn place(&self, hash: NameHash) -> usize {
        ((u128::from(hash.0) * self.buckets.len() as u128) >> 64) as usize
    }

    fn after(&self, at: usize) -> usize {
        if at + 1 == self.buckets.len() { 0 } else { at + 1 }
    }
}

impl Bucket {
    /// The first number that may belong to `hash`, if any.
    pub(super) fn candidate(&self, hash: NameHash) -> Option<u32> {
        let matches = self.matches(hash);
        self.numbers.get(matches.trailing_zeros() as usize).copied()
    }

    /// A bit for each number whose name may have this hash.
    fn matches(&self, hash: NameHash) -> u16 {
        self.places_of(hash.tag())
    }

    /// A bit for each place with this octet of a hash.
    fn places_of(&self, tag: u8) -> u16 {
        let mut places = 0;
        for (position, other) in self.tags.iter().enumerate() {
            places |= u16::from(*other == tag) << position;
        }
        places & ((1 << WIDTH) - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_a_cache_line() {
        assert_eq!((size_of::<Bucket>(), align_of::<Bucket>()), (64, 64));
    }

    #[test]
    fn every_name_is_found_and_no_other() {
        for made_for in [0, 3500, 5000, 20_000] {
            let names: Vec<Vec<u8>> = (0..5000_u32).map(|number| format!("\x08host{number:04}\0").into_bytes()).collect();
            let mut table = NameTable::with_capacity(made_for.max(3500));
            for (number, name) in (0..).zip(&names) {
                table.insert(NameHash::of(name), number);
            }
            for (number, name) in (0..).zip(&names) {
                let found = table.find(NameHash::of(name), |candidate| &names[candidate as usize] == name);
                assert_eq!(found, Some(number));
            }
            let absent = b"\x06absent\0";
            assert_eq!(
                table.find(NameHash::of(absent), |candidate| names[candidate as usize] == absent),
                None
            );
        }
        assert_eq!(NameTable::default().find(NameHash::ROOT, |_| true), None);
        assert!(NameTable::default().bucket(NameHash::ROOT).is_none());
    }

    #[test]
    fn few_names_share_a_bucket_and_a_tag() {
        let names = 100_000_u32;
        let mut table = NameTable::with_capacity(names as usize);
        let hash = |number: u32| NameHash::of(format!("\x07d{number:06}\x07example\0").as_bytes());
        (0..names).for_each(|number| table.insert(hash(number), number));
        let overflowed = table.buckets.iter().filter(|bucket| bucket.tags[OVERFLOWED] != 0).count();
        assert!(overflowed * 12 < table.buckets.len(), "{overflowed} of {}", table.buckets.len());
        let first = (0..names).filter(|number| table.bucket(hash(*number)).unwrap().candidate(hash(*number)) == Some(*number));
        assert!(first.count() > 90_000);
    }

    #[test]
    fn a_hash_grows_by_labels() {
        let whole = NameHash::of(b"\x01a\x02bc\x07example\0");
        assert_eq!(whole, NameHash::below(NameHash::of(b"\x07example\0"), b"\x01a\x02bc"));
        assert_eq!(whole, NameHash::below(NameHash::of(b"\x02bc\x07example\0"), b"\x01a\0"));
        assert_eq!(NameHash::of(b"\0"), NameHash::ROOT);
        assert_ne!(NameHash::of(b"\x01a\x01b\0"), NameHash::of(b"\x03a\x01b\0"));
    }
}
