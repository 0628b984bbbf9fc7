//! OSPFv3 as the advertisement (claims 10 to 14): the server is its routers' neighbour, and the route to the service address
//! is an LSA of its own, with a cost that suits its situation.
//!
//! A host speaker of RFC 5340: priority 0, never a way through, one instance for each interface.

mod authentication;
mod complaints;
pub mod config;
mod contents;
mod database;
mod exchange;
mod flooding;
mod hello;
mod interface;
pub mod machine;
mod neighbor;
mod origination;
mod sender;
pub mod wire;

pub use config::Config;
pub use machine::{Ospf, Setup};

#[cfg(test)]
mod tests;
