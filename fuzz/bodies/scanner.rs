//! Any octets as a zone file: it loads or is refused, always in the same way, and a zone that was printed is the same zone.
//!
//! The first four octets choose how the text is handed over and where the border of two pieces is; the others are the text.

use std::io::{self, Read};

use heraldns::dns::name::Name;
use heraldns::dns::zone::{self, NodeKind, PIECE, Printed, Severity, Zone, ZoneError};

/// Octets before the text.
pub const SETTINGS: usize = 4;
/// So many files may be included: a text that includes itself twice asks for 2^16.
const MOST_FILES: usize = 8;

/// All that a zone has: names, their kinds, and types, TTLs and data of their records.
type Contents = Vec<(Vec<u8>, NodeKind, Vec<(u16, u32, Vec<Vec<u8>>)>)>;
type Outcome = Result<(Contents, Vec<ZoneError>), Vec<ZoneError>>;

/// Loads the text in several ways; says whether it is a zone.
pub fn run(octets: &[u8]) -> Option<bool> {
    let (settings, text) = octets.split_first_chunk::<SETTINGS>()?;
    if generates_much(text) {
        return None;
    }
    let [amounts @ .., high, low] = settings;
    let whole = load(&mut &text[..], text);
    check_places(&whole, text);
    let mut trickle = Trickle {
        text,
        amounts: *amounts,
        reads: 0,
    };
    assert_eq!(load(&mut trickle, text), whole, "octet by octet");
    check_border(text, usize::from(u16::from_be_bytes([*high, *low])));
    let Ok((contents, _)) = &whole else { return Some(false) };
    check_printed(text, contents);
    Some(true)
}

/// A directive that could make many lines: they cost time and show nothing.
fn generates_much(text: &[u8]) -> bool {
    let directive = b"$GENERATE";
    let mut found = text.windows(directive.len()).enumerate();
    found.any(|(at, window)| {
        window.eq_ignore_ascii_case(directive) && {
            let after = &text[at..text.len().min(at + 80)];
            after.windows(4).any(|four| four.iter().all(u8::is_ascii_digit))
        }
    })
}

fn apex() -> Name {
    "example.com.".parse().unwrap()
}

fn load_zone(text: &mut dyn Read, itself: &[u8]) -> Result<zone::Loaded, Vec<ZoneError>> {
    let mut files = 0;
    let mut include = |path: &str| -> Result<Box<dyn Read>, String> {
        files += 1;
        match path {
            _ if files > MOST_FILES => Err("too many files".to_owned()),
            "itself" => Ok(Box::new(io::Cursor::new(itself.to_vec()))),
            "other" => Ok(Box::new(&b"x A 192.0.2.20\n  TXT (\n y )\n\n$TTL 7\nz A 192.0.2.21"[..])),
            "broken" => Ok(Box::new(&b"x A 192.0.2\nz TXT (\n\"y\n"[..])),
            _ => Err("no such file".to_owned()),
        }
    };
    zone::load(&apex(), "main", text, &mut include)
}

fn load(text: &mut dyn Read, itself: &[u8]) -> Outcome {
    let loaded = load_zone(text, itself)?;
    Ok((contents(&loaded.zone), loaded.warnings))
}

fn contents(zone: &Zone) -> Contents {
    let of_rrset = |rrset: zone::Rrset<'_>| {
        let records = rrset.records().chain(rrset.signatures()).map(<[u8]>::to_vec);
        (rrset.record_type().0, rrset.ttl(), records.collect())
    };
    zone.nodes()
        .map(|node| (node.name().to_vec(), node.kind(), node.rrsets().map(of_rrset).collect()))
        .collect()
}

/// Every message is one, and leads to a place that is there.
fn check_places(outcome: &Outcome, text: &[u8]) {
    let (problems, severity) = match outcome {
        Ok((_, warnings)) => (warnings, Severity::Warning),
        Err(problems) => (problems, Severity::Error),
    };
    assert_eq!(
        severity == Severity::Error,
        problems.iter().any(|problem| problem.severity == Severity::Error),
        "{problems:?}"
    );
    let lines: Vec<&[u8]> = text.split(|octet| *octet == b'\n').collect();
    for problem in problems {
        assert!(!problem.message.is_empty(), "{problem:?}");
        if &*problem.file == "main" && problem.line > 0 {
            let line = lines.get(problem.line as usize - 1);
            let octets = line.map_or_else(|| panic!("line {}, of {}", problem.line, lines.len()), |line| line.len());
            assert!(problem.column as usize <= octets + 1, "{problem:?}: a line of {octets} octets");
        }
    }
}

/// The same text with the border of two pieces at octet `at` of it: a comment in the line before it moves it there.
fn check_border(text: &[u8], at: usize) {
    let at = at % (text.len() + 1);
    let [short, long] = [2, PIECE - at].map(|octets| {
        let mut moved = vec![b';'; octets - 1];
        moved.push(b'\n');
        moved.extend_from_slice(text);
        load(&mut &moved[..], text)
    });
    assert_eq!(long, short, "a border at octet {at}");
}

fn check_printed(text: &[u8], contents: &Contents) {
    let zone = load_zone(&mut &text[..], text).unwrap().zone;
    let printed = Printed(&zone).to_string();
    let again = load_zone(&mut printed.as_bytes(), &[]).unwrap_or_else(|problems| panic!("{problems:?}\n{printed}"));
    assert_eq!(self::contents(&again.zone), *contents, "{printed}");
    assert_eq!(Printed(&again.zone).to_string(), printed);
}

/// Hands over a few octets at a time, and is interrupted in between.
struct Trickle<'t> {
    text: &'t [u8],
    amounts: [u8; 2],
    reads: usize,
}

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reads += 1;
        if self.reads.is_multiple_of(5) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let amount = usize::from(self.amounts[self.reads % 2]) + 1;
        let (now, later) = self.text.split_at(amount.min(self.text.len()).min(buffer.len()));
        buffer[..now.len()].copy_from_slice(now);
        self.text = later;
        Ok(now.len())
    }
}
