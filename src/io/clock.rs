//! The clocks and the kernel's random source; no other file of the program reads them.
//!
//! Machines live on CLOCK_BOOTTIME: it never runs backwards and it counts the time a host was suspended, so that a
//! server that slept cannot believe that it is still the holder.

use rustix::rand::{GetRandomFlags, getrandom};
use rustix::time::{ClockId, clock_gettime};

use crate::base::time::Timestamp;

/// Now, on CLOCK_BOOTTIME.
#[must_use]
pub fn now() -> Timestamp {
    let time = clock_gettime(ClockId::Boottime);
    Timestamp::from_micros(time.tv_sec.unsigned_abs() * 1_000_000 + time.tv_nsec.unsigned_abs() / 1_000)
}

/// Now, as people write it.
#[must_use]
pub fn wall_clock() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// Now, in seconds since 1970 modulo 2^32: the form in which DNS writes times.
#[must_use]
pub fn wall_clock_seconds() -> u32 {
    clock_gettime(ClockId::Realtime).tv_sec as u32
}

/// When `time` was, or will be, as people write it, to the millisecond; correct as far as the wall clock is correct now.
#[must_use]
pub fn wall_clock_of(time: Timestamp) -> jiff::Timestamp {
    let (wall, now) = (wall_clock(), now());
    let moved = if time > now {
        wall.saturating_add(time.since(now))
    } else {
        wall.saturating_sub(now.since(time))
    };
    let moved = moved.unwrap_or(wall);
    moved.round(jiff::Unit::Millisecond).unwrap_or(moved)
}

/// A random key from the kernel: two [seeds](random_seed).
///
/// # Panics
/// As [`random_seed`].
#[must_use]
pub fn random_key() -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&random_seed().to_ne_bytes());
    key[8..].copy_from_slice(&random_seed().to_ne_bytes());
    key
}

/// 64 bits from the kernel, to seed a [`Random`](crate::base::random::Random) with.
///
/// # Panics
/// If the kernel has no `getrandom`: none that can run this program.
#[must_use]
pub fn random_seed() -> u64 {
    let mut seed = [0; 8];
    let mut filled = 0;
    while filled < seed.len() {
        match getrandom(&mut seed[filled..], GetRandomFlags::empty()) {
            Ok(count) => filled += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("the kernel gives no random bytes: {error}"),
        }
    }
    u64::from_ne_bytes(seed)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_clock_never_runs_backwards() {
        let mut last = now();
        assert!(last > Timestamp::ZERO);
        for _ in 0..1_000 {
            let next = now();
            assert!(next >= last);
            last = next;
        }
    }

    #[test]
    fn points_in_time_keep_their_distance_on_the_wall_clock() {
        let (earlier, later) = (now() - Duration::from_secs(1), now() + Duration::from_secs(59));
        let apart = wall_clock_of(later).duration_since(wall_clock_of(earlier)).as_secs_f64();
        assert!((59.0..61.0).contains(&apart), "{apart}");
    }

    #[test]
    fn two_seeds_differ() {
        assert_ne!(random_seed(), random_seed());
        let key = random_key();
        assert_ne!(key[..8], key[8..]);
    }

    #[test]
    fn the_seconds_are_those_of_the_wall_clock() {
        let (before, seconds, after) = (wall_clock(), wall_clock_seconds(), wall_clock());
        let range = before.as_second() as u32..=after.as_second() as u32;
        assert!(range.contains(&seconds), "{seconds} in {range:?}");
    }
}
