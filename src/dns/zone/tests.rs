//! Whole zone files: what is read, what is refused and how it is told, and that a printed zone is the same zone.

mod pieces;

use std::collections::HashMap;

use insta::assert_snapshot;
use proptest::prelude::*;

use super::*;
use crate::dns::types::RecordType;

const HEAD: &str = "$TTL 1h\n@ SOA ns hostmaster 1 4h 15m 2w 10m\n@ NS ns\nns AAAA 2001:db8::53\n";

fn load_text(text: &str) -> Result<Loaded, Vec<ZoneError>> {
    load(&"example.com.".parse().unwrap(), "example.com.zone", text.as_bytes(), &mut |path| {
        Err(format!("no file {path}"))
    })
}

fn lines(problems: &[ZoneError]) -> String {
    problems.iter().map(|problem| format!("{problem}\n")).collect()
}

/// What is wrong with the lines after a good head of four lines.
fn wrong(text: &str) -> String {
    lines(&load_text(&format!("{HEAD}{text}")).map(|_| ()).unwrap_err())
}

/// What is odd about the lines after a good head of four lines.
fn odd(text: &str) -> String {
    match load_text(&format!("{HEAD}{text}")) {
        Ok(loaded) => lines(&loaded.warnings),
        Err(problems) => panic!("{}", lines(&problems)),
    }
}

/// The printed records after those of the head.
fn printed(text: &str) -> String {
    let head = load_text(HEAD).unwrap();
    let loaded = load_text(&format!("{HEAD}{text}")).unwrap_or_else(|problems| panic!("{}", lines(&problems)));
    let head = Printed(&head.zone).to_string();
    let all = Printed(&loaded.zone).to_string();
    all.lines()
        .filter(|line| !head.lines().any(|other| other == *line))
        .map(|line| format!("{line}\n"))
        .collect()
}

#[test]
fn mistake_wrong_address() {
    assert_snapshot!(wrong("www A 192.0.2.256\nwww A 2001:db8::1\n"), @r#"
    example.com.zone:5:7: error: A address: '192.0.2.256' is not an IPv4 address; write four numbers up to 255 with dots, as in 192.0.2.1
    example.com.zone:6:7: error: A address: '2001:db8::1' is not an IPv4 address; an IPv6 address needs type AAAA
    "#);
}

#[test]
fn mistake_missing_dot() {
    assert_snapshot!(odd("@ MX 10 mail.example.com\nwww.example.com A 192.0.2.1\n"), @r#"
    example.com.zone:5:3: warning: MX target mail.example.com.example.com. has no address in this zone; write an A or AAAA record of it; end the name with a dot if it is absolute
    example.com.zone:6:17: warning: www.example.com.example.com. has the zone's name twice; end an absolute name with a dot
    "#);
}

#[test]
fn mistake_alias_with_other_records() {
    assert_snapshot!(wrong("www CNAME ns\nwww A 192.0.2.1\nftp CNAME ns\nftp CNAME www\n"), @r#"
    example.com.zone:5:5: error: CNAME of www.example.com., which also has A (line 6); an alias has no other records: remove the CNAME, or all others
    example.com.zone:8:5: error: a second CNAME of ftp.example.com.; the other one is in line 7; a name has one target: remove one of them
    "#);
}

#[test]
fn mistake_parenthesis_never_closed() {
    assert_snapshot!(wrong("text TXT ( \"a\"\n \"b\"\nwww A 192.0.2.1\n"), @"example.com.zone:5:10: error: '(' is never closed; write ')' after the last field of this record");
}

#[test]
fn mistake_quote_never_closed() {
    assert_snapshot!(wrong("text TXT \"v=spf1 -all\nkey TXT ( \"p=AAAA\n \"BBBB\" )\nwww A 192.0.2\n"), @r#"
    example.com.zone:5:10: error: quoted string without its end; write the closing '"' on the same line
    example.com.zone:6:11: error: quoted string without its end; write the closing '"' on the same line
    example.com.zone:8:7: error: A address: '192.0.2' is not an IPv4 address; write four numbers up to 255 with dots, as in 192.0.2.1
    "#);
}

#[test]
fn mistake_no_soa_and_no_name_server() {
    let problems = load_text("$TTL 1h\nwww A 192.0.2.1\n").unwrap_err();
    assert_snapshot!(lines(&problems), @r#"
    example.com.zone: error: no SOA record of example.com.; begin the zone with '@ SOA primary mailbox serial refresh retry expire minimum'
    example.com.zone: error: no NS record of example.com.; name its servers with '@ NS name'
    "#);
}

#[test]
fn mistake_unknown_type_or_order() {
    assert_snapshot!(wrong("www IN 192.0.2.1\nwww ADDRESS 192.0.2.1\nmail MX mail.example.com.\n@ CH TXT x\n"), @r#"
    example.com.zone:5:8: error: '192.0.2.1' is not a record type; write [name] [TTL] [IN] type data, the type as a mnemonic such as A or as TYPE and its number
    example.com.zone:6:5: error: 'ADDRESS' is not a record type; write [name] [TTL] [IN] type data, the type as a mnemonic such as A or as TYPE and its number
    example.com.zone:7:9: error: MX preference: 'mail.example.com.' is not a number from 0 to 65535
    example.com.zone:8:3: error: class CH: all records of a zone here are of class IN; write IN, or no class
    "#);
}

#[test]
fn what_is_out_of_zone_is_left_out() {
    let text = "www.example.net. A 192.0.2.1\n MX 1 nowhere\n$ORIGIN example.org.\nftp A 192.0.2.2\n@ MX 1 nowhere.example.com.\n";
    assert_snapshot!(odd(text), @r#"
    example.com.zone:5:18: warning: www.example.net. is not in the zone example.com. and is left out; remove the record, or mend $ORIGIN
    example.com.zone:8:5: warning: ftp.example.org. is not in the zone example.com. and is left out; remove the record, or mend $ORIGIN
    example.com.zone:9:3: warning: example.org. is not in the zone example.com. and is left out; remove the record, or mend $ORIGIN
    "#);
    assert_eq!(printed(text), "");
}

#[test]
fn mistake_delegation_without_glue() {
    assert_snapshot!(odd("child NS ns.child\n"), @"example.com.zone:5:7: warning: NS target ns.child.example.com. lies below the zone cut and has no address; write its A or AAAA record as glue: nobody finds the child zone's servers without it");
}

#[test]
fn mistake_no_ttl() {
    let problems = load_text("@ NS ns\n@ SOA ns hostmaster 1 2 3 4 5\n").unwrap_err();
    assert_snapshot!(lines(&problems), @r#"
    example.com.zone:1:3: error: no TTL: neither this record nor an earlier line says one; write $TTL 1h before the first record
    example.com.zone:2:3: warning: neither the SOA nor $TTL says a TTL: the minimum field of the SOA is taken; write $TTL before the first record
    "#);
}

#[test]
fn mistake_second_soa() {
    assert_snapshot!(wrong("@ SOA ns hostmaster 2 4h 15m 2w 10m\nchild SOA ns hostmaster 2 4h 15m 2w 10m\n"), @r#"
    example.com.zone:5:3: error: a second SOA; the first one is in line 2; remove one of them
    example.com.zone:6:7: error: SOA of child.example.com. in the zone example.com.; only example.com. has an SOA here; write '@' as its owner
    "#);
}

#[test]
fn mistakes_of_the_zone_are_told_beside_those_of_lines() {
    let text = concat!(
        "$TTL 1h\n@ SOA ns hostmaster 1 4h 15m 2w 10m\n@ NS 192.0.2.1 x\n@ SOA ns hostmaster 2 4h 15m 2w 10m\n",
        "www CNAME ns\nwww A 192.0.2.1\nold DNAME new\na.old A 192.0.2.1\n",
    );
    assert_snapshot!(lines(&load_text(text).unwrap_err()), @r#"
    example.com.zone:3:16: error: 'x' after the last field of NS; remove it; a text with spaces needs quotes, a comment begins with ';'
    example.com.zone:4:3: error: a second SOA; the first one is in line 2; remove one of them
    example.com.zone:5:5: error: CNAME of www.example.com., which also has A (line 6); an alias has no other records: remove the CNAME, or all others
    example.com.zone:8:7: error: A of a.old.example.com., which is below the DNAME of old.example.com. (line 7); a DNAME leaves no room below its name: remove one of them (RFC 6672 section 2.4)
    "#);
}

#[test]
fn an_unreadable_line_causes_no_other_mistake() {
    assert_snapshot!(wrong(concat!(
        "www CNAME ns\n",
        "a..b A 192.0.2.1\n A 192.0.2.2\n A 192.0.2\n",
        "ftp CNAME ns\nmail TXT \"a\n A 192.0.2.1\n",
        "host A 192.0.2\nhost RRSIG A 13 3 1h 20260322173103 20260220173103 1 @ AA==\n",
        "old CNAME ns\n$ORIGIN new..example.com.\nold A 192.0.2.1\n",
    )), @r#"
    example.com.zone:6:1: error: 'a..b': empty label: a dot must follow at least one character
    example.com.zone:8:4: error: A address: '192.0.2' is not an IPv4 address; write four numbers up to 255 with dots, as in 192.0.2.1
    example.com.zone:10:10: error: quoted string without its end; write the closing '"' on the same line
    example.com.zone:12:8: error: A address: '192.0.2' is not an IPv4 address; write four numbers up to 255 with dots, as in 192.0.2.1
    example.com.zone:15:9: error: 'new..example.com.': empty label: a dot must follow at least one character
    "#);
    assert_snapshot!(wrong("old CNAME ns\n$ORIGN new\nold A 192.0.2.1\n"), @r"example.com.zone:6:1: error: '$ORIGN' is no directive; the directives are $ORIGIN, $TTL, $INCLUDE and $GENERATE; a name that begins with '$' is written '\$'");
    let unreadable_at_once = load_text("a..b 60 A 192.0.2.1\n 60 A 192.0.2.2\n").unwrap_err();
    assert_snapshot!(lines(&unreadable_at_once), @"example.com.zone:1:1: error: 'a..b': empty label: a dot must follow at least one character");
}

#[test]
fn mistake_misspelt_directive_or_missing_file() {
    assert_snapshot!(wrong("$ORIGN a.\n$INCLUDE hosts.zone\n$TTL\n$TTL 1 h\n$GENERATE 9-1 a-$ A 192.0.2.$\n$GENERATE 1-300 a-$ A 192.0.2.$\n"), @r#"
    example.com.zone:5:1: error: '$ORIGN' is no directive; the directives are $ORIGIN, $TTL, $INCLUDE and $GENERATE; a name that begins with '$' is written '\$'
    example.com.zone:6:10: error: cannot read 'hosts.zone': no file hosts.zone; write the path of a file that can be read
    example.com.zone:7:5: error: $TTL is incomplete; expected a number of seconds
    example.com.zone:8:8: error: 'h' after $TTL; remove it; a comment begins with ';'
    example.com.zone:9:11: error: '9-1' is not a range; write start-stop or start-stop/step, as in 1-20
    example.com.zone:10:1: error: A address: '192.0.2.256' is not an IPv4 address; write four numbers up to 255 with dots, as in 192.0.2.1
    "#);
}

#[test]
fn all_mistakes_are_told_in_the_order_of_the_file() {
    let problems = wrong(&"www A x\n".repeat(103));
    assert_eq!(problems.lines().count(), 101);
    assert_snapshot!(problems.lines().take(2).chain(problems.lines().last()).collect::<Vec<_>>().join("\n"), @r#"
    example.com.zone:5:7: error: A address: 'x' is not an IPv4 address; write four numbers up to 255 with dots, as in 192.0.2.1
    example.com.zone:6:7: error: A address: 'x' is not an IPv4 address; write four numbers up to 255 with dots, as in 192.0.2.1
    example.com.zone: error: 3 more errors are not shown
    "#);
}

#[test]
fn odd_zones_are_served_with_warnings() {
    assert_snapshot!(odd("@ NS host\n@ MX 10 www\nwww CNAME ns\nhost 5 TXT a\nhost 6 TXT b\nhost TXT 6 a\n"), @r#"
    example.com.zone:5:3: warning: NS target host.example.com. has no address in this zone; write an A or AAAA record of it; end the name with a dot if it is absolute
    example.com.zone:6:3: warning: MX target www.example.com. is an alias; name the host itself (RFC 2181 section 10.3)
    example.com.zone:10:6: warning: TTL 3600 here, 5 in another TXT record of host.example.com.; write the same TTL; the lowest one is taken (RFC 2181 section 5.2)
    "#);
    assert_snapshot!(odd("child NS ns\nchild TXT x\nwww.child TXT y\nns DS 1 13 0 AA\n"), @r#"
    example.com.zone:6:7: warning: TXT of child.example.com. is never seen: a zone cut is here, and the child zone answers for it; remove the record
    example.com.zone:7:11: warning: TXT of www.child.example.com. is never seen: it is below the zone cut child.example.com. (line 5); remove the record
    example.com.zone:8:4: warning: DS of ns.example.com., which is no zone cut; a DS stands in the parent zone, at a name that has NS records
    "#);
    assert_snapshot!(odd("www RRSIG A 13 3 1h 20260322173103 20260220173103 1 @ AA==\n@ MX 0 .\n"), @"example.com.zone:5:5: warning: RRSIG of A records, of which www.example.com. has none; sign the zone again");
}

#[test]
fn records_in_every_way_to_write_them() {
    assert_snapshot!(printed(concat!(
        "a 60 IN A 192.0.2.1\na IN 60 A 192.0.2.2\n  A 192.0.2.3\r\n",
        "B.example.com. 1h30m in txt ( one\n \"two ; (2)\" ; comment\n)\n",
        "$ORIGIN sub\n@ AAAA 2001:db8::1\n\\@ AAAA 2001:db8::2\nx CLASS1 TYPE1 \\# 4 C0000201\n",
        "$ttl 5\n1h A 192.0.2.4\nodd\\.name\\032 TYPE65280 \\# 0\nlast A 192.0.2.5",
    )), @r#"
    a.example.com. 60 IN A 192.0.2.1
    a.example.com. 60 IN A 192.0.2.2
    a.example.com. 60 IN A 192.0.2.3
    B.example.com. 5400 IN TXT "one" "two ; (2)"
    sub.example.com. 3600 IN AAAA 2001:db8::1
    1h.sub.example.com. 5 IN A 192.0.2.4
    \@.sub.example.com. 3600 IN AAAA 2001:db8::2
    last.sub.example.com. 5 IN A 192.0.2.5
    odd\.name\032.sub.example.com. 5 IN TYPE65280 \# 0
    x.sub.example.com. 3600 IN A 192.0.2.1
    "#);
}

#[test]
fn lines_are_generated() {
    assert_snapshot!(printed("$GENERATE 2-6/2 h${-1,2} 60 IN A 192.0.2.$\n$GENERATE 1-2 $ TXT \"n $ \\$\"\n"), @r#"
    1.example.com. 3600 IN TXT "n 1 $"
    2.example.com. 3600 IN TXT "n 2 $"
    h01.example.com. 60 IN A 192.0.2.2
    h03.example.com. 60 IN A 192.0.2.4
    h05.example.com. 60 IN A 192.0.2.6
    "#);
}

#[test]
fn included_files_end_with_their_origin_and_owner() {
    let files = HashMap::from([
        ("one", "x A 192.0.2.1\n$ORIGIN deeper\ny A 192.0.2.2\n$INCLUDE two\n"),
        ("two", "z A 192.0.2.3\n"),
        ("bad", "\nz A 192.0.2\n"),
        ("itself", "$INCLUDE itself\n"),
    ]);
    let mut read = |path: &str| match files.get(path) {
        Some(text) => Ok(Box::new(text.as_bytes()) as Box<dyn Read>),
        None => Err("no such file".to_owned()),
    };
    let apex: Name = "example.com.".parse().unwrap();
    let text = format!("{HEAD}a A 192.0.2.9\n$INCLUDE one sub\n  TXT \"of a\"\nb A 192.0.2.4\n");
    let zone = load(&apex, "main", text.as_bytes(), &mut read).unwrap().zone;
    let printed = Printed(&zone).to_string();
    for line in [
        "a.example.com. 3600 IN TXT \"of a\"",
        "b.example.com. 3600 IN A 192.0.2.4",
        "x.sub.example.com. 3600 IN A 192.0.2.1",
        "y.deeper.sub.example.com. 3600 IN A 192.0.2.2",
        "z.deeper.sub.example.com. 3600 IN A 192.0.2.3",
    ] {
        assert!(printed.lines().any(|other| other == line), "{line} in\n{printed}");
    }
    let text = format!("{HEAD}$INCLUDE bad\n$INCLUDE itself\n");
    assert_snapshot!(lines(&load(&apex, "main", text.as_bytes(), &mut read).unwrap_err()), @r#"
    bad:2:5: error: A address: '192.0.2' is not an IPv4 address; write four numbers up to 255 with dots, as in 192.0.2.1
    itself:1:10: error: 16 files include one another; find the file that includes itself
    "#);
}

#[test]
fn nodes_have_their_kinds() {
    use NodeKind::{Authoritative, Delegation, EmptyNonTerminal, Occluded};
    let text = "a.b.c A 192.0.2.1\ncut NS ns\nx.y.cut A 192.0.2.2\nd DNAME ns\n";
    let zone = load_text(&format!("{HEAD}{text}")).unwrap().zone;
    let kinds: Vec<(String, NodeKind)> = zone
        .nodes()
        .map(|node| (crate::dns::name::display(node.name()).to_string(), node.kind()))
        .collect();
    let expected = [
        ("example.com.", Authoritative),
        ("c.example.com.", EmptyNonTerminal),
        ("b.c.example.com.", EmptyNonTerminal),
        ("a.b.c.example.com.", Authoritative),
        ("cut.example.com.", Delegation),
        ("y.cut.example.com.", Occluded),
        ("x.y.cut.example.com.", Occluded),
        ("d.example.com.", Authoritative),
        ("ns.example.com.", Authoritative),
    ];
    assert_eq!(kinds, expected.map(|(name, kind)| (name.to_owned(), kind)));
}

#[test]
fn nsec3_that_does_not_do_its_work() {
    assert_snapshot!(odd("@ NSEC3PARAM 1 0 101 -\n"), @"
    example.com.zone:5:3: warning: 101 iterations of NSEC3: many resolvers take the zone for unsigned; sign it with 0 iterations and no salt (RFC 9276 section 3.1)
    example.com.zone:5:3: warning: NSEC3PARAM without an NSEC3 record of the zone's own name with these parameters; sign the zone again, or remove the record
    ");
    assert_snapshot!(odd("@ NSEC3PARAM 1 1 0 -\n"), @"example.com.zone:5:3: warning: NSEC3PARAM with an unknown hash algorithm or flag: no server uses it; write hash algorithm 1 and flags 0 (RFC 5155 section 4.1)");
}

#[test]
fn owners_of_nsec3_are_no_names() {
    let text = concat!(
        "@ NSEC3PARAM 1 0 0 -\n",
        "00000000000000000000000000000001 NSEC3 1 0 0 - 80000000000000000000000000000000 A\n",
        "80000000000000000000000000000000 NSEC3 1 0 0 - 00000000000000000000000000000001 A\n",
    );
    let zone = load_text(&format!("{HEAD}{text}")).unwrap().zone;
    assert!(zone.node(b"\x2000000000000000000000000000000001\x07example\x03com\0").is_none());
    assert_eq!(zone.apex_node().previous().name(), b"\x02ns\x07example\x03com\0");
    let first = zone.nodes().nth(2).unwrap();
    assert_eq!(&first.name()[..3], b"\x2000");
    assert_eq!(&first.next().name()[..3], b"\x2080");
    assert_eq!(first.next().next(), first);
    assert_eq!(zone.nodes().len(), 4);
}

#[test]
fn records_whose_names_differ_in_case_alone_are_one() {
    for data in [
        "PTR",
        "MD",
        "MF",
        "MB",
        "MG",
        "MR",
        "MINFO b.",
        "RP b.",
        "MX 1",
        "AFSDB 1",
        "KX 1",
        "RT 1",
        "PX 1 b.",
        "SRV 1 2 3",
    ] {
        let zone = load_text(&format!("{HEAD}x {data} aa.b.\nx {data} aA.B.\nx {data} ab.b.\n"))
            .unwrap()
            .zone;
        assert_eq!(zone.record_count(), 3 + 2, "{data}");
    }
}

#[test]
fn signatures_lie_with_what_they_cover() {
    let text = "ns RRSIG AAAA 13 3 1h 20260322173103 20260220173103 1 @ AA==\n";
    let zone = load_text(&format!("{HEAD}{text}")).unwrap().zone;
    let node = zone.node(b"\x02ns\x07example\x03com\0").unwrap();
    assert_eq!(node.rrset(RecordType::AAAA).unwrap().signatures().count(), 1);
    assert!(node.rrset(RecordType::RRSIG).is_none());
    assert_eq!(zone.record_count(), 4);
}

#[test]
fn the_example_zones_load_without_a_warning() {
    for (apex, text) in [
        ("example.com.", include_str!("../../../zones/example.com.zone")),
        ("example.net.", include_str!("../../../zones/example.net.zone")),
        (
            "8.b.d.0.1.0.0.2.ip6.arpa.",
            include_str!("../../../zones/8.b.d.0.1.0.0.2.ip6.arpa.zone"),
        ),
    ] {
        let apex: Name = apex.parse().unwrap();
        let loaded = load(&apex, "example", text.as_bytes(), &mut |_| Err("none".to_owned()))
            .unwrap_or_else(|problems| panic!("{}", lines(&problems)));
        assert_eq!(lines(&loaded.warnings), "");
        assert_same_when_read_again(&loaded.zone);
    }
}

fn assert_same_when_read_again(zone: &Zone) {
    let text = Printed(zone).to_string();
    let again = load(zone.apex(), "printed", text.as_bytes(), &mut |_| Err("none".to_owned()));
    let again = again.unwrap_or_else(|problems| panic!("{}\n{text}", lines(&problems))).zone;
    assert_eq!(Printed(&again).to_string(), text);
    assert_eq!(contents(&again), contents(zone));
}

/// A type, its TTL, how many records it has, and their data, those of signatures after them.
type RrsetContents = (RecordType, u32, usize, Vec<Vec<u8>>);

/// All that a zone has: names, their kinds, and their RRsets.
fn contents(zone: &Zone) -> Vec<(Vec<u8>, NodeKind, Vec<RrsetContents>)> {
    let of_rrset = |rrset: Rrset<'_>| {
        let records = rrset.records().chain(rrset.signatures()).map(<[u8]>::to_vec).collect();
        (rrset.record_type(), rrset.ttl(), rrset.len(), records)
    };
    let of_node = |node: Node<'_>| (node.name().to_vec(), node.kind(), node.rrsets().map(of_rrset).collect());
    zone.nodes().map(of_node).collect()
}

/// Lines of a random zone below the head: every name may have every kind of record.
fn any_lines() -> impl Strategy<Value = String> {
    let label = prop_oneof!["[a-cA-C]", r"\\(00[0-9]|25[0-5]|\.|\\|\*| |@)", Just("*".to_owned())];
    let name = prop::collection::vec(label, 1..4).prop_map(|labels| labels.join("."));
    let data = prop_oneof![
        "A 192\\.0\\.2\\.[0-9]",
        "AAAA 2001:db8::[0-9a-f]",
        "(NS|MX 1|DNAME|PTR|SRV 0 0 0) [a-c]",
        "TXT \"[ -!#-\\[\\]-~]{0,20}\"",
        "TYPE65280 \\\\# 2 [0-9A-F]{4}",
        "NSEC @ A TYPE(1|1234|65535)",
        "RRSIG (A|TXT) 13 3 60 1 2 3 @ AA==",
    ];
    let line = (name, prop::option::of(0_u32..5), data)
        .prop_map(|(name, ttl, data)| format!("{name} {} {data}\n", ttl.map_or(String::new(), |ttl| ttl.to_string())));
    prop::collection::vec(line, 0..12).prop_map(|lines| lines.concat())
}

proptest! {
    #[test]
    fn a_printed_zone_reads_back(text in any_lines()) {
        if let Ok(loaded) = load_text(&format!("{HEAD}{text}")) {
            assert_same_when_read_again(&loaded.zone);
        }
    }

    #[test]
    fn every_name_of_a_zone_is_found(text in any_lines()) {
        let Ok(loaded) = load_text(&format!("{HEAD}{text}")) else { return Ok(()) };
        let zone = loaded.zone;
        for node in zone.nodes() {
            let lower = node.name().to_ascii_lowercase();
            prop_assert_eq!(zone.node(&lower), Some(node));
            prop_assert_eq!(zone.at_or_before(&lower), node);
            prop_assert_eq!(node.next().previous(), node);
            prop_assert!(node.is_apex() || node.parent().is_some());
        }
        let sorted = zone.nodes().is_sorted_by(|one, other| crate::dns::name::canonical_order(one.name(), other.name()).is_lt());
        prop_assert!(sorted);
    }

    #[test]
    fn no_text_panics(text in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = load(&Name::root(), "any", &text[..], &mut |_| Ok(Box::new(std::io::empty())));
    }

    #[test]
    fn no_zone_like_text_panics(text in r#"(([a@*]|\$[A-Z]{1,3}|\$GENERATE 1-3| ) ?(A|TXT|NS|SOA|HTTPS|LOC) ?[0-9.";()\\# $a-z]{0,20}\n){0,6}"#) {
        let _ = load(&Name::root(), "any", text.as_bytes(), &mut |_| Ok(Box::new(std::io::empty())));
    }
}
