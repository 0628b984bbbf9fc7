//! The tests that need no privileges: simulation, real sockets on loopback, configuration, the tidy test.

mod dns;
mod tidy;
