//! The tests that need no privileges: simulation, real sockets on loopback, configuration, the tidy test.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod command_line;
mod config;
mod control;
mod dns;
mod documented;
mod drain;
mod encrypted;
mod fuzz;
mod protection;
mod reload;
mod router_config;
mod running;
mod serve;
mod sim;
mod tidy;
mod vectors;
mod zone_files;
