//! A reload: what was read from files at the start is read again, the zones, the cookie secrets, the certificate.
//!
//! Nothing is replaced by a file with an error. The work is done beside the herald loop.

use std::sync::Arc;
use std::thread;

use super::protection::SecretKeeper;
use super::zones::ZoneKeeper;
use crate::control::status::Reloaded;
use crate::dns::server::encrypted::Certificates;

/// Everything that can be read again.
pub(super) struct Reload {
    pub(super) zones: Arc<ZoneKeeper>,
    pub(super) secrets: SecretKeeper,
    /// None without an encrypted transport.
    pub(super) certificates: Option<Arc<Certificates>>,
}

impl Reload {
    /// Reads one zone again, or everything that has changed, on a thread of its own; `tell` gets what came of it.
    pub(super) fn beside(self: &Arc<Self>, only: Option<String>, tell: impl FnOnce(Result<Reloaded, String>) + Send + 'static) {
        let reload = Arc::clone(self);
        let is_all = only.is_none();
        self.zones.reload_beside(only, move |zones| {
            let rest = if is_all { reload.read_secrets_and_certificate() } else { Ok(()) };
            tell(zones.and_then(|zones| rest.map(|()| zones)));
        });
    }

    /// Reads again everything that has changed: what SIGHUP asks for.
    pub(super) fn hang_up(self: &Arc<Self>) {
        let reload = Arc::clone(self);
        let read = move || {
            if let Err(error) = reload.read_secrets_and_certificate() {
                tracing::error!("reload: {error}");
            }
            reload.zones.hang_up();
        };
        if let Err(error) = thread::Builder::new().name("reload".to_owned()).spawn(read) {
            tracing::error!(%error, "no thread for the reload");
        }
    }

    /// What cannot be read again stays as it was; everything else is read all the same.
    fn read_secrets_and_certificate(&self) -> Result<(), String> {
        let secrets = self.secrets.reload();
        let secrets = secrets
            .map_err(|error| format!("[dns] cookie-secret-file: {error}; the zones were read again, the secrets are those of before"));
        let certificate = self.certificates.as_ref().map_or(Ok(()), |certificates| {
            let renewed = certificates.renew().map(|_renewal| ());
            renewed.map_err(|error| format!("{error}; the zones were read again, the certificate in use stays"))
        });
        secrets.and(certificate)
    }
}
