//! The keys of `[[advertiser]]` with `protocol = "ospf"`, their defaults and their limits.
//!
//! The `protocol` tag itself belongs to the list of advertisers, not to this part; the key file is read by whoever starts it.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::wire::{Algorithm, AreaId, RouterId};
use crate::base::duration;
use crate::base::problem::Problem;

/// Above it the cost classes would run into the last resort.
const HIGHEST_COST: u16 = 59_000;

/// How OSPFv3 advertises.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Config {
    /// The link; empty: the service's.
    pub interface: String,
    /// This instance's name among all routers; there is no default.
    pub router_id: Option<Ipv4Addr>,
    /// The area of the link.
    pub area: Ipv4Addr,
    /// What the routers have configured the area as.
    pub area_type: AreaType,
    /// What the routers have configured the link as.
    pub network: Network,
    /// Which of several instances on the link.
    pub instance_id: u8,
    /// Time between Hellos: whole seconds, and the same as the routers'.
    #[serde(with = "duration")]
    pub hello: Duration,
    /// A neighbour is dead after so long without a Hello: whole seconds, and the same as the routers'.
    #[serde(with = "duration")]
    pub dead: Duration,
    /// Route cost in the class "normal".
    pub cost: u16,
    /// What kind of LSA carries the service addresses.
    pub lsa: LsaKind,
    /// What idle standby does.
    pub standby: Standby,
    /// The routers' authentication trailer (RFC 7166).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authentication: Option<Authentication>,
}

/// What an area takes from outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AreaType {
    /// Everything.
    #[default]
    Normal,
    /// Nothing but a default route.
    Stub,
    /// The same, but it may have routes to elsewhere of its own.
    Nssa,
}

/// What a link looks like to OSPF.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// Any number of routers, one of them designated.
    #[default]
    Broadcast,
    /// This host and one router.
    PointToPoint,
}

/// What kind of LSA carries the service addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LsaKind {
    /// Intra-Area-Prefix-LSAs.
    #[default]
    Intra,
    /// AS-External-LSAs, metric type 1: added to the way there.
    E1,
    /// AS-External-LSAs, metric type 2: counts before the way there.
    E2,
    /// NSSA-LSAs, metric type 2.
    Nssa,
}

/// What idle standby does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standby {
    /// Advertises on at the cost of the last resort.
    #[default]
    LastResort,
    /// Withdraws while another server is there that is no last resort itself.
    Withdraw,
}

/// The authentication trailer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Authentication {
    /// The key's number, the same as the routers'; never 0.
    pub key_id: u16,
    /// The algorithm, the same as the routers'.
    #[serde(with = "algorithm")]
    pub algorithm: Algorithm,
    /// The file with the secret.
    pub key_file: PathBuf,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            interface: String::new(),
            router_id: None,
            area: Ipv4Addr::UNSPECIFIED,
            area_type: AreaType::default(),
            network: Network::default(),
            instance_id: 0,
            hello: Duration::from_secs(1),
            dead: Duration::from_secs(4),
            cost: 10,
            lsa: LsaKind::default(),
            standby: Standby::default(),
            authentication: None,
        }
    }
}

impl Config {
    /// Its router ID; none before the checks have demanded one.
    #[must_use]
    pub fn router(&self) -> RouterId {
        self.router_id.map_or(RouterId::NONE, |id| RouterId(id.into()))
    }

    /// Its area.
    #[must_use]
    pub fn area(&self) -> AreaId {
        AreaId(self.area.into())
    }

    /// Adds what is wrong with the values to `problems`; `key_prefix` is this table's path, as in `advertiser[0]`.
    pub fn check(&self, key_prefix: &str, problems: &mut Vec<Problem>) {
        let mut refuse = |key: &str, what: String, cure: &str| problems.push(Problem::new(format!("{key_prefix}.{key}"), what, cure));
        if self.router() == RouterId::NONE {
            refuse(
                "router-id",
                "the router ID is missing".to_owned(),
                "write router-id = \"10.0.1.1\" with a number that no other router or server of the network has",
            );
        }
        for (key, value) in [("hello", self.hello), ("dead", self.dead)] {
            if value.subsec_nanos() != 0 || !(1..=65_535).contains(&value.as_secs()) {
                refuse(
                    key,
                    format!("{} cannot be said to a router", duration::format(value)),
                    "write whole seconds from \"1s\" to \"65535s\"",
                );
            }
        }
        if self.dead <= self.hello {
            refuse(
                "dead",
                format!(
                    "a neighbour would be dead after {}, before its next Hello",
                    duration::format(self.dead)
                ),
                "write four times the hello interval",
            );
        }
        if !(1..=HIGHEST_COST).contains(&self.cost) {
            refuse(
                "cost",
                format!("a cost of {} is out of range", self.cost),
                "write a cost from 1 to 59000",
            );
        }
        if self.area.is_unspecified() && self.area_type != AreaType::Normal {
            refuse(
                "area-type",
                "area 0.0.0.0 is the backbone, which takes everything".to_owned(),
                "write the area that the routers have on this link, or area-type = \"normal\"",
            );
        }
        let fits = match self.lsa {
            LsaKind::Intra => true,
            LsaKind::E1 | LsaKind::E2 => self.area_type == AreaType::Normal,
            LsaKind::Nssa => self.area_type == AreaType::Nssa,
        };
        if !fits {
            refuse(
                "lsa",
                "an area of this type does not take such LSAs".to_owned(),
                "write lsa = \"intra\"; \"e1\" and \"e2\" are for area-type = \"normal\", \"nssa\" for \"nssa\"",
            );
        }
        if self.authentication.as_ref().is_some_and(|key| key.key_id == 0) {
            refuse(
                "authentication.key-id",
                "the key's number is missing, or 0, which FRR cannot have".to_owned(),
                "write key-id = 1 with the number from 1 to 65535 that the routers have given the key",
            );
        }
        if self.authentication.as_ref().is_some_and(|key| key.key_file.as_os_str().is_empty()) {
            refuse(
                "authentication.key-file",
                "the key file is missing".to_owned(),
                "write key-file = \"ospf.key\" with the file that holds the routers' key",
            );
        }
    }
}

/// The algorithm by the name that FRR and BIRD give it.
mod algorithm {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Algorithm;

    const NAMES: [(&str, Algorithm); 4] = [
        ("hmac-sha-1", Algorithm::HmacSha1),
        ("hmac-sha-256", Algorithm::HmacSha256),
        ("hmac-sha-384", Algorithm::HmacSha384),
        ("hmac-sha-512", Algorithm::HmacSha512),
    ];

    pub(super) fn serialize<S: Serializer>(algorithm: &Algorithm, serializer: S) -> Result<S::Ok, S::Error> {
        let name = NAMES.iter().find(|(_, known)| known == algorithm).map_or("", |(name, _)| name);
        serializer.serialize_str(name)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Algorithm, D::Error> {
        let name = String::deserialize(deserializer)?;
        let known = NAMES.iter().find(|(known, _)| *known == name);
        known
            .map(|(_, algorithm)| *algorithm)
            .ok_or_else(|| D::Error::unknown_variant(&name, &["hmac-sha-1", "hmac-sha-256", "hmac-sha-384", "hmac-sha-512"]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(config: &Config) -> Vec<String> {
        let mut problems = Vec::new();
        config.check("advertiser[0]", &mut problems);
        problems.into_iter().map(|problem| problem.key).collect()
    }

    fn right() -> Config {
        Config {
            router_id: Some(Ipv4Addr::new(10, 0, 1, 1)),
            ..Config::default()
        }
    }

    #[test]
    fn the_defaults_are_right_but_for_the_router_id() {
        assert_eq!(problems(&Config::default()), ["advertiser[0].router-id"]);
        assert_eq!(problems(&right()), Vec::<String>::new());
        assert_eq!(serde_json::from_str::<Config>("{}").unwrap(), Config::default());
    }

    #[test]
    fn every_wrong_value_is_reported() {
        let config = Config {
            hello: Duration::from_millis(1_500),
            dead: Duration::from_secs(1),
            cost: 0,
            area_type: AreaType::Stub,
            lsa: LsaKind::E2,
            authentication: Some(Authentication::default()),
            ..right()
        };
        let keys = [
            "hello",
            "dead",
            "cost",
            "area-type",
            "lsa",
            "authentication.key-id",
            "authentication.key-file",
        ];
        assert_eq!(problems(&config), keys.map(|key| format!("advertiser[0].{key}")));
    }

    #[test]
    fn keys_are_kebab_case_and_unknown_ones_refused() {
        let text = r#"{"router-id":"10.0.1.1","area":"0.0.0.5","area-type":"nssa","network":"point-to-point","instance-id":3,"lsa":"nssa",
            "standby":"withdraw","authentication":{"key-id":1,"algorithm":"hmac-sha-512","key-file":"ospf.key"}}"#;
        let read: Config = serde_json::from_str(text).unwrap();
        assert_eq!((read.router(), read.area()), (RouterId(0x0a00_0101), AreaId(5)));
        assert_eq!(
            (read.area_type, read.network, read.standby),
            (AreaType::Nssa, Network::PointToPoint, Standby::Withdraw)
        );
        assert_eq!(read.authentication.as_ref().unwrap().algorithm, Algorithm::HmacSha512);
        assert_eq!(
            serde_json::from_str::<Config>(&serde_json::to_string(&read).unwrap()).unwrap(),
            read
        );
        assert!(serde_json::from_str::<Config>(r#"{"router_id":"10.0.1.1"}"#).is_err());
        assert!(serde_json::from_str::<Config>(r#"{"authentication":{"algorithm":"md5"}}"#).is_err());
    }
}
