//! Reading numbers off octets without ever reading past their end, and writing them.

use super::Malformed;

/// What is left of some octets.
pub(super) struct Reader<'a> {
    octets: &'a [u8],
    length: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(octets: &'a [u8]) -> Self {
        Self {
            octets,
            length: octets.len(),
        }
    }

    pub(super) fn left(&self) -> usize {
        self.octets.len()
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.octets
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.octets.split_at_checked(count).ok_or(Malformed::Short(self.length))?;
        self.octets = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.octets.split_first_chunk().ok_or(Malformed::Short(self.length))?;
        self.octets = rest;
        Ok(*taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Malformed> {
        self.array().map(|[octet]| octet)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u24(&mut self) -> Result<u32, Malformed> {
        self.array().map(|[high, middle, low]| u32::from_be_bytes([0, high, middle, low]))
    }

    pub(super) fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }
}

/// Octets that grow.
#[derive(Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn bytes(&mut self, octets: &[u8]) {
        self.0.extend_from_slice(octets);
    }

    pub(super) fn u8(&mut self, number: u8) {
        self.0.push(number);
    }

    pub(super) fn u16(&mut self, number: u16) {
        self.bytes(&number.to_be_bytes());
    }

    pub(super) fn u24(&mut self, number: u32) {
        self.bytes(&number.to_be_bytes()[1..]);
    }

    pub(super) fn u32(&mut self, number: u32) {
        self.bytes(&number.to_be_bytes());
    }
}
