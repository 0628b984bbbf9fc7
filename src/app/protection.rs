//! Cookies and the rate limit, put together: the secrets from their file, again at every reload, and who is limited to the log.
//!
//! A secrets file with an error replaces nothing: cookies go on with what was read before, and the reload fails.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::config::Settings;
use crate::config::secrets::{self, SecretFileError};
use crate::dns::protect::cookie::Secrets;
use crate::dns::protect::rate_limit::RateLimiter;
use crate::dns::protect::{News, Protection};
use crate::dns::server::Shared;
use crate::io::clock;

/// How often the log is told who is limited.
const TELLING: Duration = Duration::from_secs(1);

/// The protection of checked settings.
pub(super) fn build(settings: &Settings) -> Result<Protection, SecretFileError> {
    let file = secret_file(settings);
    let secrets = match file {
        Some(file) => secrets::read(file)?,
        None => Secrets::of(&clock::random_key()),
    };
    if file.is_none() && settings.service.is_some() {
        tracing::info!("server cookies are of this server alone: all that share the service address need one [dns] cookie-secret-file");
    }
    let limiter = settings.dns.limits().map(|limits| RateLimiter::new(limits, &clock::random_key()));
    Ok(Protection {
        cookie_required: settings.dns.cookie_required,
        limiter,
        ..Protection::with(secrets)
    })
}

/// Where the secrets are read from, and who uses them.
pub(super) struct SecretKeeper {
    file: Option<PathBuf>,
    shared: Arc<Shared>,
    /// Held from the file to the workers: of two reloads at once, the one that has read earlier must not store later.
    reading: Mutex<()>,
}

impl SecretKeeper {
    pub(super) fn new(settings: &Settings, shared: Arc<Shared>) -> Self {
        Self {
            file: secret_file(settings).map(Path::to_owned),
            shared,
            reading: Mutex::new(()),
        }
    }

    /// Reads the secrets again; without a file those of the start stay.
    pub(super) fn reload(&self) -> Result<(), SecretFileError> {
        let Some(file) = &self.file else { return Ok(()) };
        let _reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let secrets = secrets::read(file)?;
        tracing::debug!(secrets = secrets.count(), "cookie secrets read again");
        self.shared.protection.secrets.store(Arc::new(secrets));
        Ok(())
    }
}

/// Tells the log who is limited and who no longer is, for ever.
pub(super) async fn tell(shared: Arc<Shared>) {
    let Some(limiter) = &shared.protection.limiter else { return };
    loop {
        tokio::time::sleep(TELLING).await;
        for news in limiter.news(clock::now()) {
            match news {
                News::Began { .. } | News::Crowded => tracing::warn!("{news}"),
                News::Ended { .. } => tracing::info!("{news}"),
            }
        }
    }
}

fn secret_file(settings: &Settings) -> Option<&Path> {
    let file = settings.dns.cookie_secret_file.as_path();
    (!file.as_os_str().is_empty()).then_some(file)
}
