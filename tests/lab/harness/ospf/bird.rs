//! BIRD 2 with a control socket of its own, asked by `birdc`.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::{AreaType, External, Link, LinkStateAdvertisement, Neighbor, NetworkType, Routing, SOON};
use crate::harness::clock::wait_for_value;
use crate::harness::command::output;
use crate::harness::namespace::Namespace;

pub(super) fn configuration(routing: &Routing) -> String {
    let mut text = String::new();
    let mut line = |line: String| writeln!(text, "{line}").expect("text grows");
    line("log stderr all;".to_owned());
    line(format!("router id {};", routing.router_id));
    line("protocol device { scan time 1; }".to_owned());
    line(
        "protocol kernel { ipv6 { export where source ~ [RTS_OSPF, RTS_OSPF_IA, RTS_OSPF_EXT1, RTS_OSPF_EXT2]; }; merge paths yes; }"
            .to_owned(),
    );
    let static_routes: String = routing.externals.iter().map(static_route).collect();
    let export = if static_routes.is_empty() {
        // A stub area takes no router that could have routes from elsewhere.
        "none"
    } else {
        line(format!("protocol static {{ ipv6;{static_routes} }}"));
        "where source = RTS_STATIC"
    };
    line("protocol ospf v3 {".to_owned());
    line(format!("    ipv6 {{ import all; export {export}; }};"));
    line("    tick 1;".to_owned());
    line("    ecmp yes limit 16;".to_owned());
    for link in &routing.links {
        line(format!("    area {} {{", Ipv4Addr::from(link.area)));
        match link.area_type {
            AreaType::Normal => {}
            AreaType::Stub => line("        stub;".to_owned()),
            AreaType::Nssa => line("        nssa;".to_owned()),
        }
        link_lines(link).into_iter().for_each(&mut line);
        line("    };".to_owned());
    }
    line("}".to_owned());
    text
}

fn link_lines(link: &Link) -> Vec<String> {
    let kind = match link.network {
        NetworkType::Broadcast => "broadcast",
        NetworkType::PointToPoint => "pointopoint",
    };
    let mut lines = vec![
        format!("        interface \"{}\" instance {} {{", link.device, link.instance_id),
        format!("            type {kind}; hello {}; dead {};", link.hello, link.dead),
    ];
    if link.passive {
        lines.push("            stub yes;".to_owned());
    }
    if let Some(authentication) = &link.authentication {
        lines.push("            authentication cryptographic;".to_owned());
        lines.push(format!(
            "            password \"{}\" {{ id {}; algorithm hmac sha256; }};",
            authentication.secret, authentication.key_id
        ));
    }
    lines.push("        };".to_owned());
    lines
}

fn static_route(external: &External) -> String {
    let (prefix, kind) = (external.prefix, external.metric_type);
    format!(" route {prefix}/128 blackhole {{ ospf_metric{kind} = 30; }};")
}

/// Starts it in `namespace` with `router.conf` of `folder`.
pub(super) fn spawn(namespace: &Namespace, folder: &Path) -> Child {
    let _none_at_the_first_start = fs::remove_file(folder.join("bird.ctl"));
    let log = File::options()
        .create(true)
        .append(true)
        .open(folder.join("bird.log"))
        .expect("the temporary folder can be written");
    let mut command = Command::new("bird");
    command
        .arg("-f")
        .arg("-c")
        .arg(folder.join("router.conf"))
        .arg("-s")
        .arg(folder.join("bird.ctl"))
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a file can be shared"))
        .stderr(log);
    let mut child = namespace.enter(|| command.spawn().unwrap_or_else(|error| panic!("bird: {error}")));
    wait_for_value(SOON, "BIRD opens its socket", || {
        let ended = child.try_wait().expect("our own child");
        assert!(
            ended.is_none(),
            "BIRD ends: {}",
            fs::read_to_string(folder.join("bird.log")).unwrap_or_default()
        );
        folder.join("bird.ctl").exists().then_some(())
    });
    child
}

pub(super) fn is_designated(folder: &Path) -> bool {
    let shown = show(folder, "show ospf interface");
    let mut lines = shown.lines().skip_while(|line| !line.starts_with("Interface lan0"));
    lines.any(|line| line.trim() == "State: DR")
}

pub(super) fn neighbors(folder: &Path) -> Vec<Neighbor> {
    let neighbor = |line: &str| {
        let mut words = line.split_whitespace();
        let router_id = words.next()?.parse().ok()?;
        let state = words.nth(1)?.split('/').next()?.to_owned();
        Some(Neighbor { router_id, state })
    };
    show(folder, "show ospf neighbors").lines().filter_map(neighbor).collect()
}

pub(super) fn database(folder: &Path) -> Vec<LinkStateAdvertisement> {
    show(folder, "show ospf lsadb").lines().filter_map(advertisement).collect()
}

/// A line `2001  0.0.0.0  10.0.0.1  80000002  78  8970`.
fn advertisement(line: &str) -> Option<LinkStateAdvertisement> {
    let mut words = line.split_whitespace();
    let kind = u16::from_str_radix(words.next()?, 16).ok()?;
    let id: Ipv4Addr = words.next()?.parse().ok()?;
    Some(LinkStateAdvertisement {
        kind,
        id: id.into(),
        router: words.next()?.parse().ok()?,
        sequence: u32::from_str_radix(words.next()?, 16).ok()?,
        age: words.next()?.parse().ok()?,
    })
}

pub(super) fn testimony(folder: &Path) -> String {
    let mut said = fs::read_to_string(folder.join("bird.log")).unwrap_or_default();
    for question in [
        "show ospf interface",
        "show ospf neighbors",
        "show ospf lsadb",
        "show ospf state all",
        "show route all",
    ] {
        let _text_grows = write!(said, "> {question}\n{}", show(folder, question));
    }
    said
}

fn show(folder: &Path, question: &str) -> String {
    let answer = output(&mut birdc(folder, question));
    String::from_utf8_lossy(&answer.stdout).into_owned()
}

fn birdc(folder: &Path, question: &str) -> Command {
    let mut command = Command::new("birdc");
    command.arg("-s").arg(folder.join("bird.ctl")).args(question.split(' '));
    command
}
