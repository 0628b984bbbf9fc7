//! Zone files and zones: text -> scanner -> records -> builder (checks) -> [`store`] (the immutable [`Zone`]).
//!
//! Pure: text comes in as octets and `$INCLUDE` goes through a callback; nothing here opens a file. `rdata` is the one
//! table of record types that reading and `print` share.

pub mod problem;
pub mod store;
mod table;

pub use problem::{Severity, ZoneError};
pub use store::{Node, NodeKind, Rrset, Zone, ZoneSet};
