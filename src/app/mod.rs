//! Composition.

use std::process::ExitCode;

use crate::cli::ServeArguments;
use crate::config::Settings;

/// The guardian: starts the main process and watches over it.
#[must_use]
pub fn serve(settings: Settings, arguments: &ServeArguments) -> ExitCode {
    main_process(settings, arguments)
}

/// The main process: serves and advertises until it is told to stop.
#[must_use]
pub fn main_process(settings: Settings, _arguments: &ServeArguments) -> ExitCode {
    tracing::error!(identity = settings.identity, "nothing serves yet");
    ExitCode::FAILURE
}
