//! Neighbor Discovery as the advertisement (claims 1 to 9): unsolicited Neighbor Advertisements, Override set.

pub mod config;
pub mod wire;

pub use config::Config;
