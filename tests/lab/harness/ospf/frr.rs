//! FRR: `zebra` and `ospf6d` with sockets of their own, configured and asked by `vtysh`.
//!
//! The configuration is loaded as `frr.conf` is at a start of the service: by `vtysh -f`.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::{AreaType, Link, LinkStateAdvertisement, Neighbor, NetworkType, Routing, wait_for_socket};
use crate::harness::command::{output, run};
use crate::harness::namespace::Namespace;

/// Where Debian puts the daemons.
const FOLDER: &str = "/usr/lib/frr";
/// LSA types by the words of `show ipv6 ospf6 database`.
const KINDS: [(&str, u16); 8] = [
    ("Rtr", 0x2001),
    ("Net", 0x2002),
    ("IAP", 0x2003),
    ("IAR", 0x2004),
    ("ASE", 0x4005),
    ("Type7", 0x2007),
    ("Lnk", 0x0008),
    ("INP", 0x2009),
];

pub(super) fn configuration(routing: &Routing) -> String {
    let mut text = String::new();
    let mut line = |line: String| writeln!(text, "{line}").expect("text grows");
    // First, or FRR says Hello as router 0.0.0.0.
    line("router ospf6".to_owned());
    line(format!(" ospf6 router-id {}", routing.router_id));
    line(" maximum-paths 16".to_owned());
    line(" timers throttle spf 0 50 1000".to_owned());
    for link in &routing.links {
        match link.area_type {
            AreaType::Normal => {}
            AreaType::Stub => line(format!(" area {} stub", Ipv4Addr::from(link.area))),
            AreaType::Nssa => line(format!(" area {} nssa", Ipv4Addr::from(link.area))),
        }
    }
    if let Some(external) = routing.externals.first() {
        line(format!(" redistribute connected metric 30 metric-type {}", external.metric_type));
    }
    line("exit".to_owned());
    for link in &routing.links {
        link_lines(link).into_iter().for_each(&mut line);
    }
    text
}

fn link_lines(link: &Link) -> Vec<String> {
    let mut lines = vec![
        format!("interface {}", link.device),
        format!(" ipv6 ospf6 hello-interval {}", link.hello),
        format!(" ipv6 ospf6 dead-interval {}", link.dead),
        format!(" ipv6 ospf6 instance-id {}", link.instance_id),
    ];
    if link.network == NetworkType::PointToPoint {
        lines.push(" ipv6 ospf6 network point-to-point".to_owned());
    }
    if link.passive {
        lines.push(" ipv6 ospf6 passive".to_owned());
    }
    lines.push(match &link.authentication {
        Some(authentication) => format!(
            " ipv6 ospf6 authentication key-id {} hash-algo hmac-sha-256 key {}",
            authentication.key_id, authentication.secret
        ),
        None => " no ipv6 ospf6 authentication key-id".to_owned(),
    });
    // Last, or FRR waits for the default dead interval, 40 s, before it elects.
    lines.push(format!(" ipv6 ospf6 area {}", Ipv4Addr::from(link.area)));
    lines.push("exit".to_owned());
    lines
}

/// Starts both daemons in `namespace` and loads `router.conf` of `folder`.
pub(super) fn spawn(namespace: &Namespace, folder: &Path, zebra_options: &[&str]) -> Vec<Child> {
    run(Command::new("chown").arg("frr:frr").arg(folder));
    for leftover in ["zebra.vty", "ospf6d.vty", "zserv.api"] {
        let _none_at_the_first_start = fs::remove_file(folder.join(leftover));
    }
    let zebra = spawn_daemon(namespace, folder, "zebra", zebra_options);
    wait_for_socket(&folder.join("zserv.api"));
    wait_for_socket(&folder.join("zebra.vty"));
    let ospf6d = spawn_daemon(namespace, folder, "ospf6d", &[]);
    wait_for_socket(&folder.join("ospf6d.vty"));
    load(folder);
    vec![zebra, ospf6d]
}

/// Loads `router.conf`.
#[track_caller]
fn load(folder: &Path) {
    let complaints = run(vtysh(folder).arg("-f").arg(folder.join("router.conf")));
    assert!(!complaints.contains('%'), "vtysh -f: {complaints}");
}

/// Types `text` in at the prompt, as if pasted; panics with what FRR does not understand.
#[track_caller]
pub(super) fn paste(folder: &Path, text: &str) {
    let path = folder.join("pasted");
    fs::write(&path, format!("configure terminal\n{text}\nend\n")).expect("the temporary folder can be written");
    let output = vtysh(folder)
        .stdin(File::open(&path).expect("it was just written"))
        .output()
        .expect("vtysh is installed");
    let said = String::from_utf8_lossy(&output.stdout);
    let refused: Vec<&str> = said.lines().filter(|line| line.starts_with('%')).collect();
    assert!(output.status.success() && refused.is_empty(), "FRR refuses what was pasted: {said}");
}

pub(super) fn is_designated(folder: &Path) -> bool {
    show(folder, "show ipv6 ospf6 interface lan0 json")["lan0"]["ospf6InterfaceState"] == "DR"
}

pub(super) fn neighbors(folder: &Path) -> Vec<Neighbor> {
    let shown = show(folder, "show ipv6 ospf6 neighbor json");
    let neighbors = shown["neighbors"].as_array().into_iter().flatten();
    let neighbor = |neighbor: &Value| {
        Some(Neighbor {
            router_id: neighbor["neighborId"].as_str()?.parse().ok()?,
            state: neighbor["state"].as_str()?.to_owned(),
        })
    };
    neighbors.filter_map(neighbor).collect()
}

pub(super) fn database(folder: &Path) -> Vec<LinkStateAdvertisement> {
    let shown = show(folder, "show ipv6 ospf6 database json");
    let mut found = Vec::new();
    collect(&shown, &mut found);
    // One entry per line of content is shown; the LSA is the same.
    found.dedup();
    found
}

/// Every object below `value` that describes an LSA.
fn collect(value: &Value, found: &mut Vec<LinkStateAdvertisement>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
        Value::Object(fields) => {
            found.extend(advertisement(value));
            fields.values().for_each(|value| collect(value, found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn advertisement(value: &Value) -> Option<LinkStateAdvertisement> {
    let word = value["type"].as_str().filter(|_| value["lsId"].is_string())?;
    let kind = KINDS.iter().find(|(name, _)| *name == word);
    let (_, kind) = kind.unwrap_or_else(|| panic!("an LSA type that the lab does not know: {value}"));
    let id: Ipv4Addr = value["lsId"].as_str()?.parse().ok()?;
    Some(LinkStateAdvertisement {
        kind: *kind,
        id: id.into(),
        router: value["advRouter"].as_str()?.parse().ok()?,
        sequence: u32::try_from(value["seqNum"].as_u64()?).ok()?,
        age: u16::try_from(value["age"].as_u64()?).ok()?,
    })
}

pub(super) fn testimony(folder: &Path) -> String {
    let mut said = fs::read_to_string(folder.join("ospf6d.log")).unwrap_or_default();
    for question in [
        "show ipv6 ospf6 interface",
        "show ipv6 ospf6 neighbor",
        "show ipv6 ospf6 database",
        "show ipv6 ospf6 route",
        "show ipv6 route",
    ] {
        let answer = output(vtysh(folder).args(["-c", question]));
        let _text_grows = write!(said, "> {question}\n{}", String::from_utf8_lossy(&answer.stdout));
    }
    said
}

fn show(folder: &Path, question: &str) -> Value {
    let answer = output(vtysh(folder).args(["-c", question]));
    serde_json::from_slice(&answer.stdout).unwrap_or_default()
}

fn vtysh(folder: &Path) -> Command {
    let mut command = Command::new("vtysh");
    command.arg("--vty_socket").arg(folder).stdin(Stdio::null());
    command
}

fn spawn_daemon(namespace: &Namespace, folder: &Path, name: &str, arguments: &[&str]) -> Child {
    let path = |ending: &str| -> PathBuf { folder.join(format!("{name}.{ending}")) };
    let log = File::options()
        .create(true)
        .append(true)
        .open(path("log"))
        .expect("the temporary folder can be written");
    fs::write(path("conf"), "").expect("the temporary folder can be written");
    let mut command = Command::new(Path::new(FOLDER).join(name));
    command
        .args(arguments)
        .arg("-f")
        .arg(path("conf"))
        .arg("-i")
        .arg(path("pid"))
        .arg("-z")
        .arg(folder.join("zserv.api"))
        .arg("--vty_socket")
        .arg(folder)
        .args(["-P", "0", "--log", "stdout"])
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a file can be shared"))
        .stderr(log);
    namespace.enter(|| command.spawn().unwrap_or_else(|error| panic!("{name}: {error}")))
}
