//! `[dns] cookie-secret-file`: the secrets for server cookies, read when the configuration is checked, and again at every reload.

use std::path::{Path, PathBuf};

use crate::dns::protect::cookie::{Secrets, SecretsError};
use crate::io::files::{self, FileError};

/// A file that gives no secrets.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// It cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// It holds something else.
    #[error("{}: {error}", file.display())]
    Content {
        /// Which file.
        file: PathBuf,
        /// What is wrong with it.
        error: SecretsError,
    },
}

/// The secrets in `file`.
///
/// # Errors
/// Why there are none.
pub fn read(file: &Path) -> Result<Secrets, SecretFileError> {
    Secrets::from_text(&files::read(file)?).map_err(|error| SecretFileError::Content {
        file: file.to_owned(),
        error,
    })
}
