//! heraldns: an authoritative DNS server that advertises its own anycast address.
//!
//! The floors, from top to bottom; `use` arrows only run down, and `tests/it/tidy.rs` fails otherwise:
//!
//! | floor | modules | may know |
//! |---|---|---|
//! | 4 composition | [`app`], [`cli`], [`config`] | everything below |
//! | 3 effects | [`io`], [`dns::server`], [`monitor`] (`system`, `probe`, `heartbeat`), [`control`], [`watch`] | sockets, clocks, files, the kernel |
//! | 2 machines | [`advertiser`], [`router`], [`scheduler`], `monitor::{observation, rate, ledger}`, [`dns::answer`], [`dns::zone`], [`dns::counters`] | bytes and time handed in; pure and synchronous |
//! | 1 codecs | `advertiser::*::wire` | bytes and values |
//! | 0 words | [`base`] | `std` |

pub mod advertiser;
pub mod app;
pub mod base;
pub mod cli;
pub mod config;
pub mod control;
pub mod dns;
pub mod io;
pub mod monitor;
pub mod router;
pub mod scheduler;
pub mod watch;
