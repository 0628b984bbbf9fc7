//! The router side (claims 5, 15, 16, 17): a neighbour cache whose entries have several link-layer addresses.
//!
//! [`RouterSide`] is the machine: advertisements and peer messages in, solicitations and a wish out. The wish, a
//! `base::forwarding::Forwarding`, says how queries are to be delivered; `io::forwarder` makes the kernel's forwarding
//! table so, and nothing of ours ever touches a query.
//!
//! An advertisement is recorded (`record`, `member`) whatever becomes of the entry (`neighbor_cache`); the policy makes shares
//! of the record (`selection`), by the load that the servers tell where it is `weighted` ([`weights`]).

mod announcements;
pub mod config;
mod discovery;
pub mod machine;
mod member;
mod neighbor_cache;
mod receiving;
mod record;
pub mod report;
mod selection;
mod sender;
mod service;
mod sharing;
pub mod weights;

pub use config::{Config, Policy};
pub use machine::{RouterSide, Setup};
pub use member::Standing;
pub use report::Report;

#[cfg(test)]
mod tests;
