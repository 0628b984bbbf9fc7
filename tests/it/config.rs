//! The configuration as its user meets it: the usual mistakes with their messages, the layers, the defaults.

use std::fs;
use std::path::Path;

use heraldns::config::{self, Refused, Settings};
use insta::assert_snapshot;
use tempfile::TempDir;

/// A folder with one zone file, in which configs can be checked.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("zones")).unwrap();
    fs::write(folder.path().join("zones/example.com.zone"), "").unwrap();
    folder
}

fn check(folder: &TempDir, text: &str, variables: &[(&str, &str)]) -> Result<Settings, Refused> {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    config::parse(&folder.path().join("c.toml"), text.to_owned(), variables)
}

/// The messages, without the folder's random name.
fn faults_with(text: &str, variables: &[(&str, &str)]) -> String {
    let folder = folder();
    let refused = check(&folder, text, variables).expect_err("a mistake");
    refused.to_string().replace(&format!("{}/", folder.path().display()), "")
}

fn faults_of(text: &str) -> String {
    faults_with(text, &[])
}

/// A config that is right, for tests that change one thing.
const RIGHT: &str = r#"
identity = "ams-1"
[zones]
directory = "zones"
[service]
addresses = ["2001:db8:5::53"]
interface = "eth0"
[[advertiser]]
protocol = "nd"
"#;

fn with(changed: &str, to: &str) -> String {
    assert!(RIGHT.contains(changed), "{changed}");
    RIGHT.replacen(changed, to, 1)
}

#[test]
fn the_example_is_right() {
    let folder = folder();
    let settings = check(&folder, RIGHT, &[]).unwrap();
    assert_eq!(settings.identity, "ams-1");
    assert_eq!(settings.zones.find().unwrap()[0].name.to_string(), "example.com.");
    let service = settings.service.unwrap();
    assert_eq!(service.addresses[0].to_string(), "2001:db8:5::53");
    assert_eq!(settings.advertisers.len(), 1);
}

/// Every key that a file can have, with the value it has without one.
const DEFAULTS: &str = r#"
[dns]
listen = ["127.0.0.1:5300", "[::1]:5300"]
tls-listen = []
https-listen = []
quic-listen = []
certificate-file = ""
key-file = ""
https-path = "/dns-query"
udp-payload = 1232
rate-limit = 0
rate-limit-slip = 2
rate-limit-exempt = []
rate-limit-ipv4-prefix = 24
rate-limit-ipv6-prefix = 56
cookie-secret-file = ""
cookie-required = false
tcp-idle = "10s"
tcp-connections = 1000
tcp-connections-per-client = 100
tcp-queries = 0

[zones]
directory = "zones"
pattern = "*.zone"

[service]
addresses = ["2001:db8:5::53"]
port = 53
interface = "eth0"
capacity = 0
weight = 100

[scheduler]
standby-after = "30s"
hold = "3s"
drain-timeout = "10s"

[peers]
enabled = true
group = "ff12::4844"
groups = []
port = 4844
interval = "300ms"
key-file = ""
addresses = []

[[advertiser]]
protocol = "nd"
mode = "failover"
interval = "300ms"
start = "ready"
idle = "silent"
turn = "1s"

[state]
directory = ""

[control]
socket = ""

[web]
listen = "127.0.0.1:8053"

[agent-check]
listen = ""
"#;

#[test]
fn the_defaults_are_those_that_are_promised() {
    let folder = folder();
    let written = check(&folder, DEFAULTS, &[]).unwrap();
    let left_out = check(&folder, &with("identity = \"ams-1\"\n", ""), &[]).unwrap();
    assert_eq!(format!("{written:?}"), format!("{left_out:?}"));
}

#[test]
fn mistake_1_a_misspelt_key() {
    assert_snapshot!(faults_of(&with("interface =", "interfaces =")), @"
    c.toml:7:1: error: unknown key 'interfaces' in [service]
      help: did you mean 'interface'?
    ");
}

#[test]
fn mistake_2_a_table_that_does_not_exist() {
    assert_snapshot!(faults_of(&format!("{RIGHT}[sheduler]\nhold = \"3s\"\n[dns]\nudp_payload = 1400\n")), @"
    c.toml:10:2: error: unknown key 'sheduler'
      help: did you mean 'scheduler'?
    c.toml:13:1: error: unknown key 'udp_payload' in [dns]
      help: did you mean 'udp-payload'?
    ");
}

#[test]
fn mistake_3_no_toml() {
    assert_snapshot!(faults_of(&with("\"eth0\"", "eth0")), @"
    c.toml:7:13: error: string values must be quoted, expected literal string
      help: this is not TOML: strings stand between quotes, lists between brackets, tables in [name]
    ");
}

#[test]
fn mistake_4_wrong_types_all_at_once() {
    let more = "[dns]\nworkers = \"2\"\nlisten = [\"127.0.0.1\"]\nudp-payload = 99999\n[scheduler]\nhold = 3\n";
    assert_snapshot!(faults_of(&format!("{}{more}", with("\"ams-1\"", "7"))), @r#"
    c.toml:2:12: error: number 7 found, text expected
      help: put it between quotes
    c.toml:11:11: error: text "2" found, a whole number from 0 on expected
      help: write it without quotes
    c.toml:12:11: error: '127.0.0.1': invalid socket address syntax
      help: write address and port, as in "192.0.2.1:53" or "[2001:db8::1]:53"
    c.toml:13:15: error: number 99999 cannot be used: a whole number from 0 to 65535 expected
      help: write a number in this range
    c.toml:15:8: error: number 3 found, text expected
      help: put it between quotes
    "#);
}

#[test]
fn mistake_5_durations_without_a_unit() {
    assert_snapshot!(faults_of(&format!("{RIGHT}interval = \"300\"\nturn = \"1 s\"\n")), @r#"
    c.toml:10:12: error: '300' is no duration: a whole number and a unit (us, ms, s, m, h, d) were expected, as in "300ms"
      help: write it as in "300ms" or "30s"
    c.toml:11:8: error: '1 s' is no duration: a whole number and a unit (us, ms, s, m, h, d) were expected, as in "300ms"
      help: write it as in "300ms" or "30s"
    "#);
}

#[test]
fn mistake_6_addresses_that_cannot_be_shared() {
    let addresses = r#""192.0.2.53", "fe80::53", "2001:db8::zz""#;
    assert_snapshot!(faults_of(&with("\"2001:db8:5::53\"", addresses)), @r#"
    c.toml:6:14: error: 192.0.2.53 is an IPv4 address, and service addresses are advertised by IPv6 protocols only
      help: write an IPv6 address here; IPv4 addresses are served from [dns] listen, without being advertised
    c.toml:6:28: error: fe80::53 cannot be a service address: it is a link-local address, which no router forwards to
      help: write a global or unique local IPv6 address that the router forwards to this link
    c.toml:6:40: error: '2001:db8::zz': invalid IP address syntax
      help: write an address, as in "2001:db8:5::53"
    "#);
}

#[test]
fn mistake_7_a_service_that_nobody_advertises_and_the_reverse() {
    assert_snapshot!(faults_of(&with("[[advertiser]]\nprotocol = \"nd\"\n", "")), @r#"
    c.toml:5:1: error: nothing would advertise the service addresses: there is no [[advertiser]]
      help: add [[advertiser]] with protocol = "nd", or list the addresses in [dns] listen to serve without advertising
    "#);
    let service = "[service]\naddresses = [\"2001:db8:5::53\"]\ninterface = \"eth0\"\n";
    assert_snapshot!(faults_of(&with(service, "")), @"
    c.toml:5:1: error: there is no service address to advertise
      help: add [service] with addresses and interface, or remove [[advertiser]]
    ");
}

#[test]
fn mistake_8_advertisers() {
    let more = "[[advertiser]]\nprotocol = \"nd\"\n[[advertiser]]\nprotocol = \"ospf\"\n[[advertiser]]\nprotocol = \"arp\"\n[[advertiser]]\nmode = \"rotate\"\n";
    assert_snapshot!(faults_of(&format!("{RIGHT}mode = \"rotat\"\n{more}")), @r#"
    c.toml:10:8: error: unknown value 'rotat'
      help: did you mean 'rotate'?
    c.toml:12:12: error: advertiser[0] speaks nd on this interface already
      help: keep one of them: two would answer each other
    c.toml:13:1: error: the router ID is missing
      help: write router-id = "10.0.1.1" with a number that no other router or server of the network has
    c.toml:16:12: error: unknown protocol 'arp'
      help: known here: nd, ospf
    c.toml:17:1: error: the advertiser has no protocol
      help: write protocol = "nd"; known here: nd, ospf
    "#);
}

#[test]
fn mistake_9_parts_that_do_not_go_together() {
    let more = "[peers]\nenabled = false\n[dns]\nlisten = [\"[2001:db8:5::53]:53\"]\n";
    assert_snapshot!(faults_of(&format!("{RIGHT}{more}")), @r#"
    c.toml:11:11: error: with mode "failover" in advertiser[0] the servers must know each other
      help: remove enabled = false, or write mode = "member"
    c.toml:13:11: error: 2001:db8:5::53 is a service address, and those listen by themselves
      help: remove it here
    "#);
}

#[test]
fn mistake_10_zones_that_are_not_there() {
    let zones = "[[zone]]\nname = \"example.org\"\nfile = \"org.zone\"\n[[zone]]\nname = \"Example.org.\"\nfile = \"zones/example.com.zone\"\n[[zone]]\nname = \"a..b\"\n";
    assert_snapshot!(faults_of(&format!("{}{zones}", with("directory = \"zones\"", "directory = \"zone\""))), @r#"
    c.toml:4:13: error: there is no folder zone
      help: create it, or write the folder that has the zone files; the path starts at the config file's folder
    c.toml:12:8: error: there is no file org.zone
      help: write the zone file's path; it starts at the config file's folder
    c.toml:14:8: error: zone example.org. is listed twice
      help: remove one of them
    c.toml:17:8: error: 'a..b' is no domain name: empty label: a dot must follow at least one character
      help: write the zone's name, as in name = "example.com."
    "#);
    assert_snapshot!(faults_of(""), @r#"
    c.toml:1:1: error: zones: there is no zone to serve
      help: write [zones] directory = "zones" for a folder of NAME.zone files, or a [[zone]] with name and file
    "#);
}

#[test]
fn mistake_11_numbers_out_of_range() {
    let text = with("interface = \"eth0\"", "interface = \"\"\nport = 0\nweight = 0\ncapacity = -1");
    assert_snapshot!(faults_of(&format!("{text}[web]\nlisten = \"8053\"\n")), @r#"
    c.toml:7:13: error: the interface is missing
      help: write the name of the link shared with the router, as `ip link` shows it
    c.toml:8:8: error: port 0 is no port that resolvers can ask
      help: write 53, or leave the key out
    c.toml:9:10: error: weight 0 would never get a query
      help: write a share above 0 (100 is the usual one); `heraldns drain` takes a server out
    c.toml:10:12: error: number -1 cannot be used: a whole number from 0 to 4294967295 expected
      help: write a number in this range
    c.toml:14:10: error: '8053' is no address and port
      help: write "127.0.0.1:8053" or "[::1]:8053", or "" to turn the web part off
    "#);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let refused = config::load(Some(Path::new("no/such/file.toml"))).expect_err("no file");
    assert_snapshot!(refused, @"
    no/such/file.toml:1:1: error: the file cannot be read: No such file or directory (os error 2)
      help: name a file that exists and that this user may read
    ");
}

#[test]
fn the_environment_lies_over_the_file() {
    let text = format!("{RIGHT}[dns]\nudp-payload = 1400\nworkers = 3\n");
    let variables = [
        ("HERALDNS_DNS__UDP_PAYLOAD", "1280"),
        ("HERALDNS_DNS__LISTEN", "[\"192.0.2.1:53\"]"),
        ("HERALDNS_IDENTITY", "fra-2"),
        ("HERALDNS_PEERS__ENABLED", "true"),
        ("HERALDNS_SCHEDULER__STANDBY_AFTER", "0s"),
        ("HERALDNS_LOG", "debug"),
        ("HERALDNS_LAB", "required"),
        ("PATH", "/bin"),
    ];
    let settings = check(&folder(), &text, &variables).unwrap();
    assert_eq!(settings.identity, "fra-2");
    assert_eq!(settings.dns.udp_payload, 1280);
    assert_eq!(settings.dns.workers, Some(3));
    assert_eq!(settings.dns.listen, ["192.0.2.1:53".parse().unwrap()]);
    assert!(settings.scheduler.standby_after.is_zero());
}

#[test]
fn without_a_file_the_example_zones_are_served_on_loopback() {
    let variables = [("HERALDNS_WEB__LISTEN", "")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    // Tests run in the package's folder, where the example zones are.
    let settings = config::built_in(variables).unwrap();
    let listen: Vec<String> = settings.dns.listen.iter().map(ToString::to_string).collect();
    assert_eq!(listen, ["127.0.0.1:5300", "[::1]:5300"]);
    assert!(settings.service.is_none() && settings.advertisers.is_empty());
    assert_eq!(settings.web, None);
    let zones = settings.zones.find().unwrap();
    assert!(zones.iter().any(|zone| zone.name.to_string() == "example.com."), "{zones:?}");
}

#[test]
fn a_mistake_in_the_environment_is_named_by_its_variable() {
    let variables = [
        ("HERALDNS_DNS__UDP_PAYLOAD", "many"),
        ("HERALDNS_DNS__UPD_PAYLOAD", "1400"),
        ("HERALDNS_IDENTITY", "12"),
        ("HERALDNS_PEERS__PORT", "0"),
        ("HERALDNS_ADVERTISER", "nd"),
    ];
    assert_snapshot!(faults_with(RIGHT, &variables), @r#"
    HERALDNS_ADVERTISER (environment): error: text "nd" found, a list of tables expected
      help: write [[advertiser]] in the file, once for each advertiser
    HERALDNS_DNS__UDP_PAYLOAD (environment): error: text "many" found, a whole number from 0 to 65535 expected
      help: write it without quotes
    HERALDNS_DNS__UPD_PAYLOAD (environment): error: unknown key 'upd-payload' in [dns]
      help: did you mean 'udp-payload'?
    HERALDNS_IDENTITY (environment): error: number 12 found, text expected
      help: put it between quotes
    HERALDNS_PEERS__PORT (environment): error: port 0 cannot be listened on
      help: write a port from 1 to 65535
    "#);
}

#[test]
fn what_is_not_written_is_named_by_its_key() {
    let variables = [("HERALDNS_SERVICE__PORT", "53")];
    assert_snapshot!(faults_with("[zones]\ndirectory = \"zones\"\n", &variables), @r#"
    c.toml:1:1: error: service.addresses: there is no service address
      help: write addresses = ["2001:db8:5::53"] with the address that the servers share, or remove [service]
    c.toml:1:1: error: service.interface: the interface is missing
      help: write the name of the link shared with the router, as `ip link` shows it
    c.toml:1:1: error: service: nothing would advertise the service addresses: there is no [[advertiser]]
      help: add [[advertiser]] with protocol = "nd", or list the addresses in [dns] listen to serve without advertising
    "#);
}

#[test]
fn an_address_that_is_refused_is_told_once() {
    assert_snapshot!(faults_of(&with("2001:db8:5::53", "::1")), @r#"
    c.toml:6:14: error: ::1 cannot be a service address: it is the loopback address
      help: write a global or unique local IPv6 address that the router forwards to this link
    "#);
}

#[test]
fn the_protection_is_read_and_checked() {
    let dns = "[dns]\nrate-limit = 20\nrate-limit-exempt = [\"192.0.2.0/24\", \"2001:db8::1\"]\ncookie-secret-file = \"cookies\"\n";
    let folder = folder();
    let missing = check(&folder, &format!("{RIGHT}{dns}"), &[]).unwrap_err().to_string();
    assert!(missing.contains("c.toml:13:22: error: "), "{missing}");
    fs::write(folder.path().join("cookies"), "0123456789abcdef0123456789abcdef\n").unwrap();
    let settings = check(&folder, &format!("{RIGHT}{dns}"), &[]).unwrap();
    assert_eq!(settings.dns.cookie_secret_file, folder.path().join("cookies"));
    let limits = settings.dns.limits().unwrap();
    let exempt: Vec<_> = limits.exempt.iter().map(ToString::to_string).collect();
    assert_eq!(
        (limits.rate.get(), exempt),
        (20, vec!["192.0.2.0/24".to_owned(), "2001:db8::1/128".to_owned()])
    );
    let wrong = "[dns]\nrate-limit = 2000000\nrate-limit-slip = 11\nrate-limit-exempt = [\"192.0.2.0/24\", \"192.0.2.1/24\"]\nrate-limit-ipv4-prefix = 33\n";
    assert_snapshot!(faults_of(&format!("{RIGHT}{wrong}")), @r#"
    c.toml:11:14: error: 2000000 is out of range
      help: write 0 to 1000000; 0 turns the limit off
    c.toml:12:19: error: 11 is out of range
      help: write 0 to 10; 2 is usual, 0 lets none slip
    c.toml:13:38: error: '192.0.2.1/24' is no prefix: 192.0.2.1 has bits beyond the first 24; its prefix is "192.0.2.0/24"
      help: write a prefix, as in "192.0.2.0/24" or "2001:db8::/32", or an address
    c.toml:14:26: error: 33 is out of range
      help: write 1 to 32; 24 is usual
    "#);
}

#[test]
fn a_key_for_peers_that_is_none_is_refused() {
    let folder = folder();
    let peers = format!("{RIGHT}[peers]\nkey-file = \"key\"\n");
    let told = || check(&folder, &peers, &[]).map(drop).map_err(|refused| refused.to_string());
    assert!(told().unwrap_err().contains("c.toml:11:12: error: "));
    fs::write(folder.path().join("key"), " \n").unwrap();
    let empty = told().unwrap_err();
    assert!(empty.contains("there is no key in "), "{empty}");
    fs::write(folder.path().join("key"), "secret\n").unwrap();
    told().unwrap();
}

#[test]
fn a_key_for_routers_that_is_none_or_too_long_is_refused() {
    let folder = folder();
    let ospf = with(
        "protocol = \"nd\"",
        "protocol = \"ospf\"\nrouter-id = \"10.0.1.1\"\nauthentication = { key-id = 1, key-file = \"key\" }",
    );
    let told = || check(&folder, &ospf, &[]).map(drop).map_err(|refused| refused.to_string());
    let missing = told().unwrap_err();
    assert!(missing.contains("c.toml:11:") && missing.contains("key: "), "{missing}");
    for (key, text) in [
        (String::from(" \n"), "has a key of 0 octets"),
        ("k".repeat(31), "has a key of 31 octets"),
    ] {
        fs::write(folder.path().join("key"), key).unwrap();
        let refused = told().unwrap_err();
        assert!(refused.contains(text) && refused.contains("1 to 30"), "{refused}");
    }
    fs::write(folder.path().join("key"), "k".repeat(30) + "\n").unwrap();
    told().unwrap();
}

#[test]
fn a_key_for_routers_has_a_number_that_routers_can_have() {
    let keyed = |key: &str| {
        with(
            "protocol = \"nd\"",
            &format!("protocol = \"ospf\"\nrouter-id = \"10.0.1.1\"\nauthentication = {key}"),
        )
    };
    for key in ["{ key-id = 0, key-file = \"key\" }", "{ key-file = \"key\" }"] {
        let faults = faults_of(&keyed(key));
        assert!(faults.starts_with("c.toml:11:"), "{faults}");
        assert!(
            faults.contains("error: the key's number is missing, or 0, which FRR cannot have\n  help: write key-id = 1 with the number"),
            "{faults}"
        );
    }
}

#[test]
fn encryption_needs_addresses_a_certificate_and_its_key() {
    assert_snapshot!(faults_of(&with("[zones]", r#"[dns]
tls-listen = ["[::1]:5300", "[2001:db8:5::53]:53", "[2001:db8:5::53]:853"]
https-listen = ["[2001:db8:5::53]:853"]
quic-listen = ["[2001:db8:5::53]:853"]
https-path = "dns-query"
[zones]"#)), @r#"
    c.toml:3:1: error: certificate-file is missing, and dns.tls-listen needs it
      help: name a PEM file with the server's certificate first, then those that signed it, or empty the list
    c.toml:3:1: error: key-file is missing, and dns.tls-listen needs it
      help: name a PEM file with the certificate's private key, or empty the list
    c.toml:4:15: error: dns.listen[1] has the TCP port of [::1]:5300 already
      help: remove one of them, or choose another port
    c.toml:4:29: error: [2001:db8:5::53]:53 is a service address and its port, which listens by itself
      help: choose another port: 853 is usual for TLS and QUIC, 443 for HTTPS
    c.toml:5:17: error: dns.tls-listen[2] has the TCP port of [2001:db8:5::53]:853 already
      help: remove one of them, or choose another port
    c.toml:7:14: error: 'dns-query' cannot be the path of a URL
      help: write a path that begins with /, as in "/dns-query", without a variable
    "#);
}

#[test]
fn certificate_and_key_are_read_and_must_fit() {
    let folder = folder();
    let text = with(
        "[zones]",
        "[dns]\nquic-listen = [\"[::1]:853\"]\ncertificate-file = \"cert.pem\"\nkey-file = \"key.pem\"\n[zones]",
    );
    let faults = || {
        let refused = check(&folder, &text, &[]).expect_err("a mistake");
        refused.to_string().replace(&format!("{}/", folder.path().display()), "")
    };
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    assert_snapshot!(faults(), @"
    c.toml:5:20: error: cert.pem: No such file or directory (os error 2)
      help: name a file that exists and that this user may read
    ");
    let [one, other] = [(); 2].map(|()| rcgen::generate_simple_self_signed(vec!["ns.example".to_owned()]).unwrap());
    write("cert.pem", "");
    write("key.pem", &one.cert.pem());
    assert_snapshot!(faults(), @"
    c.toml:5:20: error: cert.pem holds no certificate in PEM: no items found
      help: name a PEM file with the server's certificate first, then those that signed it
    ");
    write("cert.pem", &one.cert.pem());
    assert_snapshot!(faults(), @"
    c.toml:6:12: error: key.pem holds no private key in PEM: no items found
      help: name a PEM file with the certificate's private key (PKCS #8, PKCS #1 or SEC 1)
    ");
    write("key.pem", &other.signing_key.serialize_pem());
    assert_snapshot!(faults(), @"
    c.toml:6:12: error: the key in key.pem is not that of the certificate in cert.pem
      help: name the key with which this certificate was made
    ");
    write("key.pem", &one.signing_key.serialize_pem());
    let settings = check(&folder, &text, &[]).unwrap();
    assert_eq!(settings.dns.certificate_file, folder.path().join("cert.pem"));
}
