//! `[control]`, `[web]` and `[agent-check]`: where a running server can be asked.

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
        let cure = "write \"127.0.0.1:8053\" or \"[::1]:8053\", or \"\" to turn the web part off";
        check_listen("web.listen", &self.listen, cure, problems)
    }
}

/// The keys of `[agent-check]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct AgentCheckConfig {
    /// Address and port of HAProxy's agent check; empty: off.
    pub listen: String,
}

impl AgentCheckConfig {
    /// Where the agent check listens: `None` if it is off.
    pub fn check(&self, problems: &mut Vec<Problem>) -> Option<SocketAddr> {
        let cure = "write an address and port that HAProxy reaches, as \"192.0.2.1:8054\", or \"\" to turn the agent check off";
        check_listen("agent-check.listen", &self.listen, cure, problems)
    }
}

fn check_listen(key: &str, listen: &str, cure: &str, problems: &mut Vec<Problem>) -> Option<SocketAddr> {
    if listen.is_empty() {
        return None;
    }
    let parsed = listen.parse().ok();
    if parsed.is_none() {
        problems.push(Problem::new(key, format!("'{listen}' is no address and port"), cure));
    }
    parsed
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
    fn the_agent_check_is_off_until_it_is_given_an_address() {
        let mut problems = Vec::new();
        assert_eq!(AgentCheckConfig::default().check(&mut problems), None);
        let at = |listen: &str| AgentCheckConfig { listen: listen.to_owned() };
        assert_eq!(at("[::1]:8054").check(&mut problems), "[::1]:8054".parse().ok());
        assert_eq!((at("8054").check(&mut problems), problems.len()), (None, 1));
        assert_eq!(problems[0].key, "agent-check.listen");
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
