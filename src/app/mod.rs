//! Composition: the two processes, and how the parts of the second one are put together.
//!
//! [`serve`] is the guardian, [`main_process`] everything else: `server` builds the parts, `herald` drives them, `desk`
//! answers the operator, `zones` keeps the zones, `protection` the cookie secrets, `encryption` the certificate, `reload` reads
//! all of them again, `shutdown` knows when a drain is over. [`router()`] is the other program: a router side.

mod boot;
mod desk;
mod encryption;
mod farewells;
mod guardian;
mod herald;
mod lifeline;
mod line;
mod link;
mod message;
mod peering;
mod protection;
mod reload;
mod router;
mod server;
mod show;
mod shutdown;
mod vigil;
mod zones;

pub use router::router;

use std::ffi::OsString;
use std::process::ExitCode;

use crate::config::Settings;

/// The guardian: starts this program again with `arguments`, which have to make it the main process, and watches over it.
#[must_use]
pub fn serve(settings: &Settings, arguments: &[OsString]) -> ExitCode {
    let addresses = settings.service.as_ref().map_or(&[][..], |service| &service.addresses);
    guardian::watch_over(arguments, addresses)
}

/// The main process: serves and advertises until it is told to stop.
#[must_use]
pub fn main_process(settings: &Settings) -> ExitCode {
    match server::run(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}
