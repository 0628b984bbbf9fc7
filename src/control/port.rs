//! A TCP port that a table of the configuration names: opened, or why not and what to do.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;

/// Why it cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another program listens there.
    #[error("{listen} is in use: stop the program that listens there, or write another [{table}] listen (\"\" turns it off)")]
    InUse {
        /// The address.
        listen: SocketAddr,
        /// The table that names it.
        table: &'static str,
    },
    /// The system refused.
    #[error("cannot listen on {listen}: {error}: write another [{table}] listen (\"\" turns it off)")]
    Refused {
        /// The address.
        listen: SocketAddr,
        /// The table that names it.
        table: &'static str,
        /// Why.
        error: io::Error,
    },
}

/// Opens the port that `[table]` names.
///
/// # Errors
/// [`BindError`].
pub async fn bind(listen: SocketAddr, table: &'static str) -> Result<TcpListener, BindError> {
    TcpListener::bind(listen).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse { listen, table },
        _ => BindError::Refused { listen, table, error },
    })
}
