//! What is done with the octets of a fuzzer, and what must hold then.
//!
//! Each body takes any octets, and panics when a promise is broken. libFuzzer runs them from `fuzz/targets`, and
//! `tests/it/fuzz.rs` for a bounded number of rounds with every test run, on stable Rust and without instrumentation.

#![allow(clippy::unwrap_used, reason = "a body that panics has found something")]
#![allow(unreachable_pub, reason = "the root of a crate in one place, a private module in the other")]

pub mod answer;
pub mod choices;
pub mod compression;
pub mod ospf;
pub mod query;
pub mod scanner;
pub mod wire;
