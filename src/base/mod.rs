//! The words that every floor uses: time, addresses, the [`machine::Machine`] trait, randomness, checksums.
//!
//! Floor 0. Nothing but `std` is imported here, and nothing here touches the outside world.

pub mod address;
pub mod checksum;
pub mod machine;
pub mod peer;
pub mod random;
pub mod time;
