//! The differential test: heraldns answers generated zones as NSD, Knot and BIND do, section by section.
//!
//! Also that servers of one secret take each other's cookies, and that bad zone files are judged as the others' checkers do. Needs
//! these three, `dig` and `kdig`; without them every test is reported *ignored*, and `HERALDNS_LAB=required` makes that a failure.
//! `DIFFERENTIAL_ZONES=5000` compares so many zones instead of the usual number, `DIFFERENTIAL_SEED=77`
//! begins with another seed, `DIFFERENTIAL_KEEP=1` keeps the files of all servers. A failure prints the seed, the smallest
//! zone that was found to show it, question and answers.

#![allow(clippy::print_stdout, reason = "figures are printed for people")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod answer;
mod asked;
mod builder;
mod client;
mod comparison;
mod cookies;
mod judgement;
mod known;
mod messages;
mod questions;
mod random;
mod records;
mod servers;
mod shrink;
mod signing;
mod verdicts;
mod zones;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use heraldns::dns::zone::{self, Printed};
use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::comparison::{Batch, Difference};
use crate::judgement::Figures;
use crate::shrink::shrink;
use crate::zones::{Chain, Family, Signer, Signing, Zone};

/// Commands that must be there.
const TOOLS: [&str; 9] = [
    "nsd",
    "knotd",
    "named",
    "ldns-signzone",
    "dnssec-signzone",
    "dnssec-keygen",
    "kzonesign",
    "dig",
    "kdig",
];
/// Generated zones of each kind, if nothing else is wished.
const ZONES: usize = 100;
/// Zones that are served at the same time.
const BATCH: usize = 100;
/// Differences of one kind that are shown, and how many kinds of them are shown by a small zone.
const SHOWN: usize = 2;
const SHRUNK: usize = 4;

fn main() {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = arguments.test_threads.or(Some(1));
    let trials = vec![
        trial("unsigned_zones_are_answered_as_by_the_majority", &TOOLS, || {
            compare_generated(false)
        }),
        trial("signed_zones_are_answered_as_by_the_majority", &TOOLS, || compare_generated(true)),
        trial("zones_of_the_repository_are_answered_as_by_the_majority", &TOOLS, || {
            compare_folder("zones", &[None])
        }),
        trial("zones_made_by_hand_are_answered_as_by_the_majority", &TOOLS, compare_made_by_hand),
        trial("odd_messages_are_answered_as_by_the_majority", &TOOLS, messages::compare),
        trial(
            "servers_of_one_secret_take_each_other_s_cookies",
            &TOOLS,
            cookies::exchange_between_servers,
        ),
        trial(
            "dig_and_kdig_get_their_answer_with_a_cookie",
            &TOOLS,
            cookies::exchange_with_clients,
        ),
        trial("bad_zone_files_are_judged_as_by_others", &verdicts::TOOLS, verdicts::compare),
    ];
    libtest_mimic::run(&arguments, trials).exit();
}

fn trial(name: &str, tools: &'static [&str], test: fn() -> Result<(), String>) -> Trial {
    Trial::ignorable_test(name, move || match missing(tools) {
        None => test().map(|()| Completion::Completed).map_err(Failed::from),
        Some(missing) if std::env::var("HERALDNS_LAB").is_ok_and(|wish| wish == "required") => {
            Err(Failed::from(format!("HERALDNS_LAB=required, and the test {missing}")))
        }
        Some(missing) => Ok(Completion::ignored_with(missing)),
    })
}

fn missing(tools: &[&str]) -> Option<String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_installed = |tool: &str| std::env::split_paths(&path).any(|folder| folder.join(tool).is_file());
    let absent = tools.iter().find(|tool| !is_installed(tool))?;
    Some(format!("needs the program '{absent}'"))
}

fn compare_generated(signed: bool) -> Result<(), String> {
    let zones = number("DIFFERENTIAL_ZONES").unwrap_or(ZONES);
    let mut seed = number("DIFFERENTIAL_SEED").unwrap_or(1) as u64;
    let mut outcome = Outcome::default();
    while outcome.figures.zones < zones {
        let mut batch = Batch::default();
        let mut families = Vec::new();
        while batch.zone_count() < BATCH.min(zones - outcome.figures.zones) {
            families.push(Family::generate(seed, signed));
            batch.add(families[families.len() - 1].clone(), None);
            seed += 1;
        }
        outcome.add(&families, &batch);
    }
    outcome.tell()
}

/// The zones of `tests/data/answers`, unsigned, with NSEC, and with NSEC3 and opt-out.
fn compare_made_by_hand() -> Result<(), String> {
    let nsec = Signing {
        chain: Chain::Nsec,
        signer: Signer::Dnssec,
        twice: false,
    };
    let nsec3 = Signing {
        chain: Chain::Nsec3 {
            iterations: 0,
            salt: String::new(),
            opt_out: true,
        },
        signer: Signer::Dnssec,
        twice: false,
    };
    compare_folder("tests/data/answers", &[None, Some(nsec), Some(nsec3)])
}

/// The zone files of a folder, `root.zone` being the root's, signed in each of these ways. Where they are not signed, heraldns
/// serves them as they are and the peers get them as heraldns prints them, since NSD knows no `$GENERATE`.
fn compare_folder(name: &str, signings: &[Option<Signing>]) -> Result<(), String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let mut outcome = Outcome::default();
    for signing in signings {
        let mut family = Family {
            seed: 0,
            zones: Vec::new(),
            names: Vec::new(),
        };
        for entry in fs::read_dir(&folder).unwrap() {
            let zone = read_zone(&entry.unwrap().path(), signing.clone());
            let owners = zone.lines.iter().filter_map(|line| line.split(' ').next());
            family.names.extend(owners.map(str::to_owned));
            family.zones.push(zone);
        }
        family.names.sort();
        family.names.dedup();
        let mut batch = Batch::default();
        batch.add(family.clone(), None);
        outcome.add(&[family], &batch);
    }
    outcome.tell()
}

fn read_zone(path: &Path, signing: Option<Signing>) -> Zone {
    let apex = match path.file_stem().unwrap().to_str().unwrap() {
        "root" => ".".to_owned(),
        stem => format!("{stem}."),
    };
    let mut include = |path: &str| Err(format!("{path} is not to be included"));
    let loaded = zone::load(&apex.parse().unwrap(), &apex, &fs::read(path).unwrap()[..], &mut include).unwrap();
    let text = Printed(&loaded.zone).to_string();
    Zone {
        apex,
        original: signing.is_none().then(|| path.to_owned()),
        signing,
        lines: text.lines().map(|line| line.replacen(" IN ", " ", 1)).collect(),
    }
}

/// What has come of all batches.
#[derive(Default)]
struct Outcome {
    figures: Figures,
    failures: Vec<String>,
    shown: BTreeMap<String, usize>,
}

impl Outcome {
    /// Compares a batch of these families.
    fn add(&mut self, families: &[Family], batch: &Batch) {
        let differences = batch.compare(&mut self.figures);
        for (family, differences) in families.iter().zip(differences) {
            differences.iter().for_each(|difference| self.fail(family, difference));
        }
    }

    fn fail(&mut self, family: &Family, difference: &Difference) {
        let count = self.shown.entry(difference.class.clone()).or_default();
        *count += 1;
        if *count > SHOWN {
            return;
        }
        let is_first = *count == 1 && self.shown.len() <= SHRUNK;
        let family = if is_first { shrink(family, difference) } else { family.clone() };
        self.failures.push(format!(
            "{}, seed {}: {}{}",
            difference.class,
            family.seed,
            difference.text,
            family.to_text()
        ));
    }

    fn tell(self) -> Result<(), String> {
        println!("{}", self.figures.to_text());
        match self.failures.is_empty() {
            true => Ok(()),
            false => Err(self.failures.join("\n")),
        }
    }
}

/// The number in an environment variable, if it is set.
fn number(variable: &str) -> Option<usize> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|error| panic!("{variable}={text}: {error}")))
}
