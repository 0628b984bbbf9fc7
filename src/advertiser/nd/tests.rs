//! Stories of one server: what it hears and sees on the left, what it sends on the right.

mod bench;
mod failover;
mod idle;
mod leaving;
mod modes;
mod receiving;
