//! The arguments, as clap reads them.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::base::duration;

/// An authoritative DNS server that advertises its own anycast address.
#[derive(Debug, Parser)]
#[command(name = "heraldns", version, about, disable_help_subcommand = true)]
#[command(after_help = "Without a command: serve, with the built-in configuration.\n\
    Exit codes: 0 done, 1 refused or unhealthy, 2 wrong usage.\n\
    HERALDNS_LOG filters the log, as in HERALDNS_LOG=debug.")]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Option<Action>,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// Serve the zones and advertise the service addresses
    Serve(ServeArguments),
    /// The server itself; `serve` starts it and watches over it
    #[command(hide = true)]
    MainProcess(ServeArguments),
    /// Check a configuration: every error with its place, or "ok"
    CheckConfig {
        /// The TOML file
        file: PathBuf,
    },
    /// Check a zone file: every error with its place, or "ok" with counts
    CheckZone {
        /// The zone's name, as in example.com.
        name: String,
        /// The zone file
        file: PathBuf,
        /// Print the zone in canonical form
        #[arg(long)]
        print: bool,
    },
    /// Show what a running server does: state, addresses, peers
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        server: ServerArguments,
    },
    /// List the zones of a running server
    Zones {
        #[command(flatten)]
        server: ServerArguments,
    },
    /// Tell why a running server advertises, or does not
    Explain {
        /// Number of one decision; without it: the last ones
        id: Option<u64>,
        #[command(flatten)]
        server: ServerArguments,
    },
    /// Hand the service addresses over to another server, and serve until it is quiet
    Drain {
        /// End after so long even if queries still come, as in 30s; default: drain-timeout of the configuration
        #[arg(long, value_parser = duration::parse)]
        timeout: Option<Duration>,
        /// Only tell what would happen
        #[arg(long)]
        simulate: bool,
        #[command(flatten)]
        server: ServerArguments,
    },
    /// End a drain: advertise again
    Undrain {
        #[command(flatten)]
        server: ServerArguments,
    },
    /// Load the zones of a running server again
    Reload {
        /// Only this zone
        zone: Option<String>,
        #[command(flatten)]
        server: ServerArguments,
    },
}

#[derive(Args, Clone, Debug, Default)]
pub(super) struct ServeArguments {
    /// The TOML file; without it: the zones of the folder zones/ on 127.0.0.1:5300 and [::1]:5300
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// How log lines look
    #[arg(long, value_enum, default_value_t)]
    pub(super) log_format: LogFormat,
}

#[derive(Args, Clone, Debug)]
pub(super) struct ServerArguments {
    /// Admin socket of the server; default: where a server of this user has it
    #[arg(long, value_name = "PATH")]
    pub(super) socket: Option<PathBuf>,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}
