//! The configuration of the router side: `[router]`, and of `[peers]` and `[control]` what it needs of them.
//!
//! A file of its own: a router side serves no zones and advertises nothing.

use std::path::{Path, PathBuf};

use figment::value::Dict;

use super::reader::Reader;
use super::service::check_interface;
use super::settings::{base_if_any, check_peers_key, resolve};
use crate::advertiser::peers;
use crate::base::address::ServiceAddress;
use crate::base::problem::Problem;
use crate::control;
use crate::router;

const KEYS: [&str; 3] = ["router", "peers", "control"];

/// Everything that can be configured, as it was written.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Config {
    router: router::Config,
    peers: peers::config::Config,
    control: control::config::Config,
}

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct RouterSettings {
    /// `[router]`.
    pub router: router::Config,
    /// Its services: at least one, all different.
    pub services: Vec<ServiceAddress>,
    /// How the servers are heard.
    pub peers: peers::config::Config,
    /// The admin socket.
    pub control_socket: PathBuf,
}

impl Config {
    pub(super) fn read(reader: &mut Reader, values: Dict) -> Self {
        let mut config = Self::default();
        for (key, value) in values {
            match key.as_str() {
                "router" => config.router = reader.table("router", value),
                "peers" => config.peers = reader.table("peers", value),
                "control" => config.control = reader.table("control", value),
                unknown => reader.unknown_key("", unknown, &KEYS),
            }
        }
        config
    }

    /// Checks every part and the parts against one another. Relative paths are taken from `base`.
    pub(super) fn check(&self, base: &Path, problems: &mut Vec<Problem>) -> Option<RouterSettings> {
        if !self.router.interface.is_empty() {
            problems.extend(check_interface("router.interface", &self.router.interface).err());
        }
        let services = self.router.check("router", problems);
        self.peers.check("peers", problems);
        self.check_together(problems);
        let peers = peers::config::Config {
            key_file: base_if_any(base, &self.peers.key_file),
            ..self.peers.clone()
        };
        check_peers_key(&peers.key_file, problems);
        if !problems.is_empty() {
            return None;
        }
        let socket = resolve(base, &self.control.socket);
        Some(RouterSettings {
            router: self.router.clone(),
            services,
            peers,
            control_socket: socket.unwrap_or_else(control::config::default_router_socket),
        })
    }

    fn check_together(&self, problems: &mut Vec<Problem>) {
        if self.router.require_signed && (!self.peers.enabled || self.peers.key_file.as_os_str().is_empty()) {
            let what = "without a key no peer message is signed, and no server would ever be believed";
            let cure = "name the servers' key in [peers] key-file, or write require-signed = false";
            problems.push(Problem::new("router.require-signed", what, cure));
        }
    }
}
