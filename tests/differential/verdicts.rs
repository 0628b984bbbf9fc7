//! The zone files of `tests/data/zones`, judged by the checkers of Knot, BIND and NSD beside ours.
//!
//! Their verdicts are read from the tools themselves and must be those of `verdicts.txt`. Where all of them serve a zone, or
//! none does, heraldns must do the same; where they are not of one mind, or one has a warning that we lack, the table has to
//! say why we do what we do.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const APEX: &str = "example.com.";

/// Where all others are of another mind than heraldns, and the table says why that is well.
const ALONE: [&str; 3] = ["byte-order-mark", "svcb-later-keys", "types-of-late"];

/// A checker of zone files.
struct Checker {
    program: &'static str,
    /// Before zone name and file.
    arguments: &'static [&'static str],
    /// Before these, for files whose name begins with `signed-`.
    for_signed: &'static [&'static str],
    /// What makes it tell its version, and the one whose verdicts are in the table.
    version: (&'static str, &'static str),
    judge: fn(status: bool, said: &str) -> Verdict,
}

const CHECKERS: [Checker; 3] = [
    Checker {
        program: "kzonecheck",
        arguments: &["-v", "-o"],
        for_signed: &["-d", "on"],
        version: ("--version", "version 3.2."),
        // What is not serious is logged by the server, and the zone is served.
        judge: |status, said| match status {
            true if said.contains("warning:") => Verdict::Warning,
            true => Verdict::Fine,
            false if said.contains("Error summary:") && !said.contains("Serious semantic error") => Verdict::Warning,
            false => Verdict::Refused,
        },
    },
    Checker {
        program: "named-checkzone",
        // Without a look into the DNS of this network.
        arguments: &["-i", "local"],
        for_signed: &[],
        version: ("-v", "9.18."),
        judge: |status, said| {
            let is_fine = |line: &str| line == "OK" || line.contains(": loaded serial ");
            match status {
                false => Verdict::Refused,
                true if said.lines().all(is_fine) => Verdict::Fine,
                true => Verdict::Warning,
            }
        },
    },
    Checker {
        program: "nsd-checkzone",
        arguments: &[],
        for_signed: &[],
        version: ("-h", "Version 4.6."),
        judge: |status, said| match status {
            false => Verdict::Refused,
            true if said.contains("warning:") => Verdict::Warning,
            true => Verdict::Fine,
        },
    },
];

/// The programs that must be there.
pub(crate) const TOOLS: [&str; 3] = [CHECKERS[0].program, CHECKERS[1].program, CHECKERS[2].program];

/// What becomes of a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Fine,
    Warning,
    Refused,
}

impl Verdict {
    fn read(text: &str) -> Option<Self> {
        match text {
            "ok" => Some(Self::Fine),
            "warning" => Some(Self::Warning),
            "error" => Some(Self::Refused),
            _ => None,
        }
    }

    fn is_served(self) -> bool {
        self != Self::Refused
    }
}

/// A line of the table.
struct Row {
    name: String,
    ours: Verdict,
    theirs: Vec<Verdict>,
    reason: String,
}

impl Row {
    fn read(line: &str) -> Option<Self> {
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        let (name, verdicts, reason) = match columns.as_slice() {
            [name, verdicts @ .., reason] if verdicts.len() == 1 + CHECKERS.len() => (name, verdicts, reason),
            _ => return None,
        };
        let verdicts: Vec<Verdict> = verdicts.iter().map(|text| Verdict::read(text)).collect::<Option<_>>()?;
        Some(Self {
            name: (*name).to_owned(),
            ours: verdicts[0],
            theirs: verdicts[1..].to_vec(),
            reason: (*reason).to_owned(),
        })
    }

    /// All others are of one mind, and heraldns is of another.
    fn is_alone(&self) -> bool {
        self.theirs.iter().all(|verdict| verdict.is_served() != self.ours.is_served())
    }

    fn needs_a_reason(&self) -> bool {
        let differs = |verdict: &Verdict| verdict.is_served() != self.ours.is_served();
        let says_less = self.ours == Verdict::Fine && self.theirs.contains(&Verdict::Warning);
        self.theirs.iter().any(differs) || says_less
    }
}

/// Compares all files; on success says how many.
pub(crate) fn compare() -> Result<(), String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/zones");
    let table = fs::read_to_string(folder.join("verdicts.txt")).unwrap();
    let mut failures = Vec::new();
    let mut rows = Vec::new();
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        match Row::read(line) {
            Some(row) => rows.push(row),
            None => failures.push(format!("not a row of the table: {line}")),
        }
    }
    for (index, checker) in CHECKERS.iter().enumerate() {
        if !checker.is_of_the_table() {
            println!("figure: {} is of another version than the table, and not compared", checker.program);
            continue;
        }
        for row in &rows {
            let (verdict, said) = checker.check(&folder, &row.name);
            if verdict != row.theirs[index] {
                failures.push(format!(
                    "{} of {}: {verdict:?}, not {:?}\n{said}",
                    checker.program, row.name, row.theirs[index]
                ));
            }
        }
    }
    let alone: BTreeSet<&str> = rows.iter().filter(|row| row.is_alone()).map(|row| row.name.as_str()).collect();
    if alone != BTreeSet::from(ALONE) {
        failures.push(format!("heraldns is alone with its verdict of {alone:?}, not of {ALONE:?}"));
    }
    for row in rows.iter().filter(|row| row.needs_a_reason() && row.reason.is_empty()) {
        failures.push(format!(
            "{}: the table gives no reason for {:?} beside {:?}",
            row.name, row.ours, row.theirs
        ));
    }
    println!(
        "figure: {} zone files judged as by Knot, BIND and NSD, {} with a reason",
        rows.len(),
        { rows.iter().filter(|row| row.needs_a_reason()).count() }
    );
    match failures.is_empty() {
        true => Ok(()),
        false => Err(failures.join("\n")),
    }
}

impl Checker {
    fn is_of_the_table(&self) -> bool {
        let (argument, version) = self.version;
        let output = Command::new(self.program).arg(argument).stdin(Stdio::null()).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&said).contains(version)
    }

    /// The verdict about a file, and what was said.
    fn check(&self, folder: &Path, name: &str) -> (Verdict, String) {
        let mut command = Command::new(self.program);
        if name.starts_with("signed-") {
            command.args(self.for_signed);
        }
        command.args(self.arguments).arg(APEX).arg(PathBuf::from(format!("{name}.zone")));
        let output = command.current_dir(folder).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        ((self.judge)(output.status.success(), &said), said)
    }
}
