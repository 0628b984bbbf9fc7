//! The arguments, as clap reads them.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum, value_parser};

use crate::base::duration;
use crate::watch;

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
        /// Print JSON
        #[arg(long)]
        json: bool,
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
    /// Make this router spread the queries for the service addresses over all their servers
    Router(RouterArguments),
    /// Show the neighbour cache of a running router side: entries, servers, weights, load
    Neighbors {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        server: ServerArguments,
    },
    /// Ask a service address all the time and show which servers answer
    Watch(WatchArguments),
}

impl Default for Action {
    fn default() -> Self {
        Self::Serve(ServeArguments::default())
    }
}

/// How a server is started.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct ServeArguments {
    /// The TOML file; without it the built-in configuration.
    #[arg(
        long,
        value_name = "FILE",
        help = "The TOML file; without it: the zones of the folder zones/ on 127.0.0.1:5300 and [::1]:5300"
    )]
    pub config: Option<PathBuf>,
    /// How log lines look
    #[arg(long, value_enum, default_value_t)]
    pub log_format: LogFormat,
}

impl ServeArguments {
    /// The arguments by which the guardian starts the main process.
    #[must_use]
    pub fn main_process_arguments(&self) -> Vec<OsString> {
        let format = match self.log_format {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        };
        let mut arguments: Vec<OsString> = ["main-process", "--log-format", format].map(OsString::from).into();
        if let Some(config) = &self.config {
            arguments.push("--config".into());
            arguments.push(config.into());
        }
        arguments
    }
}

/// How a router side is started.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub(super) struct RouterArguments {
    /// The TOML file
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// At the end, leave in the kernel what delivers the queries; a later start takes it over
    #[arg(long)]
    pub keep: bool,
    /// How log lines look
    #[arg(long, value_enum, default_value_t)]
    pub log_format: LogFormat,
}

/// What is watched, and how.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub(super) struct WatchArguments {
    /// The service address
    address: IpAddr,
    /// Its port
    #[arg(long, default_value_t = 53)]
    port: u16,
    /// Queries a second
    #[arg(long, default_value_t = 300, value_parser = value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// Source ports to ask from: as many clients
    #[arg(long, default_value_t = 64, value_parser = value_parser!(u16).range(1..=1_000))]
    ports: u16,
    /// End after so many seconds; exit code 1 if anything was lost
    #[arg(long)]
    seconds: Option<u32>,
    /// Print a line a second even on a terminal
    #[arg(long)]
    plain: bool,
}

impl From<WatchArguments> for watch::Settings {
    fn from(arguments: WatchArguments) -> Self {
        Self {
            service: SocketAddr::new(arguments.address, arguments.port),
            rate: arguments.rate,
            ports: arguments.ports,
            seconds: arguments.seconds,
            plain: arguments.plain,
        }
    }
}

/// Which running server is meant.
#[derive(Args, Clone, Debug)]
pub(super) struct ServerArguments {
    /// Its admin socket; default: where one of this user has it
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_main_process_gets_the_same_arguments() {
        for arguments in [
            ServeArguments::default(),
            ServeArguments {
                config: Some("a b.toml".into()),
                log_format: LogFormat::Json,
            },
        ] {
            let program = std::iter::once(OsString::from("heraldns"));
            let parsed = Arguments::try_parse_from(program.chain(arguments.main_process_arguments())).unwrap();
            let Some(Action::MainProcess(parsed)) = parsed.command else {
                panic!("{parsed:?} is not the main process");
            };
            assert_eq!(parsed, arguments);
        }
    }

    #[test]
    fn the_arguments_are_consistent() {
        <Arguments as clap::CommandFactory>::command().debug_assert();
    }
}
