//! The `[dns]` table: what the service process (300) listens on and how it answers.
//!
//! Not the zones (`[zones]`, `[[zone]]`) and not the service addresses (`[service]`), which listen by themselves.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::protect::rate_limit::{Limits, MOST_RATE, MOST_SLIP};
use crate::base::duration;
use crate::base::prefix::Prefix;
use crate::base::problem::Problem;

/// The least UDP payload every DNS implementation takes (RFC 1035 §2.3.4).
const LEAST_UDP_PAYLOAD: u16 = 512;
/// More than this is fragmented on every link there is, and refused by most resolvers.
const MOST_UDP_PAYLOAD: u16 = 4096;
const MOST_WORKERS: usize = 1024;

/// The `[dns]` table as the operator writes it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Config {
    /// Unicast addresses, UDP and TCP; may be empty.
    pub listen: Vec<SocketAddr>,
    /// Addresses for DNS over TLS (RFC 7858); service addresses may be among them.
    pub tls_listen: Vec<SocketAddr>,
    /// Addresses for DNS over HTTPS (RFC 8484); service addresses may be among them.
    pub https_listen: Vec<SocketAddr>,
    /// Addresses for DNS over QUIC (RFC 9250); service addresses may be among them.
    pub quic_listen: Vec<SocketAddr>,
    /// The chain of certificates for these, in PEM.
    pub certificate_file: PathBuf,
    /// The private key of its first certificate, in PEM.
    pub key_file: PathBuf,
    /// The path of HTTPS requests.
    pub https_path: String,
    /// UDP workers per listening address; `None`: one per core.
    pub workers: Option<usize>,
    /// The most octets of an answer over UDP, whatever the client offers.
    pub udp_payload: u16,
    /// Response rate limit: equal answers a second over UDP to one prefix of clients; 0: off.
    pub rate_limit: u32,
    /// Every how many-th limited answer goes out empty with TC, so that true clients come by TCP; 0: none.
    pub rate_limit_slip: u8,
    /// Clients that are never limited.
    pub rate_limit_exempt: Vec<Prefix>,
    /// IPv4 clients with so many first bits in common are limited as one.
    pub rate_limit_ipv4_prefix: u8,
    /// IPv6 clients with so many first bits in common are limited as one.
    pub rate_limit_ipv6_prefix: u8,
    /// The file with the secrets for server cookies, which all servers of a set must share; empty: one made at the start.
    pub cookie_secret_file: PathBuf,
    /// Over UDP clients that speak cookies are answered only with a valid one.
    pub cookie_required: bool,
    /// A TCP connection without a query for so long is closed.
    #[serde(with = "duration")]
    pub tcp_idle: Duration,
    /// TCP connections at the same time.
    pub tcp_connections: usize,
    /// Of these, from one client address (IPv6: from one /64).
    pub tcp_connections_per_client: usize,
    /// A TCP connection is closed after so many answers; 0: after any number.
    pub tcp_queries: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: vec![
                SocketAddr::from(([127, 0, 0, 1], 5300)),
                SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 5300)),
            ],
            tls_listen: Vec::new(),
            https_listen: Vec::new(),
            quic_listen: Vec::new(),
            certificate_file: PathBuf::new(),
            key_file: PathBuf::new(),
            https_path: "/dns-query".to_owned(),
            workers: None,
            udp_payload: 1232,
            rate_limit: 0,
            rate_limit_slip: 2,
            rate_limit_exempt: Vec::new(),
            rate_limit_ipv4_prefix: 24,
            rate_limit_ipv6_prefix: 56,
            cookie_secret_file: PathBuf::new(),
            cookie_required: false,
            tcp_idle: Duration::from_secs(10),
            tcp_connections: 1000,
            tcp_connections_per_client: 100,
            tcp_queries: 0,
        }
    }
}

impl Config {
    /// Adds everything that is wrong with these values to `problems`.
    pub fn check(&self, problems: &mut Vec<Problem>) {
        self.check_addresses(problems);
        self.check_encryption(problems);
        if let Some(workers) = self.workers.filter(|workers| *workers == 0 || *workers > MOST_WORKERS) {
            problems.push(Problem::new(
                "dns.workers",
                format!("{workers} is no possible number of workers"),
                format!("write 1 to {MOST_WORKERS}, or leave it out for one per core"),
            ));
        }
        if !(LEAST_UDP_PAYLOAD..=MOST_UDP_PAYLOAD).contains(&self.udp_payload) {
            problems.push(Problem::new(
                "dns.udp-payload",
                format!("{} octets cannot be offered", self.udp_payload),
                format!("write {LEAST_UDP_PAYLOAD} to {MOST_UDP_PAYLOAD}; 1232 is never fragmented"),
            ));
        }
        self.check_rate_limit(problems);
        if self.tcp_idle < Duration::from_millis(100) {
            problems.push(Problem::new(
                "dns.tcp-idle",
                format!("{} closes connections before a query can come", duration::format(self.tcp_idle)),
                "write at least \"100ms\"; \"10s\" is usual",
            ));
        }
        for (key, value) in [
            ("dns.tcp-connections", self.tcp_connections),
            ("dns.tcp-connections-per-client", self.tcp_connections_per_client),
        ] {
            if value == 0 {
                problems.push(Problem::new(key, "0 would refuse every TCP client", "write at least 1"));
            }
        }
    }

    fn check_rate_limit(&self, problems: &mut Vec<Problem>) {
        let mut check = |key: &str, value: u32, range: RangeInclusive<u32>, usual: &str| {
            if !range.contains(&value) {
                let cure = format!("write {} to {}; {usual}", range.start(), range.end());
                problems.push(Problem::new(format!("dns.{key}"), format!("{value} is out of range"), cure));
            }
        };
        check("rate-limit", self.rate_limit, 0..=MOST_RATE, "0 turns the limit off");
        check(
            "rate-limit-slip",
            self.rate_limit_slip.into(),
            0..=MOST_SLIP.into(),
            "2 is usual, 0 lets none slip",
        );
        check("rate-limit-ipv4-prefix", self.rate_limit_ipv4_prefix.into(), 1..=32, "24 is usual");
        check("rate-limit-ipv6-prefix", self.rate_limit_ipv6_prefix.into(), 1..=128, "56 is usual");
    }

    /// The response rate limit, if it is on.
    #[must_use]
    pub fn limits(&self) -> Option<Limits> {
        Some(Limits {
            rate: NonZeroU32::new(self.rate_limit)?,
            slip: self.rate_limit_slip,
            ipv4_prefix: self.rate_limit_ipv4_prefix,
            ipv6_prefix: self.rate_limit_ipv6_prefix,
            exempt: self.rate_limit_exempt.clone(),
        })
    }

    fn check_addresses(&self, problems: &mut Vec<Problem>) {
        let mut taken = Vec::new();
        for (list, protocols, addresses) in self.listens() {
            for (index, address) in addresses.iter().enumerate() {
                let key = format!("dns.{list}[{index}]");
                let clashes = |(_, others, other): &&(String, Protocols, SocketAddr)| other == address && others.clash(protocols);
                if let Some((what, cure)) = refuse_address(*address) {
                    problems.push(Problem::new(key, what, cure));
                } else if let Some((earlier, ..)) = taken.iter().find(clashes) {
                    let what = if earlier.starts_with(&format!("dns.{list}[")) {
                        format!("{address} is listed twice")
                    } else {
                        let port = if protocols.tcp { "TCP" } else { "UDP" };
                        format!("{earlier} has the {port} port of {address} already")
                    };
                    problems.push(Problem::new(key, what, "remove one of them, or choose another port"));
                } else {
                    taken.push((key, protocols, *address));
                }
            }
        }
    }

    /// All lists of addresses, with what is used below DNS there.
    fn listens(&self) -> [(&'static str, Protocols, &[SocketAddr]); 4] {
        let (both, tcp, udp) = (
            Protocols { udp: true, tcp: true },
            Protocols { udp: false, tcp: true },
            Protocols { udp: true, tcp: false },
        );
        [
            ("listen", both, &self.listen),
            ("tls-listen", tcp, &self.tls_listen),
            ("https-listen", tcp, &self.https_listen),
            ("quic-listen", udp, &self.quic_listen),
        ]
    }

    /// The lists of addresses that are to be listened on with encryption, by the names of their keys.
    #[must_use]
    pub fn encrypted_lists(&self) -> [(&'static str, &[SocketAddr]); 3] {
        let [_, encrypted @ ..] = self.listens();
        encrypted.map(|(list, _, addresses)| (list, addresses))
    }

    /// Something is to be listened on with encryption.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.encrypted_lists().iter().any(|(_, addresses)| !addresses.is_empty())
    }

    fn check_encryption(&self, problems: &mut Vec<Problem>) {
        let lists = self.encrypted_lists();
        if let Some((list, _)) = lists.iter().find(|(_, addresses)| !addresses.is_empty()) {
            let missing = |key: &str, what: &str, problems: &mut Vec<Problem>| {
                let reason = format!("{key} is missing, and dns.{list} needs it");
                problems.push(Problem::new(
                    format!("dns.{key}"),
                    reason,
                    format!("name {what}, or empty the list"),
                ));
            };
            if self.certificate_file.as_os_str().is_empty() {
                let what = "a PEM file with the server's certificate first, then those that signed it";
                missing("certificate-file", what, problems);
            }
            if self.key_file.as_os_str().is_empty() {
                missing("key-file", "a PEM file with the certificate's private key", problems);
            }
        }
        let is_path =
            |path: &str| path.starts_with('/') && path.bytes().all(|octet| octet.is_ascii_graphic() && !b"?#{}%\"".contains(&octet));
        if !is_path(&self.https_path) {
            problems.push(Problem::new(
                "dns.https-path",
                format!("'{}' cannot be the path of a URL", self.https_path),
                "write a path that begins with /, as in \"/dns-query\", without a variable",
            ));
        }
    }
}

/// What is used below DNS.
#[derive(Clone, Copy)]
struct Protocols {
    udp: bool,
    tcp: bool,
}

impl Protocols {
    const fn clash(self, other: Self) -> bool {
        self.udp && other.udp || self.tcp && other.tcp
    }
}

fn refuse_address(address: SocketAddr) -> Option<(String, &'static str)> {
    if address.ip().is_unspecified() {
        let cure = "list the addresses of this host one by one: an answer must come from the address that was asked";
        Some((format!("{address} is no address of its own"), cure))
    } else if address.ip().is_multicast() {
        Some((format!("{address} is a multicast address"), "write a unicast address"))
    } else if address.port() == 0 {
        Some((format!("{address} has no port"), "write a port, as in \"[::1]:5300\""))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(config: &Config) -> Vec<String> {
        let mut problems = Vec::new();
        config.check(&mut problems);
        problems.into_iter().map(|problem| problem.key).collect()
    }

    #[test]
    fn the_defaults_are_right_and_written_in_kebab_case() {
        assert!(keys(&Config::default()).is_empty());
        let json = serde_json::to_value(Config::default()).unwrap();
        assert_eq!(json["udp-payload"], 1232);
        assert_eq!(json["listen"][1], "[::1]:5300");
        assert_eq!(json["tcp-idle"], "10s");
        assert_eq!(serde_json::from_str::<Config>("{}").unwrap(), Config::default());
    }

    #[test]
    fn the_limit_is_off_until_there_is_a_rate() {
        assert_eq!(Config::default().limits(), None);
        let config = serde_json::from_str::<Config>(r#"{"rate-limit": 20, "rate-limit-exempt": ["192.0.2.0/24", "::1"]}"#).unwrap();
        let limits = config.limits().unwrap();
        assert_eq!((limits.rate.get(), limits.slip), (20, 2));
        assert_eq!((limits.ipv4_prefix, limits.ipv6_prefix, limits.exempt.len()), (24, 56, 2));
    }

    #[test]
    fn unknown_keys_are_refused() {
        let error = serde_json::from_str::<Config>(r#"{"udp-paylaod": 1400}"#).unwrap_err();
        assert!(error.to_string().contains("udp-paylaod"), "{error}");
    }

    #[test]
    fn every_wrong_value_is_named() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let config = Config {
            listen: vec![
                address("[::]:53"),
                address("192.0.2.1:53"),
                address("192.0.2.1:53"),
                address("[ff02::1]:53"),
                address("192.0.2.1:0"),
            ],
            tls_listen: vec![address("192.0.2.1:53"), address("192.0.2.2:853")],
            https_listen: vec![address("192.0.2.2:853")],
            quic_listen: vec![address("192.0.2.2:853"), address("192.0.2.1:53")],
            certificate_file: PathBuf::new(),
            key_file: PathBuf::new(),
            https_path: "dns-query{?dns}".to_owned(),
            workers: Some(0),
            udp_payload: 100,
            rate_limit: MOST_RATE + 1,
            rate_limit_slip: 11,
            rate_limit_ipv4_prefix: 33,
            rate_limit_ipv6_prefix: 0,
            tcp_idle: Duration::ZERO,
            tcp_connections: 0,
            tcp_connections_per_client: 0,
            ..Config::default()
        };
        let expected = [
            "dns.listen[0]",
            "dns.listen[2]",
            "dns.listen[3]",
            "dns.listen[4]",
            "dns.tls-listen[0]",
            "dns.https-listen[0]",
            "dns.quic-listen[1]",
            "dns.certificate-file",
            "dns.key-file",
            "dns.https-path",
            "dns.workers",
            "dns.udp-payload",
            "dns.rate-limit",
            "dns.rate-limit-slip",
            "dns.rate-limit-ipv4-prefix",
            "dns.rate-limit-ipv6-prefix",
            "dns.tcp-idle",
            "dns.tcp-connections",
            "dns.tcp-connections-per-client",
        ];
        assert_eq!(keys(&config), expected);
    }
}
