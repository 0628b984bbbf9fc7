//! Cookies and the rate limit, put together: the secrets from their file, again at every reload, and who is limited to the log.
//!
//! A secrets file with an error replaces nothing: cookies go on with what was read before, and the reload fails.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::config::Settings;
use crate::dns::protect::cookie::{Secrets, SecretsError};
use crate::dns::protect::rate_limit::RateLimiter;
use crate::dns::protect::{News, Protection};
use crate::dns::server::Shared;
use crate::io::clock;
use crate::io::files::{self, FileError};

/// How often the log is told who is limited.
const TELLING: Duration = Duration::from_secs(1);

/// A file that gives no secrets.
#[derive(Debug, thiserror::Error)]
pub(super) enum SecretFileError {
    #[error("[dns] cookie-secret-file: {0}")]
    File(#[from] FileError),
    #[error("[dns] cookie-secret-file: {}: {error}", file.display())]
    Content { file: PathBuf, error: SecretsError },
}

/// The protection of checked settings.
pub(super) fn build(settings: &Settings) -> Result<Protection, SecretFileError> {
    let file = secret_file(settings);
    let secrets = match file {
        Some(file) => read(file)?,
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
}

impl SecretKeeper {
    pub(super) fn new(settings: &Settings, shared: Arc<Shared>) -> Self {
        Self {
            file: secret_file(settings).map(Path::to_owned),
            shared,
        }
    }

    /// Reads the secrets again; without a file those of the start stay.
    pub(super) fn reload(&self) -> Result<(), SecretFileError> {
        let Some(file) = &self.file else { return Ok(()) };
        let secrets = read(file)?;
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

fn read(file: &Path) -> Result<Secrets, SecretFileError> {
    Secrets::from_text(&files::read(file)?).map_err(|error| SecretFileError::Content {
        file: file.to_owned(),
        error,
    })
}
