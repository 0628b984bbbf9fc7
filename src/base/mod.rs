//! The words that every floor uses: time, addresses, the [`machine::Machine`] trait, randomness, checksums.
//!
//! Floor 0. Nothing but `std` and serde is imported here, and nothing here touches the outside world.

pub mod address;
pub mod checksum;
pub mod cost;
pub mod duration;
pub mod forwarding;
pub mod machine;
pub mod peer;
pub mod prefix;
pub mod problem;
pub mod random;
pub mod tally;
pub mod time;
