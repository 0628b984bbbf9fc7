//! Octets of a fuzzer as choices: whoever changes an octet changes one choice, and what comes after it stays as it was.

/// The choices that are left.
#[derive(Clone, Debug)]
pub struct Choices<'o>(&'o [u8]);

impl<'o> Choices<'o> {
    /// All choices that these octets make; after them each is 0.
    pub fn new(octets: &'o [u8]) -> Self {
        Self(octets)
    }

    /// A number up to 255.
    pub fn octet(&mut self) -> u8 {
        let (octet, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *octet
    }

    /// A number below `bound`, which is from 1 to 65,536.
    pub fn below(&mut self, bound: usize) -> usize {
        let number = usize::from(self.octet());
        if bound <= 256 {
            return number % bound;
        }
        (number << 8 | usize::from(self.octet())) % bound
    }

    /// One of the items, of which there is at least one.
    pub fn pick<'i, Item>(&mut self, items: &'i [Item]) -> &'i Item {
        &items[self.below(items.len())]
    }
}
