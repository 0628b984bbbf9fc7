//! Whom a worker has lately reached: one address of somebody else whose answer the kernel took.
//!
//! What answers cannot leave for may be forged; whoever was answered before and cannot be answered now is evidence. Written by one worker
//! about once a second, read by the monitor, without a lock: a reader that meets a half-written address sees none.

use std::net::Ipv6Addr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Not zero, so that what was never written is not valid.
const TAG: u64 = 0x6865_7261_6c64_6e73;

/// A place for one address.
#[derive(Debug, Default)]
pub struct Reached {
    high: AtomicU64,
    low: AtomicU64,
    check: AtomicU64,
}

impl Reached {
    /// An empty place.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            high: AtomicU64::new(0),
            low: AtomicU64::new(0),
            check: AtomicU64::new(0),
        }
    }

    /// Puts `address` in the place of what was there.
    pub fn set(&self, address: Ipv6Addr) {
        let bits = address.to_bits();
        let (high, low) = ((bits >> 64) as u64, bits as u64);
        self.high.store(high, Relaxed);
        self.low.store(low, Relaxed);
        self.check.store(high ^ low ^ TAG, Relaxed);
    }

    /// What is there.
    #[must_use]
    pub fn get(&self) -> Option<Ipv6Addr> {
        let (high, low) = (self.high.load(Relaxed), self.low.load(Relaxed));
        let is_whole = self.check.load(Relaxed) == high ^ low ^ TAG;
        is_whole.then(|| Ipv6Addr::from_bits(u128::from(high) << 64 | u128::from(low)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_address_is_there_and_none_at_first() {
        let reached = Reached::new();
        assert_eq!(reached.get(), None);
        for address in ["2001:db8::1", "::", "ffff:ffff::1"] {
            let address = address.parse().unwrap();
            reached.set(address);
            assert_eq!(reached.get(), Some(address));
        }
    }

    #[test]
    fn a_half_written_address_is_none() {
        let reached = Reached::new();
        reached.set("2001:db8::1".parse().unwrap());
        reached.low.store(2, Relaxed);
        assert_eq!(reached.get(), None);
    }
}
