//! The admin socket: one JSON [`Command`] on a line, one JSON answer on a line, over a unix socket that only this user can open.
//!
//! The answer is `{"ok":VALUE}` or `{"error":"why"}`. Requests are bounded in size, time and number.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use super::{Command, Operator, Reply};

/// No command is longer.
const LONGEST_REQUEST: u64 = 4_096;
/// A client that has sent no command by then is disconnected.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// More clients wait until one of these has its answer.
const CLIENTS: usize = 16;

/// The answer on the wire.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer<T> {
    /// Done; what there is to show.
    Ok(T),
    /// Refused, and why.
    Error(String),
}

impl From<Reply> for Answer<Box<RawValue>> {
    fn from(reply: Reply) -> Self {
        match reply {
            Ok(value) => Self::Ok(value),
            Err(why) => Self::Error(why),
        }
    }
}

/// Why the admin socket cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// A server answers there.
    #[error("{path}: another heraldns is running here: stop it, or give this one its own [control] socket", path = path.display())]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// Something that is no socket is in the way.
    #[error("{path} is there and is no socket: remove it, or write another path in [control] socket", path = path.display())]
    NotASocket {
        /// What is in the way.
        path: PathBuf,
    },
    /// The folder belongs to somebody else, who could put another socket there.
    #[error("the folder {folder} belongs to another user: write a path in [control] socket", folder = folder.display())]
    ForeignFolder {
        /// The folder.
        folder: PathBuf,
    },
    /// The system refused.
    #[error("{path}: {error}: write a path that this user can create in [control] socket", path = path.display())]
    Refused {
        /// The socket or its folder.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// The open admin socket; its file is removed when this is dropped.
#[derive(Debug)]
pub struct AdminSocket {
    listener: UnixListener,
    path: PathBuf,
    inode: u64,
}

impl AdminSocket {
    /// Opens the socket at `path`, with its folder (0700) if that is missing; replaces the socket of a dead server.
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`BindError`].
    pub fn bind(path: &Path) -> Result<Self, BindError> {
        let refused = |error| BindError::Refused {
            path: path.to_owned(),
            error,
        };
        prepare_folder(path)?;
        remove_stale(path)?;
        let listener = UnixListener::bind(path).map_err(refused)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(refused)?;
        let inode = fs::symlink_metadata(path).map_err(refused)?.ino();
        Ok(Self {
            listener,
            path: path.to_owned(),
            inode,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Serves clients for ever; dropping the future closes the socket.
    pub async fn serve(self, operator: Arc<dyn Operator>) {
        let clients = Arc::new(Semaphore::new(CLIENTS));
        loop {
            let Ok(permit) = Arc::clone(&clients).acquire_owned().await else {
                return;
            };
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let operator = Arc::clone(&operator);
                    tokio::spawn(async move {
                        let _permit = permit;
                        if let Err(error) = serve_client(stream, operator.as_ref()).await {
                            tracing::debug!(%error, "admin socket: a client went away");
                        }
                    });
                }
                Err(error) => {
                    // Out of descriptors, mostly: clients that finish give some back.
                    tracing::warn!(%error, "admin socket: cannot accept");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        let is_ours = fs::symlink_metadata(&self.path).is_ok_and(|metadata| metadata.ino() == self.inode);
        if is_ours {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn prepare_folder(path: &Path) -> Result<(), BindError> {
    let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) else {
        return Ok(());
    };
    let refused = |error| BindError::Refused {
        path: folder.to_owned(),
        error,
    };
    if !folder.exists() {
        return fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(refused);
    }
    let owner = fs::metadata(folder).map_err(refused)?.uid();
    let own = rustix::process::geteuid().as_raw();
    if owner != own && owner != 0 {
        return Err(BindError::ForeignFolder { folder: folder.to_owned() });
    }
    Ok(())
}

fn remove_stale(path: &Path) -> Result<(), BindError> {
    let refused = |error| BindError::Refused {
        path: path.to_owned(),
        error,
    };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(refused(error)),
        Ok(metadata) if !metadata.file_type().is_socket() => return Err(BindError::NotASocket { path: path.to_owned() }),
        Ok(_) => {}
    }
    match StdUnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path).map_err(refused),
        Ok(_) => Err(BindError::InUse { path: path.to_owned() }),
        Err(error) => Err(refused(error)),
    }
}

async fn serve_client(stream: UnixStream, operator: &dyn Operator) -> io::Result<()> {
    let (reading, mut writing) = stream.into_split();
    let mut request = BufReader::new(reading.take(LONGEST_REQUEST));
    let mut line = String::new();
    let answer = match timeout(REQUEST_TIMEOUT, request.read_line(&mut line)).await {
        Err(_) => Answer::Error("no command came in time".to_owned()),
        Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => Answer::Error("the command is no text".to_owned()),
        Ok(Err(error)) => return Err(error),
        Ok(Ok(_)) if !line.ends_with('\n') => Answer::Error(format!("a command is one line of up to {LONGEST_REQUEST} bytes")),
        Ok(Ok(_)) => match serde_json::from_str::<Command>(&line) {
            Err(error) => Answer::Error(format!("this is no command: {error}")),
            Ok(command) => {
                let mut client = request.into_inner().into_inner();
                // A drain takes its time; a client that hangs up meanwhile gives its place free.
                tokio::select! {
                    reply = ask(operator, command) => reply.into(),
                    _ = client.read_u8() => return Err(io::ErrorKind::ConnectionAborted.into()),
                }
            }
        },
    };
    let mut text = serde_json::to_vec(&answer)?;
    text.push(b'\n');
    timeout(REQUEST_TIMEOUT, writing.write_all(&text)).await?
}

/// Hands a command to the operator and waits for the reply.
pub(super) async fn ask(operator: &dyn Operator, command: Command) -> Reply {
    let (reply, answer) = oneshot::channel();
    operator.submit(command, reply);
    answer
        .await
        .unwrap_or_else(|_| Err("the server is stopping, or too busy to take the command".to_owned()))
}
