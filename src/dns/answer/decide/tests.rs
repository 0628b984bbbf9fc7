//! The decision as tables: a question, and the plan in a line. Each test is one rule of the RFCs that `decide` names.

use super::*;
use crate::dns::answer::fixture;

const EXAMPLE: &str = r#"
$TTL 3600
@               SOA   ns host 7 7200 3600 1209600 300
                NS    ns
                NS    ns.elsewhere.test.
ns              A     192.0.2.53
www             A     192.0.2.80
                AAAA  2001:db8::80
mail            MX    10 www
                TXT   "mail"
a.ent           TXT   "below an empty non-terminal"
alias           CNAME www
alias2          CNAME alias
one             CNAME two
two             CNAME one
self            CNAME self
dangling        CNAME nothing
typeless        CNAME mail
out             CNAME www.elsewhere.test.
over            CNAME www.other.
over-nothing    CNAME nothing.other.
over-cut        CNAME www.cut
*.wild          A     192.0.2.1
                TXT   "wild"
below.wild      TXT   "closest encloser without a wildcard"
x.ent.wild      TXT   "makes ent.wild an empty non-terminal"
cut.wild        NS    ns.elsewhere.test.
*.alias.wild    CNAME www
*.chain.wild    CNAME nothing
a.*.asterisk    TXT   "makes *.asterisk an empty non-terminal"
cut             NS    ns.cut
                NS    ns.elsewhere.test.
ns.cut          A     192.0.2.54
deep.cut        NS    ns.deep.cut
ns.deep.cut     A     192.0.2.55
secure          NS    ns.elsewhere.test.
                DS    12345 13 2 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff
child           NS    ns.child
ns.child        A     192.0.2.56
                DS    1 13 2 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff
dname           DNAME www
                TXT   "the owner of a DNAME is an ordinary name"
a.www           A     192.0.2.81
dname-loop      DNAME x.dname-loop
dname-up        DNAME dname
dname-out       DNAME elsewhere.test.
dname-long      DNAME aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
to-dname        CNAME a.dname
"#;
const CHILD: &str = "@ 60 SOA ns host 1 2 3 4 5\n@ 60 NS ns\nns 60 A 192.0.2.56\nwww 60 A 192.0.2.57\n";
const OTHER: &str = "@ 60 SOA ns host 1 2 3 4 5\n@ 60 NS ns\nns 60 A 192.0.2.58\nwww 60 A 192.0.2.59\nback 60 CNAME www.example.\n";

fn zones() -> ZoneSet {
    fixture::zones(&[("example.", EXAMPLE), ("child.example.", CHILD), ("other.", OTHER)])
}

/// A plan in a line: response code, `aa`, the answer's links (`*`: by a wildcard), what the authority section says.
fn show(zones: &ZoneSet, name: &str, record_type: &str) -> String {
    let record_type = RecordType::from_text(record_type.as_bytes()).unwrap();
    let question = Question::new(&name.parse().unwrap(), record_type);
    let plan = answer(zones, &question, false);
    let wire = |owner| match owner {
        Owner::Question => question.name(),
        Owner::Known(wire) => wire,
        Owner::Made(index) => plan.answer.made[index].as_wire(),
    };
    let mut line = plan.response_code.to_string();
    if plan.authoritative {
        line += " aa";
    }
    for link in plan.answer.links() {
        let star = if link.wildcard.is_some() { "*" } else { "" };
        let content = match link.content {
            Content::Records(rrset) => rrset.record_type().to_string(),
            Content::Signatures(rrset) => format!("RRSIG of {}", rrset.record_type()),
            Content::Alias { target, .. } => format!("made CNAME {}", plan.answer.made[target]),
        };
        line += &format!(" | {}{star} {content}", name::display(wire(link.owner)));
    }
    let shown = |node: Node<'_>| name::display(node.name()).to_string();
    line += &match plan.authority {
        Authority::Empty => String::new(),
        Authority::Referral(Referral { cut, .. }) => format!(" > {}", shown(cut)),
        Authority::Negative(Negative { zone, denial }) => {
            let what = match denial {
                Denial::NoData { node } => format!("no such type at {}", shown(node)),
                Denial::WildcardNoData { wildcard, .. } => format!("no such type at {}", shown(wildcard)),
                Denial::NoName { closest_encloser } => format!("no such name below {}", shown(closest_encloser)),
            };
            format!(" - {}: {what}", zone.apex())
        }
    };
    line
}

fn check(rows: &[(&str, &str, &str)]) {
    let zones = zones();
    for (name, record_type, expected) in rows {
        assert_eq!(show(&zones, name, record_type), *expected, "{name} {record_type}");
    }
}

#[test]
fn names_that_exist() {
    check(&[
        ("www.example.", "A", "NOERROR aa | www.example. A"),
        ("WWW.eXample.", "AAAA", "NOERROR aa | www.example. AAAA"),
        ("example.", "SOA", "NOERROR aa | example. SOA"),
        ("example.", "NS", "NOERROR aa | example. NS"),
        ("www.example.", "MX", "NOERROR aa - example.: no such type at www.example."),
        ("ent.example.", "A", "NOERROR aa - example.: no such type at ent.example."),
        ("nothing.example.", "A", "NXDOMAIN aa - example.: no such name below example."),
        ("x.y.www.example.", "A", "NXDOMAIN aa - example.: no such name below www.example."),
        ("x.ent.example.", "A", "NXDOMAIN aa - example.: no such name below ent.example."),
        ("nothing.other.", "A", "NXDOMAIN aa - other.: no such name below other."),
    ]);
}

#[test]
fn names_that_are_not_ours() {
    check(&[
        ("example.net.", "A", "REFUSED"),
        (".", "NS", "REFUSED"),
        ("xample.", "A", "REFUSED"),
        ("www.example.", "AXFR", "NOTAUTH"),
        ("www.example.", "IXFR", "NOTAUTH"),
        ("elsewhere.test.", "AXFR", "NOTAUTH"),
        ("example.", "AXFR", "REFUSED"),
        ("example.", "IXFR", "REFUSED"),
    ]);
}

#[test]
fn any_type_is_one_type() {
    check(&[
        ("www.example.", "ANY", "NOERROR aa | www.example. A"),
        ("alias.example.", "ANY", "NOERROR aa | alias.example. CNAME"),
        ("example.", "ANY", "NOERROR aa | example. SOA"),
        ("mail.example.", "ANY", "NOERROR aa | mail.example. MX"),
        ("a.ent.example.", "ANY", "NOERROR aa | a.ent.example. TXT"),
        ("x.wild.example.", "ANY", "NOERROR aa | x.wild.example.* A"),
        ("ent.example.", "ANY", "NOERROR aa - example.: no such type at ent.example."),
        ("nothing.example.", "ANY", "NXDOMAIN aa - example.: no such name below example."),
        ("www.cut.example.", "ANY", "NOERROR > cut.example."),
    ]);
}

#[test]
fn wildcards() {
    check(&[
        ("x.wild.example.", "A", "NOERROR aa | x.wild.example.* A"),
        ("x.y.wild.example.", "TXT", "NOERROR aa | x.y.wild.example.* TXT"),
        ("*.wild.example.", "A", "NOERROR aa | *.wild.example. A"),
        ("x.wild.example.", "MX", "NOERROR aa - example.: no such type at *.wild.example."),
        ("wild.example.", "A", "NOERROR aa - example.: no such type at wild.example."),
        (
            "below.wild.example.",
            "A",
            "NOERROR aa - example.: no such type at below.wild.example.",
        ),
        (
            "x.below.wild.example.",
            "A",
            "NXDOMAIN aa - example.: no such name below below.wild.example.",
        ),
        ("ent.wild.example.", "A", "NOERROR aa - example.: no such type at ent.wild.example."),
        (
            "y.ent.wild.example.",
            "A",
            "NXDOMAIN aa - example.: no such name below ent.wild.example.",
        ),
        (
            "x.*.wild.example.",
            "A",
            "NXDOMAIN aa - example.: no such name below *.wild.example.",
        ),
        ("x.cut.wild.example.", "A", "NOERROR > cut.wild.example."),
        (
            "x.alias.wild.example.",
            "A",
            "NOERROR aa | x.alias.wild.example.* CNAME | www.example. A",
        ),
        ("x.alias.wild.example.", "CNAME", "NOERROR aa | x.alias.wild.example.* CNAME"),
        (
            "x.chain.wild.example.",
            "A",
            "NXDOMAIN aa | x.chain.wild.example.* CNAME - example.: no such name below example.",
        ),
        (
            "x.asterisk.example.",
            "A",
            "NOERROR aa - example.: no such type at *.asterisk.example.",
        ),
    ]);
}

#[test]
fn aliases() {
    check(&[
        ("alias.example.", "A", "NOERROR aa | alias.example. CNAME | www.example. A"),
        ("alias.example.", "CNAME", "NOERROR aa | alias.example. CNAME"),
        ("alias.example.", "NSEC", "NOERROR aa - example.: no such type at alias.example."),
        ("alias.example.", "RRSIG", "NOERROR aa - example.: no such type at alias.example."),
        (
            "alias2.example.",
            "AAAA",
            "NOERROR aa | alias2.example. CNAME | alias.example. CNAME | www.example. AAAA",
        ),
        ("one.example.", "A", "NOERROR aa | one.example. CNAME | two.example. CNAME"),
        ("self.example.", "A", "NOERROR aa | self.example. CNAME"),
        (
            "dangling.example.",
            "A",
            "NXDOMAIN aa | dangling.example. CNAME - example.: no such name below example.",
        ),
        (
            "typeless.example.",
            "A",
            "NOERROR aa | typeless.example. CNAME - example.: no such type at mail.example.",
        ),
        ("out.example.", "A", "NOERROR aa | out.example. CNAME"),
        ("over.example.", "A", "NOERROR aa | over.example. CNAME | www.other. A"),
        (
            "over-nothing.example.",
            "A",
            "NXDOMAIN aa | over-nothing.example. CNAME - other.: no such name below other.",
        ),
        ("over-cut.example.", "A", "NOERROR aa | over-cut.example. CNAME > cut.example."),
        ("back.other.", "A", "NOERROR aa | back.other. CNAME | www.example. A"),
    ]);
}

#[test]
fn delegations() {
    check(&[
        ("cut.example.", "A", "NOERROR > cut.example."),
        ("cut.example.", "NS", "NOERROR > cut.example."),
        ("nothing.cut.example.", "A", "NOERROR > cut.example."),
        ("ns.cut.example.", "A", "NOERROR > cut.example."),
        ("x.ns.cut.example.", "A", "NOERROR > cut.example."),
        ("ns.deep.cut.example.", "A", "NOERROR > cut.example."),
        ("deep.cut.example.", "DS", "NOERROR > cut.example."),
        ("secure.example.", "DS", "NOERROR aa | secure.example. DS"),
        ("cut.example.", "DS", "NOERROR aa - example.: no such type at cut.example."),
    ]);
}

#[test]
fn a_child_that_is_served_here_answers_for_itself_but_for_its_ds() {
    check(&[
        ("www.child.example.", "A", "NOERROR aa | www.child.example. A"),
        ("child.example.", "NS", "NOERROR aa | child.example. NS"),
        (
            "nothing.child.example.",
            "A",
            "NXDOMAIN aa - child.example.: no such name below child.example.",
        ),
        ("child.example.", "DS", "NOERROR aa - example.: no such type at child.example."),
        (
            "www.child.example.",
            "DS",
            "NOERROR aa - child.example.: no such type at www.child.example.",
        ),
    ]);
    let orphan = fixture::zones(&[("child.example.", CHILD)]);
    let expected = "NOERROR aa - child.example.: no such type at child.example.";
    assert_eq!(show(&orphan, "child.example.", "DS"), expected, "the parent is elsewhere");
    let unknown = fixture::zones(&[("child.example.", CHILD), ("example.", OTHER)]);
    assert_eq!(show(&unknown, "child.example.", "DS"), expected, "the parent does not know it");
}

#[test]
fn the_ds_of_a_child_that_its_parent_does_not_delegate_but_knows_is_the_parent_s() {
    let apexes = [
        "alias.example.",
        "mail.example.",
        "ent.example.",
        "x.wild.example.",
        "x.cut.example.",
        "x.dname.example.",
    ];
    let mut texts: Vec<(&str, &str)> = apexes.iter().map(|apex| (*apex, CHILD)).collect();
    texts.push(("example.", EXAMPLE));
    let zones = fixture::zones(&texts);
    for (name, expected) in [
        (
            "alias.example.",
            "NOERROR aa | alias.example. CNAME - example.: no such type at www.example.",
        ),
        ("mail.example.", "NOERROR aa - example.: no such type at mail.example."),
        (
            "typeless.example.",
            "NOERROR aa | typeless.example. CNAME - example.: no such type at mail.example.",
        ),
        ("ent.example.", "NOERROR aa - example.: no such type at ent.example."),
        ("x.cut.example.", "NOERROR > cut.example."),
        // what the parent says of names that it does not have is not meant for these
        ("x.wild.example.", "NOERROR aa - x.wild.example.: no such type at x.wild.example."),
        (
            "x.dname.example.",
            "NOERROR aa - x.dname.example.: no such type at x.dname.example.",
        ),
    ] {
        assert_eq!(show(&zones, name, "DS"), expected, "{name}");
    }
}

#[test]
fn nobody_speaks_for_a_zone_that_is_not_loaded() {
    let zones = fixture::zones_without(&["child.example.", "ent.example.", "elsewhere.test."], &[("example.", EXAMPLE)]);
    for (name, record_type, expected) in [
        ("elsewhere.test.", "SOA", "SERVFAIL"),
        ("www.elsewhere.test.", "A", "SERVFAIL"),
        ("elsewhere.test.", "AXFR", "SERVFAIL"),
        ("child.example.", "NS", "SERVFAIL"),
        ("www.child.example.", "A", "SERVFAIL"),
        // its parent would deny all of it
        ("a.ent.example.", "TXT", "SERVFAIL"),
        ("nothing.ent.example.", "A", "SERVFAIL"),
        ("ent.example.", "DS", "SERVFAIL"),
        ("www.child.example.", "DS", "SERVFAIL"),
        ("child.example.", "DS", "NOERROR aa - example.: no such type at child.example."),
        ("nothing.example.", "A", "NXDOMAIN aa - example.: no such name below example."),
        ("out.example.", "A", "NOERROR aa | out.example. CNAME"),
        ("test.", "A", "REFUSED"),
    ] {
        assert_eq!(show(&zones, name, record_type), expected, "{name} {record_type}");
    }
}

#[test]
fn dnames() {
    check(&[
        ("dname.example.", "DNAME", "NOERROR aa | dname.example. DNAME"),
        ("dname.example.", "TXT", "NOERROR aa | dname.example. TXT"),
        ("dname.example.", "A", "NOERROR aa - example.: no such type at dname.example."),
        (
            "a.dname.example.",
            "A",
            "NOERROR aa | dname.example. DNAME | a.dname.example. made CNAME a.www.example. | a.www.example. A",
        ),
        (
            "a.dname.example.",
            "CNAME",
            "NOERROR aa | dname.example. DNAME | a.dname.example. made CNAME a.www.example.",
        ),
        (
            "a.dname.example.",
            "ANY",
            "NOERROR aa | dname.example. DNAME | a.dname.example. made CNAME a.www.example. | a.www.example. A",
        ),
        (
            "b.dname.example.",
            "A",
            "NXDOMAIN aa | dname.example. DNAME | b.dname.example. made CNAME b.www.example. - example.: no such name below www.example.",
        ),
        (
            "a.dname-out.example.",
            "A",
            "NOERROR aa | dname-out.example. DNAME | a.dname-out.example. made CNAME a.elsewhere.test.",
        ),
        (
            "a.dname-up.example.",
            "A",
            "NOERROR aa | dname-up.example. DNAME | a.dname-up.example. made CNAME a.dname.example. \
             | dname.example. DNAME | a.dname.example. made CNAME a.www.example. | a.www.example. A",
        ),
        (
            "to-dname.example.",
            "A",
            "NOERROR aa | to-dname.example. CNAME | dname.example. DNAME | a.dname.example. made CNAME a.www.example. | a.www.example. A",
        ),
    ]);
}

#[test]
fn a_dname_that_makes_too_long_a_name_says_so() {
    let shown = |label: &str| show(&zones(), &format!("{}.{label}.dname-long.example.", "b".repeat(60)), "A");
    assert_eq!(shown("cc"), "YXDOMAIN aa | dname-long.example. DNAME");
    assert!(
        shown("c").starts_with("NXDOMAIN aa | dname-long.example. DNAME | "),
        "255 octets are a name"
    );
}

#[test]
fn a_chain_without_end_is_cut() {
    let zones = zones();
    let question = Question::new(&"a.dname-loop.example.".parse().unwrap(), RecordType::A);
    let plan = answer(&zones, &question, false);
    assert_eq!(plan.response_code, ResponseCode::NO_ERROR);
    assert!(plan.answer.links().count() <= crate::dns::answer::MAX_CHAIN);
    assert_eq!(
        plan.answer.links().filter(|link| link.content.is_dname()).count(),
        1,
        "the DNAME stands there once"
    );
}
