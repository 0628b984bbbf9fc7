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

/// A good zone, and lines after it.
fn zone_with(lines: &str) -> String {
    format!("$TTL 60\n@ SOA ns host 1 7200 900 1209600 600\n@ NS ns\nns A 192.0.2.53\n{lines}")
}

/// Errors, or warnings, of a zone file in a folder of its own, beside what `make` puts there.
fn said_in_folder(lines: &str, make: impl FnOnce(&Path)) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path());
    let path = folder.path().join("main.zone");
    let text = zone_with(lines);
    let mut includes = Includes::of(&path);
    let outcome = zone::load(&APEX.parse().unwrap(), "main", text.as_bytes(), &mut |name| includes.open(name));
    let problems = outcome.map_or_else(|errors| errors, |loaded| loaded.warnings);
    let place = format!("{}/", folder.path().display());
    problems.iter().map(|problem| problem.to_string().replace(&place, "")).collect()
}

#[test]
fn files_that_are_no_files_are_not_waited_for() {
    let make = |folder: &Path| {
        let made = std::process::Command::new("mkfifo").arg(folder.join("pipe")).status().unwrap();
        assert!(made.success());
        fs::create_dir(folder.join("folder")).unwrap();
    };
    let lines = "$INCLUDE pipe\n$INCLUDE folder\n$INCLUDE /dev/zero\n$INCLUDE missing\n";
    assert_snapshot!(said_in_folder(lines, make).join("\n"), @"
    main:5:10: error: cannot read 'pipe': pipe: this is no regular file; write its content to one; write the path of a file that can be read
    main:6:10: error: cannot read 'folder': folder: this is no regular file; write its content to one; write the path of a file that can be read
    main:7:10: error: cannot read '/dev/zero': /dev/zero: this is no regular file; write its content to one; write the path of a file that can be read
    main:8:10: error: cannot read 'missing': missing: No such file or directory (os error 2); write the path of a file that can be read
    ");
}

#[test]
fn files_include_one_another_sixteen_deep() {
    let make = |last: usize| {
        move |folder: &Path| {
            for number in 0..last {
                fs::write(folder.join(number.to_string()), format!("$INCLUDE {}\n", number + 1)).unwrap();
            }
            fs::write(folder.join(last.to_string()), "deep TXT \"here\"\n").unwrap();
        }
    };
    assert!(said_in_folder("$INCLUDE 0\n", make(15)).is_empty());
    assert_snapshot!(said_in_folder("$INCLUDE 0\n", make(16)).join("\n"), @"15:1:10: error: 16 files include one another; find the file that includes itself");
}

#[test]
fn a_record_has_at_most_65535_octets() {
    let record = |octets: usize| format!("a TYPE65280 \\# {octets} {}\n", "00".repeat(octets));
    let strings = |count: usize| format!("a TXT {}\n", "\"x\" ".repeat(count));
    let said = |lines: &str| said_in_folder(lines, |_| {}).join("\n");
    assert_snapshot!(said(&record(65_535)), @"main:5:3: warning: the TYPE65280 records of a.example.com. and their signatures make an answer of 65578 octets: at most 65535 fit into one; write fewer records, or shorter ones");
    assert_snapshot!(said(&record(65_536)), @"main:5:16: error: '65536' is not a number from 0 to 65535");
    assert_snapshot!(said(&strings(32_700)), @"");
    assert_snapshot!(said(&strings(32_768)), @"main:5:131079: error: TXT data of 65536 octets: at most 65535 fit into a record");
}

#[test]
fn an_rrset_fits_a_message() {
    let texts = |count: usize| -> String { (0..count).map(|number| format!("a TXT \"{number:0>240}\"\n")).collect() };
    let said = |lines: &str| said_in_folder(lines, |_| {}).join("\n");
    assert_snapshot!(said(&texts(250)), @"");
    assert_snapshot!(said(&texts(260)), @"main:5:3: warning: the TXT records of a.example.com. and their signatures make an answer of 65811 octets: at most 65535 fit into one; write fewer records, or shorter ones");
}

#[test]
fn long_lines_are_lines() {
    let spaces = " ".repeat(1 << 20);
    let lines = format!(
        "a{spaces}A{spaces}192.0.2.1 ;{spaces}\nb ({} A 192.0.2.2\n)\nc A 192.0.2\n",
        "\n".repeat(1 << 16)
    );
    assert_snapshot!(said_in_folder(&lines, |_| {}).join("\n"), @"main:65544:5: error: A address: '192.0.2' is not an IPv4 address; write four numbers up to 255 with dots, as in 192.0.2.1");
    let far = format!("a{spaces}A 192.0.2\n");
    assert_snapshot!(said_in_folder(&far, |_| {}).join("\n"), @"main:5:1048580: error: A address: '192.0.2' is not an IPv4 address; write four numbers up to 255 with dots, as in 192.0.2.1");
}
