//! The rules of the router side, one by one, on one machine with a virtual clock.

mod bench;
mod claims;
mod leaving;
mod properties;
mod resuming;
mod security;
mod silence;
