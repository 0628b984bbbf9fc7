//! A configuration that has been checked: what the program runs on. Its types leave no room for wrong values.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::Config;
use super::service::Service;
use super::zones::ZoneSources;
use crate::base::problem::Problem;
use crate::scheduler;

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// This server's name: NSID, `id.server`, and its hash among the peers.
    pub identity: String,
    /// Where the zones are.
    pub zones: ZoneSources,
    /// The service addresses, if there are any.
    pub service: Option<Service>,
    /// When to go silent, how long to wait.
    pub scheduler: scheduler::config::Config,
    /// Where state is kept: as configured, or `None` for the default rule.
    pub state_directory: Option<PathBuf>,
    /// The admin socket.
    pub control_socket: PathBuf,
    /// Where the web part listens, if it is on.
    pub web: Option<SocketAddr>,
}

/// Checks every part and the parts against one another. Relative paths are taken from `base`.
pub(super) fn check(config: &Config, base: &Path, problems: &mut Vec<Problem>) -> Option<Settings> {
    let identity = check_identity(&config.identity, problems);
    let zones = ZoneSources::check(&config.zones, &config.zone, base, problems);
    let service = config.service.as_ref().map(|service| service.check(problems));
    config.scheduler.check(problems);
    let web = config.web.check(problems);
    if !problems.is_empty() {
        return None;
    }
    Some(Settings {
        identity: identity?,
        zones,
        service: service.flatten(),
        scheduler: config.scheduler.clone(),
        state_directory: resolve(base, &config.state.directory),
        control_socket: resolve(base, &config.control.socket).unwrap_or_else(|| config.control.socket()),
        web,
    })
}

fn check_identity(configured: &str, problems: &mut Vec<Problem>) -> Option<String> {
    /// NSID and TXT could carry 255 bytes; what people read should fit a line.
    const LONGEST: usize = 64;
    let host = || sysinfo::System::host_name().unwrap_or_default();
    let identity = if configured.is_empty() { host() } else { configured.to_owned() };
    let cure = "write identity = \"ams-1\" with a name that no other server has";
    if identity.is_empty() {
        problems.push(Problem::new("identity", "this host has no name that could be the identity", cure));
        return None;
    }
    if identity.len() > LONGEST || !identity.bytes().all(|byte| byte.is_ascii_graphic()) {
        let what = format!("'{identity}' cannot be an identity: up to {LONGEST} visible ASCII characters, no spaces");
        problems.push(Problem::new("identity", what, cure));
        return None;
    }
    Some(identity)
}

/// `path` from `base`; `None` if it is empty.
fn resolve(base: &Path, path: &Path) -> Option<PathBuf> {
    (!path.as_os_str().is_empty()).then(|| base.join(path))
}
