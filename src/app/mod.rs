//! Composition: the two processes, and how the parts of the second one are put together.
//!
//! [`serve`] is the guardian, [`main_process`] everything else: `server` builds the parts, `herald` drives them, `desk`
//! answers the operator, `zones` keeps the zones, `shutdown` knows when a drain is over.

mod boot;
mod desk;
mod guardian;
mod herald;
mod line;
mod message;
mod peering;
mod server;
mod show;
mod shutdown;
mod zones;

use std::process::ExitCode;

use crate::cli::ServeArguments;
use crate::config::Settings;

/// The guardian: starts the main process with the same arguments and watches over it.
///
/// The settings were read only to refuse a wrong configuration here, before anything is started.
#[must_use]
pub fn serve(_settings: Settings, arguments: &ServeArguments) -> ExitCode {
    guardian::watch_over(&arguments.main_process_arguments())
}

/// The main process: serves and advertises until it is told to stop.
#[must_use]
pub fn main_process(settings: Settings, _arguments: &ServeArguments) -> ExitCode {
    match server::run(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}
