//! The peer message (claim 17's separate protocol): how servers and router sides know each other.

pub mod config;

pub use config::Config;
