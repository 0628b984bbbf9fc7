//! The bodies of the fuzz targets for a bounded number of rounds: no panic, no answer over its limit, nothing misread.
//!
//! The inputs are queries, zone files and recorded OSPFv3 packets with random changes, made from a seed. `HERALDNS_FUZZ_SEED=7` begins with another
//! one, `HERALDNS_FUZZ_ROUNDS=100000` takes so many; a failure says the seed of its round.

use std::collections::BTreeMap;
use std::env;
use std::panic::{self, AssertUnwindSafe};

use heraldns::base::random::Random;

#[path = "../../fuzz/bodies/mod.rs"]
pub(crate) mod bodies;
mod change;
mod queries;

use bodies::{compression, ospf, query, scanner};
use change::{any, change, pick};
use queries::any_query;

const ROUNDS: &str = "HERALDNS_FUZZ_ROUNDS";
const SEED: &str = "HERALDNS_FUZZ_SEED";
const ZONE_FILES: [&str; 6] = [
    include_str!("../../zones/example.com.zone"),
    include_str!("../../zones/example.net.zone"),
    include_str!("../../zones/8.b.d.0.1.0.0.2.ip6.arpa.zone"),
    include_str!("../data/denial/plain.zone"),
    include_str!("../data/denial/nsec.zone"),
    include_str!("../data/denial/nsec3-opt-out.zone"),
];
/// A text form of every type, with its octets after `=>`.
const DATA: &str = include_str!("../../src/dns/zone/rdata/vectors.txt");
/// Lines that change what comes after them, or that are wrong.
const LINES: [&str; 12] = [
    "$INCLUDE itself\n",
    "$INCLUDE other sub\n",
    "$INCLUDE broken\n",
    "$GENERATE 1-9 g$ A 192.0.2.$\n",
    "$GENERATE 0-15 ${0,3,n} PTR h${-1,2,x}\n",
    "$ORIGIN sub\n",
    "$TTL 1w\n",
    "a TXT ( \"one\" ; two )\n \"three\"\r\n)\n",
    "  TXT \"never closed\n",
    "b TXT ( never closed\n",
    "c NS ns.c\n",
    "d DNAME e\n",
];

/// Runs a body, so many `rounds` if nothing else is wished, each with a random source of its own; what it said how often.
fn run(rounds: u64, mut input: impl FnMut(&mut Random) -> Vec<u8>, body: impl Fn(&[u8]) -> String) -> BTreeMap<String, u64> {
    let number = |variable: &str| {
        let text = env::var(variable).ok()?;
        Some(text.parse::<u64>().unwrap_or_else(|error| panic!("{variable}={text}: {error}")))
    };
    let first = number(SEED).unwrap_or(1);
    let mut said = BTreeMap::new();
    for seed in first..first + number(ROUNDS).unwrap_or(rounds) {
        let octets = input(&mut Random::seeded(seed));
        match panic::catch_unwind(AssertUnwindSafe(|| body(&octets))) {
            Ok(one) => *said.entry(one).or_insert(0) += 1,
            Err(_) => panic!("{SEED}={seed} {ROUNDS}=1 shows it: {}", octets.escape_ascii()),
        }
    }
    said
}

/// The usual rounds have come to all of this: inputs that only ever fail early would show little.
fn assert_said(said: &BTreeMap<String, u64>, wanted: &[&str]) {
    if env::var_os(ROUNDS).is_none() && env::var_os(SEED).is_none() {
        let missing: Vec<&&str> = wanted.iter().filter(|one| !said.contains_key(**one)).collect();
        assert!(missing.is_empty(), "never: {missing:?}, but {said:?}");
    }
}

#[test]
fn queries_with_random_changes() {
    let input = |random: &mut Random| {
        let mut octets = any_query(random);
        if random.chance(600) {
            let other = any_query(random);
            change(&mut octets, &other, random);
        }
        octets
    };
    let said = run(20_000, input, |octets| match query::run(octets) {
        Some(Ok(code)) => format!("{code}"),
        Some(Err(cause)) => format!("dropped: {cause:?}"),
        None => "nothing".to_owned(),
    });
    let codes = ["NOERROR", "FORMERR", "NXDOMAIN", "NOTIMP", "REFUSED", "BADVERS"];
    assert_said(&said, &codes);
    assert_said(&said, &["dropped: Short", "dropped: Response"]);
}

#[test]
fn zone_files_with_random_changes() {
    let said = run(2_000, any_zone_file, |octets| format!("{:?}", scanner::run(octets)));
    assert_said(&said, &["Some(true)", "Some(false)"]);
}

#[test]
fn zones_whose_names_share_their_ends() {
    let input = |random: &mut Random| any(random.below(600) as usize, random);
    let said = run(200, input, |octets| match compression::run(octets) {
        Some(_) => "answered".to_owned(),
        None => "no zone".to_owned(),
    });
    assert_eq!(said.keys().collect::<Vec<_>>(), ["answered"], "{said:?}");
}

#[test]
fn ospf_packets_with_random_changes() {
    let recorded = crate::vectors::vectors();
    let input = |random: &mut Random| {
        let one = &recorded[random.below(recorded.len() as u64) as usize];
        let other = &recorded[random.below(recorded.len() as u64) as usize];
        let mut octets = one.octets.clone();
        let has_trailer = one.file.starts_with("authenticated");
        let is_keyed = has_trailer && random.chance(500);
        if has_trailer && !is_keyed {
            octets.truncate(usize::from(u16::from_be_bytes([octets[2], octets[3]])));
        }
        if random.chance(800) {
            change(&mut octets, &other.octets, random);
        }
        let mode = if is_keyed { ospf::KEYED } else { ospf::MENDED };
        [vec![mode], any(ospf::SETTINGS - 1, random), octets].concat()
    };
    let said = run(20_000, input, |octets| match ospf::run(octets) {
        Some(Ok(kind)) => format!("{kind:?}"),
        Some(Err(cause)) => cause.name().to_owned(),
        None => "nothing".to_owned(),
    });
    let kinds = [
        "Hello",
        "DatabaseDescription",
        "LinkStateRequest",
        "LinkStateUpdate",
        "LinkStateAcknowledgment",
    ];
    assert_said(&said, &kinds);
    assert_said(
        &said,
        &[
            "short",
            "version",
            "type",
            "trailing",
            "intervals",
            "router-id",
            "lsa-length",
            "digest",
        ],
    );
}

/// A zone file, or a few lines with data of every type, changed or not, with the settings of the body before it.
fn any_zone_file(random: &mut Random) -> Vec<u8> {
    let mut text = b"$TTL 60\n@ SOA ns host 1 2 3 4 5\n@ NS ns\nns A 192.0.2.53\n".to_vec();
    if random.chance(300) {
        text = pick(&ZONE_FILES, random).replace("example.", "example.com.").into_bytes();
    }
    let data: Vec<&str> = DATA.lines().filter_map(|line| line.split(" => ").next()).collect();
    for _ in 0..random.below(8) {
        match random.below(4) {
            0 => text.extend(pick(&LINES, random).bytes()),
            _ => text.extend(
                format!(
                    "{} {}\n",
                    pick(&["x", "y.x", "*.x", "\\001\\.", "@", " "], random),
                    pick(&data, random)
                )
                .bytes(),
            ),
        }
    }
    if random.chance(600) {
        let other = pick(&ZONE_FILES, random);
        change(&mut text, other.as_bytes(), random);
    }
    [any(scanner::SETTINGS, random), text].concat()
}
