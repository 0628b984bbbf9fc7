//! The log: tracing to stderr, filtered by `HERALDNS_LOG`, as text or JSON.

use std::env;
use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use super::LogFormat;

const VARIABLE: &str = "HERALDNS_LOG";
/// The libraries of the encrypted transports write a line for every query and for everything that a client does wrong.
/// Only an operator who names one of them wants that.
const QUIET: &str = "hickory_net=error,hickory_proto=error,hickory_server=error,h2=error,quinn=error,quinn_proto=error,rustls=error";

/// Starts the log of this process.
///
/// # Errors
/// What is wrong with the filter, and what it should look like.
pub(super) fn start(format: LogFormat) -> Result<(), String> {
    let filter = env::var(VARIABLE).unwrap_or_else(|_| "info".to_owned());
    let filter = EnvFilter::try_new(format!("{QUIET},{filter}"))
        .map_err(|error| format!("{VARIABLE} (environment): error: '{filter}' is no log filter: {error}\n  help: write info, debug, or heraldns::scheduler=debug,info"))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match format {
        LogFormat::Text => log.with_ansi(io::stderr().is_terminal()).with_target(false).init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
    Ok(())
}
