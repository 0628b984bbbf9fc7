//! The lab's building blocks: namespaces, the network made of them, and the instruments that watch it.
//!
//! Nothing here knows what a test claims; nothing here takes a part of heraldns' place.

pub(crate) mod browser;
pub(crate) mod capture;
pub(crate) mod clock;
pub(crate) mod command;
pub(crate) mod connections;
pub(crate) mod figures;
pub(crate) mod flows;
pub(crate) mod group;
pub(crate) mod host;
pub(crate) mod injector;
pub(crate) mod namespace;
pub(crate) mod network;
pub(crate) mod ospf;
pub(crate) mod probe;
pub(crate) mod quiet;
pub(crate) mod route_monitor;
pub(crate) mod router;
pub(crate) mod router_side;
pub(crate) mod server;
pub(crate) mod switch;
