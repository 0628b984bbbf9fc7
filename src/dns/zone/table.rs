//! An open-addressing hash table from lower-cased wire names to numbers; the names themselves live with its owner.
//!
//! Linear probing, at most four fifths full, four octets a slot, never shrinking: it is filled once and then only read.

/// From the hash of a name to the number of the thing with that name.
#[derive(Clone, Debug, Default)]
pub(super) struct NameTable {
    /// The number plus one; zero is a free slot. The length is a power of two.
    slots: Vec<u32>,
}

impl NameTable {
    /// A table for at most `count` names.
    pub(super) fn with_capacity(count: usize) -> Self {
        let slots = (count + count / 4 + 1).next_power_of_two();
        Self { slots: vec![0; slots] }
    }

    /// Adds `number` under `hash`; its name must not be in the table yet.
    pub(super) fn insert(&mut self, hash: u64, number: u32) {
        let mask = self.slots.len() - 1;
        let mut at = start(hash, mask);
        while self.slots[at] != 0 {
            at = (at + 1) & mask;
        }
        self.slots[at] = number + 1;
    }

    /// The number under `hash` for which `is_it` says yes.
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = start(hash, mask);
        loop {
            let number = self.slots[at].checked_sub(1)?;
            if is_it(number) {
                return Some(number);
            }
            at = (at + 1) & mask;
        }
    }

    /// Octets of memory.
    pub(super) fn octets(&self) -> usize {
        self.slots.len() * size_of::<u32>()
    }
}

fn start(hash: u64, mask: usize) -> usize {
    usize::try_from(hash & mask as u64).unwrap_or(0)
}

/// The hash of a lower-cased wire name: eight octets at a time, multiplied and folded.
pub(super) fn hash_name(lower: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut hash = lower.len() as u64;
    let (chunks, rest) = lower.as_chunks::<8>();
    for chunk in chunks {
        hash = fold(hash ^ u64::from_le_bytes(*chunk), FACTOR);
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    fold(hash ^ u64::from_le_bytes(last), FACTOR)
}

fn fold(value: u64, factor: u64) -> u64 {
    let product = u128::from(value) * u128::from(factor);
    let (low, high) = (product as u64, (product >> 64) as u64);
    low ^ high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_and_no_other() {
        let names: Vec<Vec<u8>> = (0..5000_u32).map(|number| format!("\x05host{number}").into_bytes()).collect();
        let mut table = NameTable::with_capacity(names.len());
        for (number, name) in (0..).zip(&names) {
            table.insert(hash_name(name), number);
        }
        for (number, name) in (0..).zip(&names) {
            assert_eq!(
                table.find(hash_name(name), |candidate| &names[candidate as usize] == name),
                Some(number)
            );
        }
        assert_eq!(
            table.find(hash_name(b"absent"), |candidate| names[candidate as usize] == b"absent"),
            None
        );
        assert_eq!(NameTable::default().find(0, |_| true), None);
    }
}
