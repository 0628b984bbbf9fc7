//! A reload: what was read from files at the start is read again, the zones and the cookie secrets.
//!
//! Nothing is replaced by a file with an error. The work is done on the caller's thread, or beside.

use std::sync::Arc;
use std::thread;

use super::protection::SecretKeeper;
use super::zones::ZoneKeeper;
use crate::control::status::Zone;

/// Everything that can be read again.
pub(super) struct Reload {
    pub(super) zones: Arc<ZoneKeeper>,
    pub(super) secrets: SecretKeeper,
}

impl Reload {
    /// Reads one zone again, or all there is; the answer tells of each zone how it went.
    ///
    /// # Errors
    /// What cannot be read again; everything else is.
    pub(super) fn run(&self, only: Option<&str>) -> Result<Vec<Zone>, String> {
        let secrets = if only.is_none() { self.secrets.reload() } else { Ok(()) };
        let zones = self.zones.reload(only)?;
        match secrets {
            Ok(()) => Ok(zones),
            Err(error) => Err(format!("{error}; the zones were read again, the secrets are those of before")),
        }
    }

    /// Reads all again on a thread of its own: what SIGHUP asks for.
    pub(super) fn beside(self: &Arc<Self>) {
        let reload = Arc::clone(self);
        let load = move || match reload.run(None) {
            Ok(zones) => tracing::info!(
                loaded = zones.iter().filter(|zone| zone.error.is_none()).count(),
                of = zones.len(),
                "zones reloaded"
            ),
            Err(error) => tracing::error!("reload: {error}"),
        };
        if let Err(error) = thread::Builder::new().name("reload".to_owned()).spawn(load) {
            tracing::error!(%error, "no thread for the reload");
        }
    }
}
