//! The tests that need no privileges: simulation, real sockets on loopback, configuration, the tidy test.

mod command_line;
mod config;
mod control;
mod tidy;
