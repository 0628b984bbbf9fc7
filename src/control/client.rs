//! The commands' side of the admin socket: one question, one answer, blocking.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::Command;
use super::config::SYSTEM_FOLDER;
use super::socket::Answer;

/// A server answers at once, a drain or a reload when it is over.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Longer than any drain that the configuration allows.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(3_660);
/// Longer than it takes to read the largest zones.
const RELOAD_TIMEOUT: Duration = Duration::from_secs(3_600);
/// An answer with every zone of a large server fits.
const LONGEST_ANSWER: u64 = 256 << 20;

/// Why a command was not done.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("no {who} is running at {path}: start it with `heraldns {start}`, or pass --socket PATH", path = path.display())]
    NoServer {
        /// Who was looked for.
        who: &'static str,
        /// The command that starts it.
        start: &'static str,
        /// Where it was looked for.
        path: PathBuf,
    },
    /// Somebody else's server.
    #[error("{path}: this user may not control the server: use the server's user, or root", path = path.display())]
    NotAllowed {
        /// The socket.
        path: PathBuf,
    },
    /// The server does not answer, or the connection broke.
    #[error("{path}: {error}: the server does not answer; its log tells more", path = path.display())]
    Broken {
        /// The socket.
        path: PathBuf,
        /// What happened.
        error: io::Error,
    },
    /// The answer is not what this version expects.
    #[error("{path}: the answer cannot be read ({error}): is the server of another version?", path = path.display())]
    Unreadable {
        /// The socket.
        path: PathBuf,
        /// What happened.
        error: serde_json::Error,
    },
    /// The server refused.
    #[error("{0}")]
    Refused(String),
}

/// The admin socket to ask: the one that is named, else this user's `own`, else root's of that name if that is the one there is.
#[must_use]
pub fn find_socket(named: Option<PathBuf>, own: PathBuf) -> PathBuf {
    if let Some(path) = named {
        return path;
    }
    let system = own.file_name().map(|name| Path::new(SYSTEM_FOLDER).join(name));
    match system {
        Some(system) if !own.exists() && system.exists() => system,
        Some(_) | None => own,
    }
}

/// Sends `command` to the server at `path` and reads its answer.
///
/// # Errors
/// [`ClientError`].
pub fn ask<T: DeserializeOwned>(path: &Path, command: &Command) -> Result<T, ClientError> {
    let broken = |error| ClientError::Broken {
        path: path.to_owned(),
        error,
    };
    let unreadable = |error| ClientError::Unreadable {
        path: path.to_owned(),
        error,
    };
    let mut stream = connect(path, command)?;
    let patience = match command {
        Command::Drain { simulate: false, timeout } => timeout.map_or(DRAIN_TIMEOUT, |timeout| timeout + ANSWER_TIMEOUT),
        Command::Reload { .. } => RELOAD_TIMEOUT,
        _ => ANSWER_TIMEOUT,
    };
    stream.set_write_timeout(Some(ANSWER_TIMEOUT)).map_err(broken)?;
    stream.set_read_timeout(Some(patience)).map_err(broken)?;
    let mut request = serde_json::to_vec(command).map_err(unreadable)?;
    request.push(b'\n');
    stream.write_all(&request).map_err(broken)?;
    let mut line = String::new();
    BufReader::new(stream.take(LONGEST_ANSWER)).read_line(&mut line).map_err(broken)?;
    if line.is_empty() {
        return Err(broken(io::ErrorKind::UnexpectedEof.into()));
    }
    match serde_json::from_str(&line).map_err(unreadable)? {
        Answer::Ok(value) => Ok(value),
        Answer::Error(why) => Err(ClientError::Refused(why)),
    }
}

fn connect(path: &Path, command: &Command) -> Result<UnixStream, ClientError> {
    let path_of = || path.to_owned();
    let (who, start) = match command {
        Command::Neighbors => ("router side", "router --config FILE"),
        _ => ("server", "serve"),
    };
    UnixStream::connect(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => ClientError::NoServer {
            who,
            start,
            path: path_of(),
        },
        io::ErrorKind::PermissionDenied => ClientError::NotAllowed { path: path_of() },
        _ => ClientError::Broken { path: path_of(), error },
    })
}
