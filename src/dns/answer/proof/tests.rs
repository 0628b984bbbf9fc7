//! Proofs over signed zones: each kind by its exact records, then every name and type by a validator's eyes.

use std::collections::{BTreeMap, BTreeSet};

use super::checker::{Claim, Evidence, is_proved};
use crate::dns::answer::{Authority, Content, Owner, Plan, Question, answer, fixture};
use crate::dns::name::{self, Name};
use crate::dns::types::{RecordType, ResponseCode};
use crate::dns::zone::{DenialChain, NodeKind, Nsec3, ZoneSet};

const NSEC: &str = include_str!("../../../../tests/data/denial/nsec.zone");
const NSEC3: &str = include_str!("../../../../tests/data/denial/nsec3.zone");
const SALTED: &str = include_str!("../../../../tests/data/denial/nsec3-salted.zone");
const OPT_OUT: &str = include_str!("../../../../tests/data/denial/nsec3-opt-out.zone");

const TYPES: [RecordType; 15] = [
    RecordType::A,
    RecordType::NS,
    RecordType::CNAME,
    RecordType::SOA,
    RecordType::MX,
    RecordType::TXT,
    RecordType::AAAA,
    RecordType::DNAME,
    RecordType::DS,
    RecordType::RRSIG,
    RecordType::NSEC,
    RecordType::DNSKEY,
    RecordType::NSEC3,
    RecordType::NSEC3PARAM,
    RecordType::ANY,
];

/// Insecure delegations, and the empty non-terminal that leads to nothing else.
const OPTED_OUT: [&str; 5] = [
    "cut.example.",
    "cut.wild.example.",
    "x.mixed.example.",
    "far.insecure.example.",
    "insecure.example.",
];

fn zones(text: &str) -> ZoneSet {
    fixture::zones(&[("example.", text)])
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// Whose record each record of the proof is: an owner of NSEC3 is shown as the name that has its hash.
fn show(zones: &ZoneSet, asked: &str, record_type: &str) -> String {
    let zone = zones.get(&name("example.")).unwrap();
    let hashed: BTreeMap<Vec<u8>, Name> = match zone.denial_chain() {
        Some(DenialChain::Nsec3(chain)) => names_of(zones)
            .into_iter()
            .filter_map(|name| match zone.nsec3(chain, name.to_lower().as_wire()) {
                Nsec3::Matching(node) => Some((node.name().to_vec(), name)),
                Nsec3::Covering(_) => None,
            })
            .collect(),
        Some(DenialChain::Nsec) | None => BTreeMap::new(),
    };
    let record_type = RecordType::from_text(record_type.as_bytes()).unwrap();
    let question = Question::new(&name(asked), record_type);
    let plan = answer(zones, &question, true);
    let owner = |wire: &[u8]| hashed.get(wire).map_or_else(|| name::display(wire).to_string(), Name::to_string);
    let owners: Vec<String> = plan.proof.rrsets().map(|(node, _)| owner(node.name())).collect();
    owners.join(" + ")
}

/// Rows of a question and its proof by NSEC, by NSEC3, and by NSEC3 with opt-out. What covers a name is shown as the name
/// whose record it is.
fn check(rows: &[(&str, &str, [&str; 3])]) {
    let all = [NSEC, NSEC3, OPT_OUT].map(zones);
    for (asked, record_type, expected) in rows {
        for (zones, expected) in all.iter().zip(expected) {
            let shown = show(zones, &format!("{asked}example."), record_type);
            assert_eq!(shown, *expected, "{asked} {record_type}");
        }
    }
}

/// The names of the zone that have or could have a denial: not what a cut or a DNAME hides.
fn names_of(zones: &ZoneSet) -> Vec<Name> {
    let zone = zones.get(&name("example.")).unwrap();
    let named = zone.nodes().filter(|node| zone.node(&node.name().to_ascii_lowercase()).is_some());
    let visible = named.filter(|node| node.kind() != NodeKind::Occluded);
    visible.map(|node| Name::from_wire(node.name()).unwrap()).collect()
}

/// All names of the zone, names beside each of them, and the owners of its NSEC3 records.
fn names_beside(zones: &ZoneSet) -> BTreeSet<String> {
    let zone = zones.get(&name("example.")).unwrap();
    let names: Vec<String> = zone.nodes().map(|node| name::display(node.name()).to_string()).collect();
    let beside = ["!", "0", "X", "zzz", "*", "a.b", "x.*"];
    let made = names.iter().flat_map(|name| beside.map(|label| format!("{label}.{name}")));
    made.chain(names.iter().cloned()).collect()
}

/// What the answer claims that a validator wants to see proved; it reads the answer section as a client does.
fn claims(question: &Question, plan: &Plan<'_>) -> Vec<Claim> {
    let mut claims = Vec::new();
    let mut last = Name::from_wire(question.name()).unwrap();
    for link in plan.answer.links() {
        let owner = match link.owner {
            Owner::Question => Name::from_wire(question.name()).unwrap(),
            Owner::Known(wire) => Name::from_wire(wire).unwrap(),
            Owner::Made(index) => plan.answer.made[index].clone(),
        };
        match link.content {
            Content::Records(rrset) | Content::Signatures(rrset) => {
                let signature = rrset.signatures().next().unwrap();
                let labels = usize::from(signature[3]);
                if owner.labels().filter(|label| *label != b"*").count() > labels {
                    claims.push(Claim::Expanded(owner, labels));
                }
                if rrset.record_type() == RecordType::CNAME {
                    last = Name::from_wire(rrset.records().next().unwrap()).unwrap();
                }
            }
            Content::Alias { target, .. } => last = plan.answer.made[target].clone(),
        }
    }
    match plan.authority {
        Authority::Negative(_) if plan.response_code == ResponseCode::NX_DOMAIN => claims.push(Claim::NoName(last)),
        Authority::Negative(_) if OPTED_OUT.iter().any(|opted_out| last == name(opted_out)) => {
            claims.push(Claim::OptedOut(last, question.record_type));
        }
        Authority::Negative(_) => claims.push(Claim::NoType(last, question.record_type)),
        Authority::Referral(referral) if referral.signers.is_none() => {
            claims.push(Claim::Insecure(Name::from_wire(referral.cut.name()).unwrap()));
        }
        Authority::Referral(_) | Authority::Empty => {}
    }
    claims
}

fn evidence(plan: &Plan<'_>) -> Vec<Evidence> {
    let rrsets = plan.proof.rrsets();
    let read = |(node, rrset): (crate::dns::zone::Node<'_>, crate::dns::zone::Rrset<'_>)| {
        assert_eq!((rrset.len(), rrset.signatures().count()), (1, 1), "{}", name::display(node.name()));
        Evidence::read(node.name(), rrset.record_type(), rrset.records().next().unwrap())
    };
    rrsets.map(read).collect()
}

/// Every claim is proved, and no record could be left out; without DO there is none.
fn check_all(text: &str) {
    let zones = zones(text);
    let mut proved = 0;
    for asked in names_beside(&zones) {
        for record_type in TYPES {
            let question = Question::new(&name(&asked), record_type);
            let plan = answer(&zones, &question, true);
            let (claims, evidence) = (claims(&question, &plan), evidence(&plan));
            let are_proved = |evidence: &[Evidence]| claims.iter().all(|claim| is_proved(claim, evidence));
            assert!(are_proved(&evidence), "{asked} {record_type}: {claims:?} by {evidence:#?}");
            for left_out in 0..evidence.len() {
                let mut fewer = evidence.clone();
                fewer.remove(left_out);
                assert!(
                    !are_proved(&fewer),
                    "{asked} {record_type}: {claims:?} needs no {:?}",
                    evidence[left_out]
                );
            }
            proved += usize::from(!claims.is_empty());
            let plain = answer(&zones, &question, false);
            assert_eq!(plain.proof.rrsets().count(), 0, "{asked} {record_type} without DO");
        }
    }
    assert!(proved > 3000, "only {proved} of the answers had something to prove");
}

#[test]
fn a_type_that_is_not_there_is_denied_by_the_names_own_record() {
    check(&[
        ("www.", "MX", ["www.example.", "www.example.", "www.example."]),
        ("WWW.", "MX", ["www.example.", "www.example.", "www.example."]),
        ("", "MX", ["example.", "example.", "example."]),
        ("dname.", "A", ["dname.example.", "dname.example.", "dname.example."]),
        ("*.wild.", "MX", ["*.wild.example.", "*.wild.example.", "*.wild.example."]),
    ]);
}

#[test]
fn an_empty_non_terminal_has_a_record_of_its_own_only_in_nsec3() {
    check(&[
        ("ent.", "A", ["dname.example.", "ent.example.", "ent.example."]),
        ("d.ent.", "A", ["a.ent.example.", "d.ent.example.", "d.ent.example."]),
        ("mixed.", "A", ["far.insecure.example.", "mixed.example.", "mixed.example."]),
        (
            "insecure.",
            "A",
            ["b.c.d.ent.example.", "insecure.example.", "example. + *.twice.wild.example."],
        ),
    ]);
}

#[test]
fn a_name_that_is_not_there_is_denied_with_its_wildcard() {
    check(&[
        (
            "nothing.",
            "A",
            [
                "y.mixed.example. + example.",
                "example. + x.mixed.example. + wild.example.",
                "example. + b.c.d.ent.example. + *.alias.wild.example.",
            ],
        ),
        (
            "x.y.www.",
            "A",
            [
                "a.www.example. + www.example.",
                "www.example. + x.ent.wild.example. + y.mixed.example.",
                "www.example. + alias.wild.example. + y.mixed.example.",
            ],
        ),
        (
            "zzz.",
            "A",
            [
                "zz.example. + example.",
                "example. + x.ent.wild.example. + wild.example.",
                "example. + *.chain.wild.example. + *.alias.wild.example.",
            ],
        ),
        (
            "x.insecure.",
            "A",
            [
                "far.insecure.example. + b.c.d.ent.example.",
                "insecure.example. + *.twice.wild.example. + chain.wild.example.",
                "example. + *.twice.wild.example. + *.alias.wild.example.",
            ],
        ),
    ]);
}

#[test]
fn one_record_that_denies_both_is_sent_once() {
    check(&[
        (
            "!.",
            "A",
            [
                "example.",
                "example. + alias.example. + wild.example.",
                "example. + twice.wild.example. + *.alias.wild.example.",
            ],
        ),
        (
            "x.ent.",
            "A",
            [
                "b.c.d.ent.example. + dname.example.",
                "ent.example. + zz.example.",
                "ent.example. + mixed.example. + www.example.",
            ],
        ),
    ]);
}

#[test]
fn an_answer_from_a_wildcard_denies_the_name_itself() {
    check(&[
        ("x.wild.", "A", ["*.twice.wild.example.", "alias.example.", "*.jump.wild.example."]),
        ("x.y.wild.", "A", ["*.twice.wild.example.", "*.asterisk.example.", "a.ent.example."]),
        (
            "x.wild.",
            "RRSIG",
            ["*.twice.wild.example.", "alias.example.", "*.jump.wild.example."],
        ),
        (
            "x.wild.",
            "ANY",
            ["*.twice.wild.example.", "alias.example.", "*.jump.wild.example."],
        ),
        ("*.wild.", "A", ["", "", ""]),
    ]);
}

#[test]
fn a_wildcard_without_the_type_is_denied_with_the_name() {
    check(&[
        (
            "x.wild.",
            "MX",
            [
                "*.wild.example. + *.twice.wild.example.",
                "wild.example. + alias.example. + *.wild.example.",
                "wild.example. + *.jump.wild.example. + *.wild.example.",
            ],
        ),
        (
            "x.asterisk.",
            "A",
            [
                "alias.example. + a.*.asterisk.example.",
                "asterisk.example. + x.ent.wild.example. + *.asterisk.example.",
                "asterisk.example. + ent.wild.example. + *.asterisk.example.",
            ],
        ),
    ]);
}

#[test]
fn what_is_at_the_end_of_aliases_is_denied() {
    check(&[
        (
            "dangling.",
            "A",
            [
                "y.mixed.example. + example.",
                "example. + x.mixed.example. + wild.example.",
                "example. + b.c.d.ent.example. + *.alias.wild.example.",
            ],
        ),
        ("typeless.", "MX", ["ns.example.", "ns.example.", "ns.example."]),
        ("to-ent.", "A", ["dname.example.", "ent.example.", "ent.example."]),
        (
            "b.dname.",
            "A",
            [
                "a.www.example. + www.example.",
                "www.example. + x.ent.wild.example. + y.mixed.example.",
                "www.example. + dangling.example. + y.mixed.example.",
            ],
        ),
        ("a.dname.", "A", ["", "", ""]),
    ]);
}

#[test]
fn each_wildcard_on_the_way_is_proved_with_the_end() {
    check(&[
        (
            "x.alias.wild.",
            "A",
            ["*.alias.wild.example.", "insecure.example.", "mixed.example."],
        ),
        (
            "x.jump.wild.",
            "A",
            [
                "*.jump.wild.example. + *.twice.wild.example.",
                "www.example. + alias.example.",
                "ent.wild.example. + *.jump.wild.example.",
            ],
        ),
        (
            "x.chain.wild.",
            "A",
            [
                "*.chain.wild.example. + y.mixed.example. + example.",
                "asterisk.example. + example. + x.mixed.example. + wild.example.",
                "asterisk.example. + example. + b.c.d.ent.example. + *.alias.wild.example.",
            ],
        ),
        (
            "x.twice.wild.",
            "A",
            [
                "*.twice.wild.example. + *.chain.wild.example. + y.mixed.example. + example.",
                "wild.example. + asterisk.example. + example. + x.mixed.example.",
                "*.wild.example. + asterisk.example. + example. + b.c.d.ent.example. + *.alias.wild.example.",
            ],
        ),
    ]);
}

#[test]
fn a_cut_without_ds_is_said_to_have_none() {
    check(&[
        ("x.cut.", "A", ["cut.example.", "cut.example.", "example. + secure.example."]),
        ("cut.", "NS", ["cut.example.", "cut.example.", "example. + secure.example."]),
        ("cut.", "DS", ["cut.example.", "cut.example.", "example. + secure.example."]),
        (
            "far.insecure.",
            "A",
            ["far.insecure.example.", "far.insecure.example.", "example. + *.twice.wild.example."],
        ),
        (
            "x.mixed.",
            "DS",
            ["x.mixed.example.", "x.mixed.example.", "mixed.example. + c.d.ent.example."],
        ),
        ("to-cut.", "A", ["cut.example.", "cut.example.", "example. + secure.example."]),
        ("x.secure.", "A", ["", "", ""]),
        ("secure.", "DS", ["", "", ""]),
    ]);
}

#[test]
fn every_claim_is_proved_by_nsec() {
    check_all(NSEC);
}

#[test]
fn every_claim_is_proved_by_nsec3() {
    check_all(NSEC3);
}

#[test]
fn every_claim_is_proved_by_nsec3_with_salt_and_iterations() {
    check_all(SALTED);
}

#[test]
fn every_claim_is_proved_by_nsec3_with_opt_out() {
    check_all(OPT_OUT);
}

#[test]
fn owners_of_nsec3_are_no_names() {
    let zones = zones(NSEC3);
    let zone = zones.get(&name("example.")).unwrap();
    let owner = zone.nodes().last().unwrap().name();
    let question = Question::new(&Name::from_wire(owner).unwrap(), RecordType::NSEC3);
    let plan = answer(&zones, &question, true);
    assert_eq!(plan.response_code, ResponseCode::NX_DOMAIN);
    assert_eq!(plan.proof.rrsets().count(), 3);
}

#[test]
fn a_zone_without_a_whole_chain_proves_what_it_can() {
    let broken = NSEC
        .lines()
        .filter(|line| !line.starts_with("www.example.") || !line.contains("NSEC"));
    let zones = zones(&broken.collect::<Vec<_>>().join("\n"));
    assert_eq!(show(&zones, "www.example.", "MX"), "");
    assert_eq!(show(&zones, "x.y.www.example.", "A"), "a.www.example.");
}
