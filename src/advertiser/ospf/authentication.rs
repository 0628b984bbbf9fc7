//! The sequence numbers of the authentication trailer (RFC 7166 §4.1): ours, and the others' against replay.
//!
//! A number has to grow from packet to packet and from start to start. FRR 8.4 compares its two words one by one and wants the
//! lower one to grow in any case, for as long as it knows us: the dead interval. There are only 2^32 of these, so once in that
//! many packets it cannot be had; the scheme makes it once in four years.

use super::wire::PacketType;

/// A start begins with the time in ticks of 1/32 s, of which 2^32 are 4.2 years. A process that runs uses up fewer numbers than it
/// has ticks: a Hello takes four. Only while it reads a large database, in its first seconds, it uses up more.
const TICKS_PER_SECOND: u64 = 32;
/// 2026-01-01, in milliseconds since 1970: the lower word begins anew in 2030.
const EPOCH: u64 = 1_767_225_600_000;

/// Numbers our packets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counter(u64);

impl Counter {
    /// Begins behind all numbers of earlier starts; `boot` grows from start to start and is not behind the wall clock's milliseconds.
    pub(super) const fn starting(boot: u64) -> Self {
        Self(boot.saturating_sub(EPOCH).saturating_mul(TICKS_PER_SECOND) / 1_000)
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

    /// Forgets the numbers of the packet types above this one, which come later in an adjacency.
    pub(super) fn forget_above(&mut self, kind: PacketType) {
        self.0[kind as usize..].fill(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What FRR 8.4 takes after `last`: the words one by one.
    fn frr_takes(number: u64, last: u64) -> bool {
        number >> 32 >= last >> 32 && number as u32 > last as u32
    }

    #[test]
    fn a_later_start_has_higher_numbers_in_both_words() {
        let boot = 1_790_000_000_000_u64;
        for (lived, used) in [(5_000, 100), (60_000, 60 * 4 + 1_500), (86_400_000, 86_400 * 8)] {
            let mut first = Counter::starting(boot);
            let last = (0..used).map(|_| first.next(0)).last().unwrap();
            let second = Counter::starting(boot + lived).next(0);
            assert!(frr_takes(second, last), "{second:#x} {last:#x}");
        }
    }

    #[test]
    fn the_lower_word_begins_anew_once_in_four_years_and_the_number_grows_all_the_same() {
        let day = |day: u64| Counter::starting(EPOCH + day * 86_400_000).next(0);
        let refused: Vec<u64> = (1..365 * 8).filter(|next| !frr_takes(day(*next), day(*next - 1))).collect();
        assert_eq!(refused, [1_554], "on 2030-04-03");
        assert!((1..365 * 8).all(|next| day(next) > day(next - 1)));
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
        replay.forget_above(PacketType::Hello);
        assert!(replay.admit(PacketType::LinkStateUpdate, 2) && !replay.admit(PacketType::Hello, 6));
    }
}
