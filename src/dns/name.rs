//! Names of the DNS in uncompressed wire form (RFC 1035 §3.1): labels with their lengths, closed by the root's zero octet.
//!
//! [`Name`] owns its octets and keeps their case; it compares without regard to case and sorts in canonical order
//! (RFC 4034 §6.1). The free functions do the same over borrowed octets, which must be a whole, valid, uncompressed name:
//! that is what the zone store and the question of a parsed message hold. Compressed names do not come here.
//!
//! A length octet is at most 63, so no length octet is an ASCII letter: a wire name can be folded as a whole.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

mod text;

pub use text::{DisplayName, append_text, display, unescape};

/// Most octets of a name in wire form, the root's zero octet included.
pub const MAX_NAME: usize = 255;
/// Most octets of a label, its length octet not counted.
pub const MAX_LABEL: usize = 63;
/// Most labels of a name, the root's not counted.
pub const MAX_LABELS: usize = 127;

/// A domain name.
#[derive(Clone)]
pub struct Name(Box<[u8]>);

/// Why text or octets are no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No octet at all.
    #[error("a name was expected; the root is written '.', the origin '@'")]
    Empty,
    /// Two dots with nothing between them, or a leading dot.
    #[error("empty label: a dot must follow at least one character")]
    EmptyLabel,
    /// A label with this many octets.
    #[error("label of {0} octets: at most 63 are allowed")]
    LabelTooLong(usize),
    /// The whole name is too long.
    #[error("name longer than 255 octets")]
    NameTooLong,
    /// A backslash that is followed by neither a character nor three digits up to 255.
    #[error("bad escape: a backslash takes one character, or three digits from 000 to 255")]
    BadEscape,
    /// A relative name where no origin is known.
    #[error("relative name without an origin: end it with a dot")]
    NoOrigin,
    /// Octets that end before the name does, go on after it, or hold a compression pointer.
    #[error("octets that are no uncompressed name")]
    Malformed,
}

impl Name {
    /// The root.
    #[must_use]
    pub fn root() -> Self {
        Self(Box::new([0]))
    }

    /// Reads the text form (RFC 1035 §5.1): `\.` and `\DDD` escapes, `@` for the origin, relative to `origin` without a last dot.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn from_text(text: &[u8], origin: Option<&Self>) -> Result<Self, NameError> {
        let mut wire = Vec::with_capacity(text.len() + 2);
        append_text(text, origin.map(Self::as_wire), &mut wire)?;
        Ok(Self(wire.into_boxed_slice()))
    }

    /// Takes octets that are exactly one uncompressed name.
    ///
    /// # Errors
    /// [`NameError::Malformed`] for anything else.
    pub fn from_wire(wire: &[u8]) -> Result<Self, NameError> {
        match wire_length(wire) {
            Some(length) if length == wire.len() => Ok(Self(wire.into())),
            _ => Err(NameError::Malformed),
        }
    }

    /// The octets, root label included.
    #[must_use]
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }

    /// The labels from left to right, without the root's.
    #[must_use]
    pub fn labels(&self) -> Labels<'_> {
        labels(&self.0)
    }

    /// True for the root.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.len() == 1
    }

    /// The name without its first label; none for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        parent(&self.0).map(|wire| Self(wire.into()))
    }

    /// True when `self` is `other` or below it.
    #[must_use]
    pub fn is_subdomain_of(&self, other: &Self) -> bool {
        is_subdomain(&self.0, &other.0)
    }

    /// The same name in lower case.
    #[must_use]
    pub fn to_lower(&self) -> Self {
        Self(self.0.to_ascii_lowercase().into_boxed_slice())
    }
}

impl std::str::FromStr for Name {
    type Err = NameError;

    /// Reads the text of an absolute name; the last dot may be left out.
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::from_text(text.as_bytes(), Some(&Self::root()))
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        equal(&self.0, &other.0)
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for octet in &self.0 {
            state.write_u8(octet.to_ascii_lowercase());
        }
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        canonical_order(&self.0, &other.0)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        display(&self.0).fmt(formatter)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        display(&self.0).fmt(formatter)
    }
}

/// The labels of a wire name from left to right, without the root's.
#[derive(Clone, Debug)]
pub struct Labels<'a>(&'a [u8]);

/// The labels of a wire name from left to right, without the root's.
#[must_use]
pub fn labels(wire: &[u8]) -> Labels<'_> {
    Labels(wire)
}

impl<'a> Iterator for Labels<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (&length, rest) = self.0.split_first()?;
        if length == 0 {
            return None;
        }
        let (label, rest) = rest.split_at_checked(usize::from(length))?;
        self.0 = rest;
        Some(label)
    }
}

/// Where the labels of a wire name begin, handed out from right to left.
#[derive(Clone, Debug)]
pub struct LabelStarts {
    starts: [u8; MAX_LABELS],
    count: u8,
    end: u8,
}

impl LabelStarts {
    /// Finds them; the root's label does not count, and need not be there.
    #[must_use]
    pub fn of(wire: &[u8]) -> Self {
        let (mut starts, mut count, mut at) = ([0; MAX_LABELS], 0, 0);
        while let Some(&length) = wire.get(at)
            && length != 0
            && count < MAX_LABELS
        {
            starts[count] = at as u8;
            count += 1;
            at += 1 + usize::from(length);
        }
        Self {
            starts,
            count: count as u8,
            end: at as u8,
        }
    }

    /// Those that lie before `end`, from right to left.
    pub fn up_to(&self, end: usize) -> impl Iterator<Item = usize> {
        let starts = self.starts[..usize::from(self.count)].iter().rev();
        starts.map(|start| usize::from(*start)).skip_while(move |start| *start >= end)
    }

    /// Where the last label ends.
    #[must_use]
    pub fn end(&self) -> usize {
        usize::from(self.end)
    }

    /// How many are left.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.count)
    }

    /// True when none is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The last one that is left.
    pub fn pop(&mut self) -> Option<usize> {
        self.count = self.count.checked_sub(1)?;
        Some(usize::from(self.starts[usize::from(self.count)]))
    }
}

/// How many octets the uncompressed name at the start of `octets` has; none when there is no whole valid name.
#[must_use]
pub fn wire_length(octets: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let length = usize::from(*octets.get(at)?);
        at += 1 + length;
        if length > MAX_LABEL || at > MAX_NAME || at > octets.len() {
            return None;
        }
        if length == 0 {
            return Some(at);
        }
    }
}

/// The wire name without its first label; none for the root.
#[must_use]
pub fn parent(wire: &[u8]) -> Option<&[u8]> {
    match wire.first() {
        None | Some(0) => None,
        Some(&length) => wire.get(1 + usize::from(length)..),
    }
}

/// True when `wire` is `ancestor` or below it, without regard to case.
#[must_use]
pub fn is_subdomain(wire: &[u8], ancestor: &[u8]) -> bool {
    let mut rest = wire;
    while rest.len() > ancestor.len() {
        let Some(up) = parent(rest) else { return false };
        rest = up;
    }
    rest.eq_ignore_ascii_case(ancestor)
}

/// True when the two wire names are equal without regard to case.
#[must_use]
pub fn equal(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let (Some(last), Some(other_last)) = (one.last_chunk(), other.last_chunk()) else {
        return one.eq_ignore_ascii_case(other);
    };
    // eight octets at a time; the last eight may overlap those before them
    let (chunks, _) = one.as_chunks();
    let (other_chunks, _) = other.as_chunks();
    chunks
        .iter()
        .zip(other_chunks)
        .all(|(one, other)| lower_octets(*one) == lower_octets(*other))
        && lower_octets(*last) == lower_octets(*other_last)
}

/// Eight octets with their capital letters made small, all at once.
#[must_use]
pub const fn lower_octets(octets: [u8; 8]) -> [u8; 8] {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH_BITS: u64 = 0x80 * ONES;
    let octets = u64::from_ne_bytes(octets);
    let low_bits = octets & !HIGH_BITS;
    // the high bit of each octet says whether it is at least 'A', and whether it is more than 'Z'
    let at_least_a = low_bits + (0x80 - b'A' as u64) * ONES;
    let more_than_z = low_bits + (0x7f - b'Z' as u64) * ONES;
    let is_capital = at_least_a & !more_than_z & !octets & HIGH_BITS;
    (octets | is_capital >> 2).to_ne_bytes()
}

/// How many labels the wire name has, the root's not counted.
#[must_use]
pub fn count_labels(wire: &[u8]) -> usize {
    labels(wire).count()
}

/// Canonical order (RFC 4034 §6.1): by labels from the right, each as lower-cased octets, a missing label first.
#[must_use]
pub fn canonical_order(one: &[u8], other: &[u8]) -> Ordering {
    let (mut ones, mut others) = (LabelStarts::of(one), LabelStarts::of(other));
    loop {
        match (ones.pop(), others.pop()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(of_one), Some(of_other)) => {
                let order = compare_labels(label_at(one, of_one), label_at(other, of_other));
                if order != Ordering::Equal {
                    return order;
                }
            }
        }
    }
}

/// Copies `wire` in lower case into `buffer` and returns the copy.
#[must_use]
pub fn lower_into<'b>(wire: &[u8], buffer: &'b mut [u8; MAX_NAME]) -> &'b [u8] {
    let length = wire.len().min(MAX_NAME);
    let (wire, lower) = (&wire[..length], &mut buffer[..length]);
    let (Some(last), Some(lower_last)) = (wire.last_chunk(), lower.last_chunk_mut()) else {
        lower.copy_from_slice(wire);
        lower.make_ascii_lowercase();
        return lower;
    };
    *lower_last = lower_octets(*last);
    for (octets, lower) in wire.as_chunks().0.iter().zip(lower.as_chunks_mut().0) {
        *lower = lower_octets(*octets);
    }
    lower
}

fn label_at(wire: &[u8], start: usize) -> &[u8] {
    let length = usize::from(wire[start]);
    wire.get(start + 1..start + 1 + length).unwrap_or_default()
}

fn compare_labels(one: &[u8], other: &[u8]) -> Ordering {
    let lower = |octet: &u8| octet.to_ascii_lowercase();
    one.iter().map(lower).cmp(other.iter().map(lower))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn text_becomes_labels() {
        assert_eq!(name("www.Example.COM.").as_wire(), b"\x03www\x07Example\x03COM\0");
        assert_eq!(name(".").as_wire(), b"\0");
        assert_eq!(name(r"a\.b.c\032d\\.").as_wire(), b"\x03a.b\x04c d\\\0");
        let origin = name("example.");
        assert_eq!(Name::from_text(b"www", Some(&origin)), Ok(name("www.example.")));
        assert_eq!(Name::from_text(b"@", Some(&origin)), Ok(origin.clone()));
        assert_eq!(Name::from_text(br"\@", Some(&origin)).unwrap().as_wire(), b"\x01@\x07example\0");
    }

    #[test]
    fn text_that_is_no_name_is_refused_with_its_cause() {
        let origin = name("example.");
        let refuse = |text: &[u8]| Name::from_text(text, Some(&origin)).unwrap_err();
        assert_eq!(refuse(b""), NameError::Empty);
        assert_eq!(refuse(b"a..b"), NameError::EmptyLabel);
        assert_eq!(refuse(b".a"), NameError::EmptyLabel);
        assert_eq!(refuse(&[b'a'; 64]), NameError::LabelTooLong(64));
        assert_eq!(refuse(&b"abcdefg.".repeat(32)), NameError::NameTooLong);
        for escape in [&br"a\"[..], br"a\25", br"a\256", br"a\2x5"] {
            assert_eq!(refuse(escape), NameError::BadEscape);
        }
        assert_eq!(Name::from_text(b"a", None), Err(NameError::NoOrigin));
    }

    #[test]
    fn octets_that_are_no_name_are_refused() {
        for octets in [&b""[..], b"\x01", b"\x01a", b"\x01a\0\0", b"\xc0\x0c", b"\x40a\0"] {
            assert_eq!(Name::from_wire(octets), Err(NameError::Malformed));
        }
        let longest: Vec<u8> = b"\x01a".iter().copied().cycle().take(254).chain([0]).collect();
        assert_eq!(Name::from_wire(&longest).unwrap().labels().count(), MAX_LABELS);
        let too_long: Vec<u8> = b"\x01a".iter().copied().cycle().take(256).chain([0]).collect();
        assert_eq!(Name::from_wire(&too_long), Err(NameError::Malformed));
    }

    #[test]
    fn the_order_is_that_of_rfc_4034() {
        let sorted = [
            r"example.",
            r"a.example.",
            r"yljkjljk.a.example.",
            r"Z.a.example.",
            r"zABC.a.EXAMPLE.",
            r"z.example.",
            r"\001.z.example.",
            r"*.z.example.",
            r"\200.z.example.",
        ];
        for pair in sorted.windows(2) {
            assert!(name(pair[0]) < name(pair[1]), "{} before {}", pair[0], pair[1]);
        }
    }

    #[test]
    fn a_subdomain_ends_in_whole_labels() {
        assert!(name("a.example.").is_subdomain_of(&name("EXAMPLE.")));
        assert!(name("example.").is_subdomain_of(&name("example.")));
        assert!(name("example.").is_subdomain_of(&Name::root()));
        assert!(!name("badexample.").is_subdomain_of(&name("example.")));
        assert!(!name("example.").is_subdomain_of(&name("a.example.")));
        // the octets of "example." sit inside this one label
        assert!(!Name::from_wire(b"\x09a\x07example\0").unwrap().is_subdomain_of(&name("example.")));
    }

    #[test]
    fn octets_become_small_letters_eight_at_a_time() {
        for octet in 0..=u8::MAX {
            let octets = [octet, b'@', b'A', b'Z', b'[', 0xc1, octet, 0xff];
            assert_eq!(lower_octets(octets), octets.map(|octet| octet.to_ascii_lowercase()));
        }
    }

    #[test]
    fn parents_end_at_the_root() {
        assert_eq!(name("a.b.").parent(), Some(name("b.")));
        assert_eq!(name("b.").parent(), Some(Name::root()));
        assert_eq!(Name::root().parent(), None);
    }

    fn any_name() -> impl Strategy<Value = Name> {
        let label = prop::collection::vec(any::<u8>(), 1..12);
        prop::collection::vec(label, 0..8).prop_map(|labels| {
            let mut wire = Vec::new();
            for label in labels {
                wire.push(u8::try_from(label.len()).unwrap());
                wire.extend(label);
            }
            wire.push(0);
            Name::from_wire(&wire).unwrap()
        })
    }

    proptest! {
        #[test]
        fn names_read_what_they_write(name in any_name()) {
            let read: Name = name.to_string().parse().unwrap();
            prop_assert_eq!(read.as_wire(), name.as_wire());
        }

        #[test]
        fn equality_and_order_agree(one in any_name(), other in any_name()) {
            prop_assert_eq!(one == other, one.cmp(&other) == Ordering::Equal);
            prop_assert_eq!(one.cmp(&other), other.cmp(&one).reverse());
            prop_assert_eq!(&one, &one.to_lower());
            prop_assert_eq!(equal(one.as_wire(), other.as_wire()), one == other);
            prop_assert!(equal(one.as_wire(), &one.as_wire().to_ascii_uppercase()));
            let mut buffer = [7; MAX_NAME];
            prop_assert_eq!(lower_into(one.as_wire(), &mut buffer), one.as_wire().to_ascii_lowercase());
        }

        #[test]
        fn no_octets_panic(octets in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Name::from_wire(&octets);
            let _ = Name::from_text(&octets, None);
            let _ = display(&octets).to_string();
            let _ = canonical_order(&octets, &octets);
        }
    }
}
