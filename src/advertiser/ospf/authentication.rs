//! The sequence numbers of the authentication trailer (RFC 7166 §4.1): ours, and the others' against replay.
//!
//! A number has to grow from packet to packet and from start to start. FRR 8.4 compares its two words one by one and wants the
//! lower one to grow in any case, so a start begins with a lower word that has grown since the last one too.

use super::wire::PacketType;

/// Bits of the boot counter, in milliseconds, that go into the lower word: room is left above them to count packets.
const LOW_BITS: u32 = 31;

/// Numbers our packets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counter(u64);

impl Counter {
    /// Begins behind all numbers of earlier starts.
    pub(super) const fn starting(boot: u64) -> Self {
        let low = boot & ((1 << LOW_BITS) - 1);
        Self((boot >> LOW_BITS) << 32 | low)
    }

    /// The next number; the `reserved` ones after it are given to nobody.
    pub(super) const fn next(&mut self, reserved: u64) -> u64 {
        let number = self.0.saturating_add(1);
        self.0 = number.saturating_add(reserved);
        number
    }
}

/// The highest number of each packet type from one neighbour.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Replay([Option<u64>; 5]);

impl Replay {
    /// True if the number is new; it is then the highest.
    pub(super) fn admit(&mut self, kind: PacketType, sequence: u64) -> bool {
        let highest = &mut self.0[kind as usize - 1];
        let is_new = highest.is_none_or(|highest| sequence > highest);
        if is_new {
            *highest = Some(sequence);
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_start_has_higher_numbers_in_both_words() {
        let boot = 1_790_000_000_000_u64;
        let mut first = Counter::starting(boot);
        let last = (0..1_000).map(|_| first.next(3)).last().unwrap();
        let second = Counter::starting(boot + 5_000).next(0);
        assert!(second > last && second as u32 > last as u32, "{second:#x} {last:#x}");
        let wrapped = Counter::starting((boot >> LOW_BITS << LOW_BITS) + (1 << LOW_BITS)).next(0);
        assert!(wrapped > second);
    }

    #[test]
    fn reserved_numbers_are_given_to_nobody() {
        let mut counter = Counter::starting(0);
        assert_eq!([counter.next(3), counter.next(0), counter.next(0)], [1, 5, 6]);
    }

    #[test]
    fn each_type_has_its_own_window() {
        let mut replay = Replay::default();
        assert!(replay.admit(PacketType::Hello, 5));
        assert!(!replay.admit(PacketType::Hello, 5) && !replay.admit(PacketType::Hello, 4));
        assert!(replay.admit(PacketType::LinkStateUpdate, 3) && replay.admit(PacketType::Hello, 6));
    }
}
