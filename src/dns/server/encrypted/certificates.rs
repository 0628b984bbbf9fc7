//! The certificate that the encrypted transports show: two PEM files, looked at again while the server runs.
//!
//! All TLS configurations ask one [`Certificates`] for it at every handshake, so that a renewal reaches the next client and
//! disturbs no connection. Files that do not fit each other change nothing: what was in use stays, and the fault is told.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::io::files::{self, FileError};

/// How often the files are looked at without being asked to.
pub const LOOK: Duration = Duration::from_secs(60);
/// How soon again after they did not fit: one of the two may have been replaced a moment before the other.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Where certificate and key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The chain in PEM, the server's own certificate first.
    pub certificate: PathBuf,
    /// Its private key in PEM.
    pub key: PathBuf,
}

impl CertificateFiles {
    /// Those of a checked configuration, if it wants any encryption.
    #[must_use]
    pub fn of(config: &crate::dns::config::Config) -> Option<Self> {
        let (certificate, key) = (config.certificate_file.clone(), config.key_file.clone());
        let are_named = !certificate.as_os_str().is_empty() && !key.as_os_str().is_empty();
        (config.is_encrypted() && are_named).then_some(Self { certificate, key })
    }
}

/// Why two files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The chain cannot be read.
    #[error(transparent)]
    Certificate(FileError),
    /// The key cannot be read.
    #[error(transparent)]
    Key(FileError),
    /// The file with the chain holds something else.
    #[error("{} holds no certificate in PEM: {error}", path.display())]
    NoCertificate {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        error: pem::Error,
    },
    /// The file with the key holds something else.
    #[error("{} holds no private key in PEM: {error}", path.display())]
    NoKey {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        error: pem::Error,
    },
    /// Each of them is right, together they are not.
    #[error("the key in {} is not that of the certificate in {}", key.display(), certificate.display())]
    Mismatch {
        /// The file with the chain.
        certificate: PathBuf,
        /// The file with the key.
        key: PathBuf,
    },
    /// The TLS library cannot use them.
    #[error("{} and {} cannot be used: {error}", certificate.display(), key.display())]
    Unusable {
        /// The file with the chain.
        certificate: PathBuf,
        /// The file with the key.
        key: PathBuf,
        /// What it says.
        error: rustls::Error,
    },
}

impl CertificateError {
    /// The key of `[dns]` that names the file to mend.
    #[must_use]
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Certificate(_) | Self::NoCertificate { .. } | Self::Unusable { .. } => "dns.certificate-file",
            Self::Key(_) | Self::NoKey { .. } | Self::Mismatch { .. } => "dns.key-file",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn cure(&self) -> &'static str {
        match self {
            Self::Certificate(_) | Self::Key(_) => "name a file that exists and that this user may read",
            Self::NoCertificate { .. } => "name a PEM file with the server's certificate first, then those that signed it",
            Self::NoKey { .. } => "name a PEM file with the certificate's private key (PKCS #8, PKCS #1 or SEC 1)",
            Self::Mismatch { .. } => "name the key with which this certificate was made",
            Self::Unusable { .. } => "use an X.509 version 3 certificate with an ECDSA, Ed25519 or RSA key of at least 2048 bits",
        }
    }
}

/// What looking at the files has led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// They hold what is in use already.
    Same,
    /// What they hold is in use now.
    Renewed,
}

/// The certificate in use.
#[derive(Debug)]
pub struct Certificates {
    files: CertificateFiles,
    current: ArcSwap<CertifiedKey>,
    look: Mutex<Look>,
}

/// What the last look at the files has shown.
#[derive(Debug)]
struct Look {
    stamps: [Option<Stamp>; 2],
    fault: Option<String>,
}

/// What changes when a file is written or replaced: modification time, length, inode.
type Stamp = (i64, i64, u64, u64);

impl Certificates {
    /// Reads both files.
    ///
    /// # Errors
    /// Which of them cannot be used, and why.
    pub fn load(files: CertificateFiles) -> Result<Self, CertificateError> {
        let stamps = stamps(&files);
        let current = ArcSwap::from_pointee(read(&files)?);
        let look = Mutex::new(Look { stamps, fault: None });
        Ok(Self { files, current, look })
    }

    /// Reads both files again. What is wrong with them is also kept as the [`fault`](Self::fault), and logged once.
    ///
    /// # Errors
    /// Which of them cannot be used, and why; what was in use stays in use.
    pub fn renew(&self) -> Result<Renewal, CertificateError> {
        let mut look = self.look();
        look.stamps = stamps(&self.files);
        match read(&self.files) {
            Ok(new) => {
                let recovered = look.fault.take().is_some();
                let renewed = self.current.load().cert != new.cert;
                // In any case: the same certificate may have come with another form of its key.
                self.current.store(Arc::new(new));
                if renewed || recovered {
                    tracing::info!("the certificate of {} is in use", self.files.certificate.display());
                }
                Ok(if renewed { Renewal::Renewed } else { Renewal::Same })
            }
            Err(error) => {
                let fault = error.to_string();
                if look.fault.as_ref() != Some(&fault) {
                    tracing::error!("{fault}; the certificate in use stays");
                    look.fault = Some(fault);
                }
                Err(error)
            }
        }
    }

    /// What is wrong with the files since the certificate in use was read.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        self.look().fault.clone()
    }

    /// Looks at the files every so often, for ever: who renews a certificate need not tell the server.
    pub async fn watch(self: Arc<Self>, every: Duration) {
        loop {
            let pause = if self.fault().is_some() { every.min(LOOK_AGAIN) } else { every };
            tokio::time::sleep(pause).await;
            let certificates = Arc::clone(&self);
            // Files may be on a network; a thread of the runtime must not wait for that.
            let looked = tokio::task::spawn_blocking(move || certificates.renew_if_touched()).await;
            if let Err(error) = looked {
                tracing::error!(%error, "the certificate files were not looked at");
            }
        }
    }

    fn renew_if_touched(&self) {
        let touched = {
            let look = self.look();
            look.fault.is_some() || look.stamps != stamps(&self.files)
        };
        if touched {
            // The error is kept and logged there.
            let _ = self.renew();
        }
    }

    fn look(&self) -> MutexGuard<'_, Look> {
        self.look.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _client: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

fn stamps(files: &CertificateFiles) -> [Option<Stamp>; 2] {
    [stamp(&files.certificate).ok(), stamp(&files.key).ok()]
}

fn stamp(path: &Path) -> io::Result<Stamp> {
    let metadata = fs::metadata(path)?;
    Ok((metadata.mtime(), metadata.mtime_nsec(), metadata.size(), metadata.ino()))
}

fn read(files: &CertificateFiles) -> Result<CertifiedKey, CertificateError> {
    let (certificate, key) = (files.certificate.clone(), files.key.clone());
    let chain = files::read(&certificate).map_err(CertificateError::Certificate)?;
    let private = files::read(&key).map_err(CertificateError::Key)?;
    let no_certificate = |error| CertificateError::NoCertificate {
        path: certificate.clone(),
        error,
    };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&chain)
        .collect::<Result<_, _>>()
        .map_err(no_certificate)?;
    if chain.is_empty() {
        return Err(no_certificate(pem::Error::NoItemsFound));
    }
    let private = PrivateKeyDer::from_pem_slice(&private).map_err(|error| CertificateError::NoKey { path: key.clone(), error })?;
    CertifiedKey::from_der(chain, private, &ring::default_provider()).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => CertificateError::Mismatch { certificate, key },
        error => CertificateError::Unusable { certificate, key, error },
    })
}
