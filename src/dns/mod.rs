//! Service process (300): the authoritative DNS engine.
//!
//! Text -> [`zone`] (scanner, builder, store) -> [`answer`] (decide, render) -> [`server`] (transports).

pub mod answer;
pub mod config;
pub mod counters;
pub mod name;
pub mod protect;
pub mod reached;
pub mod server;
pub mod types;
pub mod zone;
