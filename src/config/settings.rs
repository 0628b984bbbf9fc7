//! A configuration that has been checked: what the program runs on. Its types leave no room for wrong values.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use super::secrets;
use super::service::{Service, check_interface};
use super::zones::ZoneSources;
use super::{AdvertiserConfig, Config};
use crate::advertiser::nd::config::Mode;
use crate::advertiser::{ospf, peers};
use crate::base::address::ServiceAddress;
use crate::base::peer::{LONGEST_IDENTITY, is_identity};
use crate::base::problem::Problem;
use crate::dns::server::encrypted::{CertificateFiles, Certificates};
use crate::io::files;
use crate::{dns, scheduler};

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// This server's name: NSID, `id.server`, and its hash among the peers.
    pub identity: String,
    /// What the service process listens on and how it answers.
    pub dns: dns::config::Config,
    /// Where the zones are.
    pub zones: ZoneSources,
    /// The service addresses, if there are any.
    pub service: Option<Service>,
    /// When to go silent, how long to wait.
    pub scheduler: scheduler::config::Config,
    /// How servers know each other.
    pub peers: peers::config::Config,
    /// Sending means, in the configured order; empty exactly if there is no service.
    pub advertisers: Vec<AdvertiserConfig>,
    /// Where state is kept: as configured, or `None` for the default rule.
    pub state_directory: Option<PathBuf>,
    /// The admin socket.
    pub control_socket: PathBuf,
    /// Where the web part listens, if it is on.
    pub web: Option<SocketAddr>,
    /// Where the agent check listens, if it is on.
    pub agent_check: Option<SocketAddr>,
}

/// Checks every part and the parts against one another. Relative paths are taken from `base`.
pub(super) fn check(config: &Config, base: &Path, problems: &mut Vec<Problem>) -> Option<Settings> {
    let identity = check_identity(&config.identity, problems);
    let zones = ZoneSources::check(&config.zones, &config.zone, base, problems);
    let service = config.service.as_ref().map(|service| service.check(problems));
    config.scheduler.check(problems);
    config.dns.check(problems);
    config.peers.check("peers", problems);
    for (index, advertiser) in config.advertiser.iter().enumerate() {
        let key = format!("advertiser[{index}]");
        match advertiser {
            AdvertiserConfig::Nd(nd) => nd.check(&key, problems),
            AdvertiserConfig::Ospf(ospf) => {
                ospf.check(&key, problems);
                if !ospf.interface.is_empty() {
                    problems.extend(check_interface(&format!("{key}.interface"), &ospf.interface).err());
                }
            }
        }
    }
    let web = config.web.check(problems);
    let agent_check = config.agent_check.check(problems);
    check_together(config, problems);
    let dns = dns::config::Config {
        cookie_secret_file: base_if_any(base, &config.dns.cookie_secret_file),
        certificate_file: base_if_any(base, &config.dns.certificate_file),
        key_file: base_if_any(base, &config.dns.key_file),
        ..config.dns.clone()
    };
    check_certificate(&dns, problems);
    check_secrets(&dns.cookie_secret_file, problems);
    let peers = peers::config::Config {
        key_file: base_if_any(base, &config.peers.key_file),
        ..config.peers.clone()
    };
    check_peers_key(&peers.key_file, problems);
    let advertisers: Vec<AdvertiserConfig> = config.advertiser.iter().map(|advertiser| with_base(advertiser, base)).collect();
    for (index, advertiser) in advertisers.iter().enumerate() {
        if let AdvertiserConfig::Ospf(ospf) = advertiser
            && let Some(authentication) = &ospf.authentication
        {
            check_ospf_key(&format!("advertiser[{index}]"), authentication, problems);
        }
    }
    if !problems.is_empty() {
        return None;
    }
    Some(Settings {
        identity: identity?,
        dns,
        zones,
        service: service.flatten(),
        scheduler: config.scheduler.clone(),
        peers,
        advertisers,
        state_directory: resolve(base, &config.state.directory),
        control_socket: resolve(base, &config.control.socket).unwrap_or_else(|| config.control.socket()),
        web,
        agent_check,
    })
}

/// What is right by itself and wrong beside the other parts.
fn check_together(config: &Config, problems: &mut Vec<Problem>) {
    match &config.service {
        Some(_) if config.advertiser.is_empty() => {
            let cure = "add [[advertiser]] with protocol = \"nd\", or list the addresses in [dns] listen to serve without advertising";
            problems.push(Problem::new(
                "service",
                "nothing would advertise the service addresses: there is no [[advertiser]]",
                cure,
            ));
        }
        None if !config.advertiser.is_empty() => {
            let cure = "add [service] with addresses and interface, or remove [[advertiser]]";
            problems.push(Problem::new("advertiser[0]", "there is no service address to advertise", cure));
        }
        _ => {}
    }
    check_advertisers(config, problems);
    check_listens(config, problems);
}

fn check_advertisers(config: &Config, problems: &mut Vec<Problem>) {
    let mut first_nd = None;
    for (index, advertiser) in config.advertiser.iter().enumerate() {
        match advertiser {
            AdvertiserConfig::Nd(nd) => {
                if let Some(first) = first_nd {
                    let what = format!("advertiser[{first}] speaks nd on this interface already");
                    let cure = "keep one of them: two would answer each other";
                    problems.push(Problem::new(format!("advertiser[{index}].protocol"), what, cure));
                }
                first_nd.get_or_insert(index);
                check_peers(index, nd.mode, config, problems);
            }
            AdvertiserConfig::Ospf(ospf) => check_ospf(index, ospf, config, problems),
        }
    }
}

fn check_peers(index: usize, mode: Mode, config: &Config, problems: &mut Vec<Problem>) {
    let needs_peers = match mode {
        Mode::Failover => Some("failover"),
        Mode::Rotate => Some("rotate"),
        Mode::Member => None,
    };
    if let Some(mode) = needs_peers.filter(|_| !config.peers.enabled) {
        let what = format!("with mode \"{mode}\" in advertiser[{index}] the servers must know each other");
        let cure = "remove enabled = false, or write mode = \"member\"";
        problems.push(Problem::new("peers.enabled", what, cure));
    }
}

/// One instance for each interface, each with a router ID of its own: then none ever has to flood from one link to another.
fn check_ospf(index: usize, ospf: &ospf::Config, config: &Config, problems: &mut Vec<Problem>) {
    let interface_of = |ospf: &ospf::Config| match config.service.as_ref() {
        Some(service) if ospf.interface.is_empty() => service.interface.clone(),
        _ => ospf.interface.clone(),
    };
    for (earlier, other) in config.advertiser[..index].iter().enumerate() {
        let AdvertiserConfig::Ospf(other) = other else { continue };
        if ospf.router_id.is_some() && other.router_id == ospf.router_id {
            let what = format!("advertiser[{earlier}] has this router ID already");
            let cure = "write another one: each interface is a router of its own to OSPF";
            problems.push(Problem::new(format!("advertiser[{index}].router-id"), what, cure));
        }
        if interface_of(other) == interface_of(ospf) {
            let what = format!("advertiser[{earlier}] speaks ospf on this interface already");
            problems.push(Problem::new(format!("advertiser[{index}].protocol"), what, "keep one of them"));
        }
    }
}

fn check_listens(config: &Config, problems: &mut Vec<Problem>) {
    let Some(service) = &config.service else { return };
    for (index, listen) in config.dns.listen.iter().enumerate() {
        if is_service_address(service, listen.ip()) {
            let what = format!("{} is a service address, and those listen by themselves", listen.ip());
            problems.push(Problem::new(format!("dns.listen[{index}]"), what, "remove it here"));
        }
    }
    check_encrypted_listens(&config.dns, service, problems);
}

/// Of an encrypted transport only the port can clash with what a service address does by itself.
fn check_encrypted_listens(dns: &dns::config::Config, service: &super::service::Config, problems: &mut Vec<Problem>) {
    for (list, addresses) in dns.encrypted_lists() {
        for (index, listen) in addresses.iter().enumerate() {
            if listen.port() == service.port && is_service_address(service, listen.ip()) {
                let what = format!("{listen} is a service address and its port, which listens by itself");
                let cure = "choose another port: 853 is usual for TLS and QUIC, 443 for HTTPS";
                problems.push(Problem::new(format!("dns.{list}[{index}]"), what, cure));
            }
        }
    }
}

/// Reads the files, so that what is wrong with them is told before the server starts.
fn check_certificate(dns: &dns::config::Config, problems: &mut Vec<Problem>) {
    let Some(files) = CertificateFiles::of(dns) else { return };
    if let Err(error) = Certificates::load(files) {
        problems.push(Problem::new(error.key(), error.to_string(), error.cure()));
    }
}

fn check_secrets(file: &Path, problems: &mut Vec<Problem>) {
    if !file.as_os_str().is_empty()
        && let Err(error) = secrets::read(file)
    {
        let cure = "name a file that this user may read, with a line of 32 hexadecimal digits for each secret";
        problems.push(Problem::new("dns.cookie-secret-file", error.to_string(), cure));
    }
}

pub(super) fn check_peers_key(file: &Path, problems: &mut Vec<Problem>) {
    if file.as_os_str().is_empty() {
        return;
    }
    let fault = match files::read(file) {
        Ok(key) if key.trim_ascii().is_empty() => format!("there is no key in {}", file.display()),
        Ok(_) => return,
        Err(error) => error.to_string(),
    };
    let cure = "name a file that this user may read, with the same secret text at all peers: `openssl rand -hex 32` makes one";
    problems.push(Problem::new("peers.key-file", fault, cure));
}

fn check_ospf_key(key: &str, authentication: &ospf::config::Authentication, problems: &mut Vec<Problem>) {
    let (file, longest) = (&authentication.key_file, authentication.algorithm.longest_secret());
    if file.as_os_str().is_empty() {
        return;
    }
    let fault = match files::read(file).map(|octets| octets.trim_ascii().len()) {
        Ok(length) if (1..=longest).contains(&length) => return,
        Ok(length) => format!("{} has a key of {length} octets", file.display()),
        Err(error) => error.to_string(),
    };
    let cure = format!(
        "name a file that this user may read, with the routers' key: 1 to {longest} octets, longer ones are not used alike by all routers"
    );
    problems.push(Problem::new(format!("{key}.authentication.key-file"), fault, cure));
}

/// An address that cannot be one is told by `[service]`; taking it out of `[dns]` would not help.
fn is_service_address(service: &super::service::Config, address: IpAddr) -> bool {
    let IpAddr::V6(possible) = address else { return false };
    service.addresses.contains(&address) && ServiceAddress::new(possible).is_ok()
}

fn check_identity(configured: &str, problems: &mut Vec<Problem>) -> Option<String> {
    let host = || sysinfo::System::host_name().unwrap_or_default();
    let identity = if configured.is_empty() { host() } else { configured.to_owned() };
    let cure = "write identity = \"ams-1\" with a name that no other server has";
    if identity.is_empty() {
        problems.push(Problem::new("identity", "this host has no name that could be the identity", cure));
        return None;
    }
    if !is_identity(identity.as_bytes()) {
        let what = format!("'{identity}' cannot be an identity: up to {LONGEST_IDENTITY} visible ASCII characters, no spaces");
        problems.push(Problem::new("identity", what, cure));
        return None;
    }
    Some(identity)
}

/// The advertiser with its files taken from `base`.
fn with_base(advertiser: &AdvertiserConfig, base: &Path) -> AdvertiserConfig {
    let mut advertiser = advertiser.clone();
    if let AdvertiserConfig::Ospf(ospf) = &mut advertiser
        && let Some(authentication) = &mut ospf.authentication
    {
        authentication.key_file = base_if_any(base, &authentication.key_file);
    }
    advertiser
}

/// `path` from `base`; an empty one stays empty.
pub(super) fn base_if_any(base: &Path, path: &Path) -> PathBuf {
    resolve(base, path).unwrap_or_default()
}

/// `path` from `base`; `None` if it is empty.
pub(super) fn resolve(base: &Path, path: &Path) -> Option<PathBuf> {
    (!path.as_os_str().is_empty()).then(|| base.join(path))
}
