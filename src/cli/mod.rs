//! The command line: what can be typed, and which part does it. Exit codes: 0 done, 1 refused or unhealthy, 2 wrong usage.
//!
//! What is asked for goes to stdout, everything else to stderr with its place and its cure.

mod arguments;
mod check;
mod logging;
mod operate;
mod show;

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use crate::io::capability::take_permitted;
use crate::{app, config, watch};
use arguments::{Action, Arguments, RouterArguments, WatchArguments};

pub use arguments::{LogFormat, ServeArguments};

/// The exit code when something was refused or is unhealthy.
const REFUSED: u8 = 1;
/// The exit code of wrong usage; clap's own too.
const USAGE: u8 = 2;

/// Does what the arguments of this process say.
#[must_use]
pub fn run() -> ExitCode {
    let action = Arguments::parse().command.unwrap_or_default();
    match action {
        // The settings are read here too, so that a wrong configuration is refused before anything is started.
        Action::Serve(arguments) => with_settings(&arguments, |settings| app::serve(&settings, &arguments.main_process_arguments())),
        Action::MainProcess(arguments) => with_settings(&arguments, |settings| app::main_process(&settings)),
        Action::CheckConfig { file } => check::check_config(&file),
        Action::CheckZone { name, file, print } => check::check_zone(&name, &file, print),
        Action::Status { json, server } => operate::status(server, json),
        Action::Zones { server } => operate::zones(server),
        Action::Explain { id, json, server } => operate::explain(server, id, json),
        Action::Drain { timeout, simulate, server } => operate::drain(server, timeout, simulate),
        Action::Undrain { server } => operate::undrain(server),
        Action::Reload { zone, server } => operate::reload(server, zone),
        Action::Router(arguments) => router(&arguments),
        Action::Neighbors { json, server } => operate::neighbors(server, json),
        Action::Watch(arguments) => watch(arguments),
    }
}

fn with_settings(arguments: &ServeArguments, run: impl FnOnce(config::Settings) -> ExitCode) -> ExitCode {
    take_permitted();
    if let Err(error) = logging::start(arguments.log_format) {
        return fail(USAGE, &error);
    }
    match config::load(arguments.config.as_deref()) {
        Ok(settings) => run(settings),
        Err(refused) => fail(REFUSED, &refused),
    }
}

fn router(arguments: &RouterArguments) -> ExitCode {
    take_permitted();
    if let Err(error) = logging::start(arguments.log_format) {
        return fail(USAGE, &error);
    }
    match config::load_router(&arguments.config) {
        Ok(settings) => app::router(&settings, arguments.keep),
        Err(refused) => fail(REFUSED, &refused),
    }
}

fn watch(arguments: WatchArguments) -> ExitCode {
    match watch::watch(&arguments.into()) {
        Ok(totals) => {
            let (sent, answered, lost, gap) = (totals.sent, totals.answered, totals.lost, totals.gap.as_millis());
            print(&format!("in all: sent={sent} answered={answered} lost={lost} gap={gap}ms\n"));
            done_if(lost == 0)
        }
        Err(error) => fail(REFUSED, &format_args!("error: {error}")),
    }
}

/// Prints what was asked for. A reader that has gone away wanted no more of it.
fn print(text: &str) {
    let _ = io::stdout().lock().write_all(text.as_bytes());
}

/// Says on stderr what is wrong; `error` begins with its place, or with `error:` if it has none.
fn complain(error: &dyn Display) {
    let _ = writeln!(io::stderr().lock(), "{error}");
}

fn fail(code: u8, error: &dyn Display) -> ExitCode {
    complain(error);
    ExitCode::from(code)
}

fn done_if(done: bool) -> ExitCode {
    if done { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) }
}
