//! `[control]` and `[web]`: where a running server can be asked.

use std::env;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::base::problem::Problem;

/// The keys of `[control]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// The admin socket; empty: [`default_socket`].
    pub socket: PathBuf,
}

impl Config {
    /// The admin socket's path.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        if self.socket.as_os_str().is_empty() {
            default_socket()
        } else {
            self.socket.clone()
        }
    }
}

/// Where root's server and router side have their admin sockets.
pub const SYSTEM_FOLDER: &str = "/run/heraldns";

/// `/run/heraldns/control.sock` for root, else in `$XDG_RUNTIME_DIR/heraldns/`, else in a folder of the user's own
/// in the temporary folder.
#[must_use]
pub fn default_socket() -> PathBuf {
    socket_called("control.sock")
}

/// The same for a router side: `router.sock` beside it.
#[must_use]
pub fn default_router_socket() -> PathBuf {
    socket_called("router.sock")
}

fn socket_called(name: &str) -> PathBuf {
    let user = rustix::process::geteuid();
    if user.is_root() {
        return Path::new(SYSTEM_FOLDER).join(name);
    }
    let folder = match env::var_os("XDG_RUNTIME_DIR").filter(|folder| !folder.is_empty()) {
        Some(folder) => PathBuf::from(folder).join("heraldns"),
        None => env::temp_dir().join(format!("heraldns-{}", user.as_raw())),
    };
    folder.join(name)
}

/// The keys of `[web]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct WebConfig {
    /// Address and port of the web part; empty: off.
    pub listen: String,
}

impl Default for WebConfig {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8053".to_owned(),
        }
    }
}

impl WebConfig {
    /// Where the web part listens: `None` if it is off.
    pub fn check(&self, problems: &mut Vec<Problem>) -> Option<SocketAddr> {
        if self.listen.is_empty() {
            return None;
        }
        let listen = self.listen.parse().ok();
        if listen.is_none() {
            let what = format!("'{}' is no address and port", self.listen);
            let cure = "write \"127.0.0.1:8053\" or \"[::1]:8053\", or \"\" to turn the web part off";
            problems.push(Problem::new("web.listen", what, cure));
        }
        listen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_web_part_can_be_moved_and_turned_off() {
        let mut problems = Vec::new();
        assert_eq!(WebConfig::default().check(&mut problems), "127.0.0.1:8053".parse().ok());
        let off = WebConfig { listen: String::new() };
        assert_eq!(off.check(&mut problems), None);
        assert_eq!(problems, []);
        let wrong = WebConfig { listen: "8053".to_owned() };
        assert_eq!(wrong.check(&mut problems), None);
        assert_eq!(problems[0].key, "web.listen");
    }

    #[test]
    fn a_socket_that_is_named_is_used() {
        let config = Config {
            socket: "/tmp/here.sock".into(),
        };
        assert_eq!(config.socket(), PathBuf::from("/tmp/here.sock"));
        assert_eq!(Config::default().socket(), default_socket());
    }
}
