//! The configuration of a router side as its user meets it: the usual mistakes with their messages, the defaults.

use std::fs;
use std::time::Duration;

use heraldns::base::forwarding::Grouping;
use heraldns::config::{self, Checked, Refused, RouterSettings};
use heraldns::router::Policy;
use insta::assert_snapshot;

const RIGHT: &str = "[router]\ninterface = \"lan\"\nservices = [\"2001:db8:5::53\"]\n";

fn check(text: &str) -> Result<RouterSettings, Refused> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("peers.key"), "a secret\n").unwrap();
    config::parse_router(&folder.path().join("r.toml"), text.to_owned(), [])
}

/// The messages, without the folder's random name.
fn faults_of(text: &str) -> String {
    let refused = check(text).expect_err("a mistake").to_string();
    let lines = refused.lines().map(|line| {
        line.split_once("r.toml")
            .map_or(line.to_owned(), |(_, rest)| format!("r.toml{rest}"))
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_shortest_file_is_right_and_has_the_defaults() {
    let settings = check(RIGHT).unwrap();
    assert_eq!(settings.services[0].to_string(), "2001:db8:5::53");
    assert_eq!((settings.router.policy, settings.router.group), (Policy::Weighted, Grouping::Split));
    assert_eq!(settings.router.dead_after, Duration::from_millis(900));
    assert!(!settings.router.require_signed && settings.router.allowed_macs.is_empty() && settings.peers.enabled);
    assert!(settings.control_socket.ends_with("router.sock"), "{:?}", settings.control_socket);
}

#[test]
fn every_key_can_be_written() {
    let text = format!(
        "{RIGHT}policy = \"latest\"\ngroup = \"resilient\"\ndead-after = \"2s\"\ntcp-idle = \"30s\"\nrequire-signed = true\n\
         allowed-macs = [\"02:00:00:00:05:01\"]\n[peers]\nkey-file = \"peers.key\"\n[control]\nsocket = \"router.sock\"\n"
    );
    let settings = check(&text).unwrap();
    assert_eq!(
        (settings.router.policy, settings.router.group),
        (Policy::Latest, Grouping::Resilient)
    );
    assert!(settings.router.require_signed && settings.router.allowed_macs.len() == 1);
}

#[test]
fn every_mistake_is_told_at_its_place() {
    assert_snapshot!(faults_of("[router]\n"), @r#"
    r.toml:1:1: error: no interface is named
      help: name the interface towards the servers, like "eth1"
    r.toml:1:1: error: no service address is named
      help: name the addresses that the servers share, like ["2001:db8:5::53"]
    "#);
    assert_snapshot!(faults_of("[router]\ninterface = \"lan\"\nservices = [\"ff02::1\", \"2001:db8::1\", \"2001:db8::1\"]\npolicy = \"wheighted\"\ndead-after = \"1ms\"\nallowed-macs = [\"33:33:00:00:00:01\", \"02\"]\n"), @r#"
    r.toml:3:13: error: ff02::1 is a multicast address
      help: write the unicast address that the servers share
    r.toml:3:39: error: 2001:db8::1 is named twice
      help: name it once
    r.toml:4:10: error: unknown value 'wheighted'
      help: did you mean 'weighted'?
    r.toml:5:14: error: 1ms is out of range
      help: write a duration from "100ms" to "60s"
    r.toml:6:17: error: 33:33:00:00:00:01 is no server's link-layer address
      help: write the server's own address
    r.toml:6:38: error: '02' is no link-layer address: six pairs of hex digits with colons were expected
      help: see the manual for what this key takes
    "#);
    assert_snapshot!(faults_of(&format!("{RIGHT}require-signed = true\n")), @"
    r.toml:4:18: error: without a key no peer message is signed, and no server would ever be believed
      help: name the servers' key in [peers] key-file, or write require-signed = false
    ");
    assert_snapshot!(faults_of(&format!("{RIGHT}intervall = \"1s\"\n[dns]\n")), @"
    r.toml:4:1: error: unknown key 'intervall' in [router]
      help: did you mean 'interface'?
    r.toml:5:2: error: unknown key 'dns'
      help: known here: router, peers, control
    ");
}

#[test]
fn a_file_is_checked_for_whom_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("r.toml");
    fs::write(&file, RIGHT).unwrap();
    assert!(matches!(config::check_file(&file), Ok(Checked::Router)));
    assert_snapshot!(
        config::load(Some(&file)).expect_err("no server's file").to_string().replace(&format!("{}/", folder.path().display()), ""),
        @r#"
    r.toml:1:1: error: zones: there is no zone to serve
      help: write [zones] directory = "zones" for a folder of NAME.zone files, or a [[zone]] with name and file
    r.toml:1:1: error: this is a router side's table, and this program is to be a server
      help: start it with `heraldns router --config FILE`; a server has a file of its own
    "#
    );
}
