//! The peer message (claim 17's separate protocol): how servers and router sides know each other.
//!
//! `app` composes the [`Statement`](crate::base::peer::Statement), hands it to [`Peers::say`], and feeds [`Peers::peers`]
//! to the advertisers whenever [`Peers::changes`] has grown.

pub mod config;
pub mod machine;
pub mod wire;

pub use config::Config;
pub use machine::{Conflict, Peers, Setup, Traffic};
