//! Configuration: built-in defaults, the TOML file over them, the environment over both; checked into [`Settings`].
//!
//! Each part owns its keys, their defaults and their checks; here they are put together, checked against one another,
//! and every problem of a file is reported at once, each at its place.

mod layers;
mod places;
mod reader;
mod router;
pub mod secrets;
pub mod service;
mod settings;
pub mod zones;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use figment::value::{Dict, Value};
use toml_edit::Document;

use crate::advertiser::{nd, ospf, peers};
use crate::base::problem::Problem;
use crate::{control, dns, scheduler};
use layers::Layers;
use places::Places;
use reader::{Misfit, Reader};

pub use places::Place;
pub use router::RouterSettings;
pub use settings::Settings;

/// Everything that can be configured, as it was written: right types, unchecked values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// This server's name; empty: the host's.
    pub identity: String,
    /// `[dns]`.
    pub dns: dns::config::Config,
    /// `[zones]`.
    pub zones: zones::DirectoryConfig,
    /// `[[zone]]`.
    pub zone: Vec<zones::ZoneConfig>,
    /// `[service]`; without it nothing is advertised.
    pub service: Option<service::Config>,
    /// `[scheduler]`.
    pub scheduler: scheduler::config::Config,
    /// `[peers]`.
    pub peers: peers::config::Config,
    /// `[[advertiser]]`.
    pub advertiser: Vec<AdvertiserConfig>,
    /// `[state]`.
    pub state: StateConfig,
    /// `[control]`.
    pub control: control::config::Config,
    /// `[web]`.
    pub web: control::config::WebConfig,
    /// `[agent-check]`.
    pub agent_check: control::config::AgentCheckConfig,
}

/// The keys of one `[[advertiser]]`: those of its protocol.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "protocol", rename_all = "lowercase")]
pub enum AdvertiserConfig {
    /// Neighbor Discovery.
    Nd(nd::config::Config),
    /// OSPFv3.
    Ospf(ospf::config::Config),
}

/// The values of `protocol`.
const PROTOCOLS: [&str; 2] = ["nd", "ospf"];

/// The keys of `[state]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct StateConfig {
    /// Boot counter, traces, secondary zones. Empty: `/var/lib/heraldns` when it is writable, else none.
    pub directory: PathBuf,
}

const KEYS: [&str; 12] = [
    "identity",
    "dns",
    "zones",
    "zone",
    "service",
    "scheduler",
    "peers",
    "advertiser",
    "state",
    "control",
    "web",
    "agent-check",
];

/// A configuration that cannot be used: everything that is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// At least one, in the file's order.
    pub faults: Vec<Fault>,
}

/// One thing that is wrong, where, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where it was written.
    pub place: Place,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub cure: String,
}

impl Fault {
    fn new(place: Place, problem: Problem) -> Self {
        Self {
            place,
            what: problem.what,
            cure: problem.cure,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: error: {}\n  help: {}", self.place, self.what, self.cure)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            let end = if index == 0 { "" } else { "\n" };
            write!(formatter, "{end}{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Refused {}

/// Loads and checks the configuration of this process: `file` (or the built-in one) and the environment.
///
/// # Errors
/// Everything that is wrong.
pub fn load(file: Option<&Path>) -> Result<Settings, Refused> {
    match file {
        None => built_in(environment()),
        Some(file) => parse(file, read(file)?, environment()),
    }
}

/// Loads and checks the configuration of a router side: `file` and the environment.
///
/// # Errors
/// Everything that is wrong.
pub fn load_router(file: &Path) -> Result<RouterSettings, Refused> {
    parse_router(file, read(file)?, environment())
}

/// Checks a file for whom it is: for a router side if it has a `[router]`, else for a server.
///
/// # Errors
/// Everything that is wrong.
pub fn check_file(file: &Path) -> Result<Checked, Refused> {
    let text = read(file)?;
    let is_router = Document::parse(text.as_str()).is_ok_and(|document| document.contains_key("router"));
    if is_router {
        parse_router(file, text, environment()).map(|_| Checked::Router)
    } else {
        parse(file, text, environment()).map(Box::new).map(Checked::Server)
    }
}

/// What a right file configures.
#[derive(Clone, Debug)]
pub enum Checked {
    /// `heraldns serve`.
    Server(Box<Settings>),
    /// `heraldns router`.
    Router,
}

fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

fn read(file: &Path) -> Result<String, Refused> {
    fs::read_to_string(file).map_err(|error| Refused::at_start_of(file, format!("the file cannot be read: {error}")))
}

/// Checks the built-in configuration: the zones of `zones/` in the current directory, on the default addresses.
///
/// # Errors
/// As [`load`].
pub fn built_in(environment: impl IntoIterator<Item = (String, String)>) -> Result<Settings, Refused> {
    let zones = Dict::from([("directory".to_owned(), Value::from("zones"))]);
    let values = Dict::from([("zones".to_owned(), Value::from(zones))]);
    compose(None, values, environment, Config::read, settings::check)
}

/// Checks the configuration `text`, which is the content of `file`.
///
/// # Errors
/// As [`load`].
pub fn parse(file: &Path, text: String, environment: impl IntoIterator<Item = (String, String)>) -> Result<Settings, Refused> {
    let document = parse_toml(file, text)?;
    let values = layers::file_values(document.as_table());
    compose(Some((file, &document)), values, environment, Config::read, settings::check)
}

/// Checks the configuration `text` of a router side, which is the content of `file`.
///
/// # Errors
/// As [`load_router`].
pub fn parse_router(file: &Path, text: String, environment: impl IntoIterator<Item = (String, String)>) -> Result<RouterSettings, Refused> {
    let document = parse_toml(file, text)?;
    let values = layers::file_values(document.as_table());
    compose(
        Some((file, &document)),
        values,
        environment,
        router::Config::read,
        router::Config::check,
    )
}

fn parse_toml(file: &Path, text: String) -> Result<Document<String>, Refused> {
    match Document::parse(text.clone()) {
        Ok(document) => Ok(document),
        Err(error) => {
            let offset = error.span().map_or(0, |span| span.start);
            let (line, column) = places::line_and_column(&text, offset);
            let place = Place::File {
                file: file.to_owned(),
                line,
                column,
            };
            let what = error.message().trim_end().replace('\n', "; ");
            let cure = "this is not TOML: strings stand between quotes, lists between brackets, tables in [name]".to_owned();
            Err(Refused {
                faults: vec![Fault { place, what, cure }],
            })
        }
    }
}

/// `read` makes a configuration of the values, `check` what the program runs on.
fn compose<Written, Right>(
    file: Option<(&Path, &Document<String>)>,
    values: Dict,
    environment: impl IntoIterator<Item = (String, String)>,
    read: impl FnOnce(&mut Reader, Dict) -> Written,
    check: impl FnOnce(&Written, &Path, &mut Vec<Problem>) -> Option<Right>,
) -> Result<Right, Refused> {
    let layers = Layers::new(values, environment);
    let values = layers.values();
    let mut from_environment = Vec::new();
    collect_environment(&layers, "", &values, &mut from_environment);
    let mut reader = Reader::default();
    let config = read(&mut reader, values);
    let mut problems = Vec::new();
    let base = file.and_then(|(file, _)| file.parent()).unwrap_or(Path::new(""));
    let settings = check(&config, base, &mut problems);
    if file.is_none() && !Path::new("zones").is_dir() {
        explain_missing_zones(&mut problems);
    }
    let faults = place_faults(&Places::new(file, from_environment), reader, problems);
    match settings {
        Some(settings) if faults.is_empty() => Ok(settings),
        _ => Err(Refused { faults }),
    }
}

impl Config {
    fn read(reader: &mut Reader, values: Dict) -> Self {
        let mut config = Self::default();
        for (key, value) in values {
            match key.as_str() {
                "identity" => config.identity = reader.text("identity", &value),
                "dns" => config.dns = reader.table("dns", value),
                "zones" => config.zones = reader.table("zones", value),
                "zone" => {
                    config.zone = reader
                        .tables("zone", value)
                        .into_iter()
                        .map(|(path, zone)| reader.table(&path, zone))
                        .collect()
                }
                "service" => config.service = Some(reader.table("service", value)),
                "scheduler" => config.scheduler = reader.table("scheduler", value),
                "peers" => config.peers = reader.table("peers", value),
                "advertiser" => config.advertiser = Self::read_advertisers(reader, value),
                "state" => config.state = reader.table("state", value),
                "control" => config.control = reader.table("control", value),
                "web" => config.web = reader.table("web", value),
                "agent-check" => config.agent_check = reader.table("agent-check", value),
                "router" => {
                    let cure = "start it with `heraldns router --config FILE`; a server has a file of its own";
                    reader.misfit("router", "this is a router side's table, and this program is to be a server", cure);
                }
                unknown => reader.unknown_key("", unknown, &KEYS),
            }
        }
        config
    }

    /// Advertisers whose protocol is unknown are reported and left out.
    fn read_advertisers(reader: &mut Reader, value: Value) -> Vec<AdvertiserConfig> {
        let tables = reader.tables("advertiser", value).into_iter();
        tables
            .filter_map(|(path, table)| AdvertiserConfig::read(reader, &path, table))
            .collect()
    }
}

impl AdvertiserConfig {
    fn read(reader: &mut Reader, path: &str, table: Value) -> Option<Self> {
        let mut entries = reader.entries(path, table)?;
        let key = format!("{path}.protocol");
        let known = format!("write protocol = \"nd\"; known here: {}", PROTOCOLS.join(", "));
        let Some(protocol) = entries.remove("protocol") else {
            reader.misfit(&key, "the advertiser has no protocol", known);
            return None;
        };
        match protocol.as_str() {
            Some("nd") => Some(Self::Nd(reader.table(path, Value::from(entries)))),
            Some("ospf") => Some(Self::Ospf(reader.table(path, Value::from(entries)))),
            Some(unknown) => {
                reader.misfit(&key, format!("unknown protocol '{unknown}'"), reader::suggest(unknown, &PROTOCOLS));
                None
            }
            None => {
                reader.misfit(&key, "the protocol is no text", known);
                None
            }
        }
    }
}

impl Refused {
    fn at_start_of(file: &Path, what: String) -> Self {
        let place = Place::File {
            file: file.to_owned(),
            line: 1,
            column: 1,
        };
        let cure = "name a file that exists and that this user may read".to_owned();
        Self {
            faults: vec![Fault { place, what, cure }],
        }
    }
}

fn collect_environment(layers: &Layers, path: &str, values: &Dict, found: &mut Vec<String>) {
    for (key, value) in values {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match value {
            Value::Dict(_, inner) if !inner.is_empty() => collect_environment(layers, &path, inner, found),
            value if layers.is_from_environment(value) => found.push(path),
            _ => {}
        }
    }
}

fn explain_missing_zones(problems: &mut [Problem]) {
    for problem in problems.iter_mut().filter(|problem| problem.key == "zones.directory") {
        problem.what = "there is no folder zones/ in the current directory, and no config file was given".to_owned();
        problem.cure = "start in a folder with zones/NAME.zone files, or name a config file: heraldns serve --config FILE".to_owned();
    }
}

/// Places what was found. A value that does not fit has kept its default: what the checks say of it says nothing.
fn place_faults(places: &Places<'_>, reader: Reader, problems: Vec<Problem>) -> Vec<Fault> {
    let mut faults = Vec::new();
    for mut problem in problems {
        problem.key = reader.path_in_file(&problem.key);
        if !reader.misfits.iter().any(|misfit| explains(misfit, &problem)) {
            if !places.is_written(&problem.key) {
                problem.what = format!("{}: {}", problem.key, problem.what);
            }
            faults.push(Fault::new(places.of_value(&problem.key), problem));
        }
    }
    for Misfit { problem, in_key, .. } in reader.misfits {
        let place = if in_key {
            places.of_key(&problem.key)
        } else {
            places.of_value(&problem.key)
        };
        faults.push(Fault::new(place, problem));
    }
    faults.sort_by(|one, other| one.place.cmp(&other.place));
    faults
}

fn explains(misfit: &Misfit, problem: &Problem) -> bool {
    // An advertiser that could not be read is left out, and then the service seems to have none.
    let left_out = problem.key == "service" && is_about("advertiser", &misfit.instead);
    left_out || is_about(&misfit.instead, &problem.key)
}

/// True if one of two keys is the other, or holds it.
fn is_about(one: &str, other: &str) -> bool {
    let holds = |outer: &str, inner: &str| {
        inner
            .strip_prefix(outer)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    holds(one, other) || holds(other, one)
}
