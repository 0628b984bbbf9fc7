//! Small zone files, most of them bad, and what is said about each: `tests/data/zones`.
//!
//! `verdicts.txt` says of every file whether it is served, here and by the tools of others; `tests/differential` asks those
//! tools. The snapshot holds places and words of every message, so that another reader of zone files says the same.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use heraldns::dns::name::Name;
use heraldns::dns::zone::{self, Loaded, ZoneError};
use heraldns::io::files::{self, Includes};
use insta::assert_snapshot;

const APEX: &str = "example.com.";
/// When the signatures of most files are valid.
const NOW: &str = "2026-01-01T00:00:00Z";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/zones")
}

/// The names of the zone files, without `.zone`.
fn names() -> BTreeSet<String> {
    let is_zone = |name: &str| name.ends_with(".zone");
    let paths = files::files_below(&folder(), is_zone).unwrap();
    paths
        .iter()
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect()
}

/// What `check-zone` says about a file: the verdict, and its messages.
fn check(name: &str) -> (&'static str, Vec<ZoneError>) {
    let apex: Name = APEX.parse().unwrap();
    let path = folder().join(format!("{name}.zone"));
    let text = files::read(&path).unwrap();
    let file = format!("{name}.zone");
    let mut includes = Includes::of(&path);
    match zone::load(&apex, &file, &text[..], &mut |name| includes.open(name)) {
        Err(errors) => ("error", errors),
        Ok(Loaded { zone, mut warnings }) => {
            warnings.extend(zone::check_signing(&zone, &file, NOW.parse().unwrap()));
            (if warnings.is_empty() { "ok" } else { "warning" }, warnings)
        }
    }
}

#[test]
fn every_file_has_the_verdict_of_the_table() {
    let table = fs::read_to_string(folder().join("verdicts.txt")).unwrap();
    let rows = table.lines().filter(|line| !line.starts_with('#'));
    let expected: BTreeSet<(String, &str)> = rows
        .map(|row| {
            let mut columns = row.split('|').map(str::trim);
            (columns.next().unwrap().to_owned(), columns.next().unwrap())
        })
        .collect();
    let found: BTreeSet<(String, &str)> = names()
        .into_iter()
        .map(|name| {
            let verdict = check(&name).0;
            (name, verdict)
        })
        .collect();
    let difference: Vec<_> = expected.symmetric_difference(&found).collect();
    assert!(difference.is_empty(), "in verdicts.txt, or seen, but not both: {difference:?}");
}

#[test]
fn every_message_has_its_place_and_words() {
    let mut said = String::new();
    for name in names() {
        for message in check(&name).1 {
            // where the repository lies is no part of the words
            let line = message.to_string().replace(&format!("{}/", folder().display()), "");
            writeln!(said, "{line}").unwrap();
        }
    }
    assert_snapshot!(said);
}
