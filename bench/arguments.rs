//! What the command line can say.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;

use crate::load::{Pace, Waiting};
use crate::programs::Program;
use crate::zones::{Kind, Mix};

/// heraldns beside its peers: processor time per query, time to load, memory.
#[derive(Clone, Debug, Parser)]
#[command(name = "bench/run", args_override_self = true)]
pub(crate) struct Arguments {
    /// The servers to compare; those that are not installed are left out.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Program::ALL)]
    pub(crate) servers: Vec<Program>,
    /// The zones to serve, one after the other.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Kind::ALL)]
    pub(crate) zones: Vec<Kind>,
    /// What to ask.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Mix::ALL)]
    pub(crate) mixes: Vec<Mix>,
    /// How often everything is measured; the median counts.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// Queries to each server in a round.
    #[arg(long, default_value_t = 300_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) queries: u32,
    /// Queries a second, evenly spread; 0: as many as the window of 128 lets through.
    #[arg(long, default_value_t = 0)]
    pub(crate) rate: u64,
    /// What the asker does while no answer is there.
    #[arg(long, value_enum, default_value_t = Waiting::Spinning)]
    pub(crate) asker: Waiting,
    /// The program to measure as heraldns.
    #[arg(long, default_value = env!("CARGO_BIN_EXE_heraldns"))]
    pub(crate) heraldns: PathBuf,
    /// Measure the time to load and the memory alone.
    #[arg(long)]
    pub(crate) load_only: bool,
    /// Measure the processor time alone.
    #[arg(long, conflicts_with = "load_only")]
    pub(crate) queries_only: bool,
    /// A line per figure that a program can read, in place of tables.
    #[arg(long)]
    pub(crate) machine: bool,
    /// Count the instructions of `--queries` queries in user space by callgrind, in place of all else; see bench/callgrind.
    #[arg(long, conflicts_with = "load_only")]
    pub(crate) callgrind: bool,
    /// Where callgrind's files go.
    #[arg(long, default_value = "target/callgrind/profiles")]
    pub(crate) profiles: PathBuf,
    /// Be the bare reflector on this address.
    #[arg(long, hide = true)]
    pub(crate) reflect: Option<SocketAddr>,
    /// What cargo says to every benchmark.
    #[arg(long, hide = true)]
    pub(crate) bench: bool,
}

impl Arguments {
    pub(crate) fn pace(&self) -> Pace {
        Pace {
            waiting: self.asker,
            rate: self.rate,
        }
    }
}
