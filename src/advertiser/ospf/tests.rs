//! The whole machine beside a model of a router, on a virtual clock: what a story does to a link, and what the router believes.

mod adjacency;
mod bench;
mod forged;
mod model;
mod receiving;
mod seeds;
mod withdrawal;
