//! A reload: what was read from files at the start is read again, the zones and the cookie secrets.
//!
//! Nothing is replaced by a file with an error. The work is done beside the herald loop.

use std::sync::Arc;
use std::thread;

use super::protection::SecretKeeper;
use super::zones::ZoneKeeper;
use crate::control::status::Reloaded;

/// Everything that can be read again.
pub(super) struct Reload {
    pub(super) zones: Arc<ZoneKeeper>,
    pub(super) secrets: SecretKeeper,
}

impl Reload {
    /// Reads one zone again, or everything that has changed, on a thread of its own; `tell` gets what came of it.
    pub(super) fn beside(self: &Arc<Self>, only: Option<String>, tell: impl FnOnce(Result<Reloaded, String>) + Send + 'static) {
        let reload = Arc::clone(self);
        let is_all = only.is_none();
        self.zones.reload_beside(only, move |zones| {
            let secrets = if is_all { reload.secrets.reload() } else { Ok(()) };
            tell(match (zones, secrets) {
                (Ok(_), Err(error)) => Err(format!("{error}; the zones were read again, the secrets are those of before")),
                (zones, _) => zones,
            });
        });
    }

    /// Reads again everything that has changed: what SIGHUP asks for.
    pub(super) fn hang_up(self: &Arc<Self>) {
        let reload = Arc::clone(self);
        let read = move || {
            if let Err(error) = reload.secrets.reload() {
                tracing::error!("reload: {error}");
            }
            reload.zones.hang_up();
        };
        if let Err(error) = thread::Builder::new().name("reload".to_owned()).spawn(read) {
            tracing::error!(%error, "no thread for the reload");
        }
    }
}
