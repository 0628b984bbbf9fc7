//! Neighbor Discovery as the advertisement (claims 1 to 9): unsolicited Neighbor Advertisements, Override set.
//!
//! [`NeighborDiscovery`] is the machine: packets, peers and decisions in, packets out. Which of the ready servers the routers
//! send their queries to is settled here, by the mode: `failover`, `rotate` or `member`. Whether this server is ready at all
//! is the scheduler's to say. The messages are RFC 4861's; what deviates from it on purpose (Override for an anycast
//! address, more than three unsolicited advertisements) is what the claims ask for.

pub mod config;
mod failover;
mod holding;
mod inflow;
mod leaving;
pub mod machine;
mod member;
mod others;
mod phase;
mod receiving;
mod responder;
mod rotate;
mod routers;
mod scene;
mod sender;
pub mod wire;

pub use config::Config;
pub use machine::{NeighborDiscovery, Setup};

#[cfg(test)]
mod tests;
