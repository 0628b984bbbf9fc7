//! Generated zones: a family of one zone and perhaps some nested in it, full of what answers go wrong on.
//!
//! Every name of a family ends with `APEX.`, which becomes a name of its own when the zones are written out: so one
//! server can hold many families, and many variants of one. One line is one record.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::PathBuf;

use crate::builder::Builder;
use crate::random::Random;

/// Stands for the name of a family's first zone.
pub(crate) const APEX: &str = "APEX.";

/// Labels that tend to meet each other, as siblings, parents and children.
const LABELS: [&str; 24] = [
    "a",
    "b",
    "c",
    "d",
    "www",
    "ns",
    "mail",
    "*",
    "*",
    "_tcp",
    "x-1",
    "10",
    "0",
    "-",
    "a*",
    "*a",
    "**",
    "MiXeD",
    "dot\\.in",
    "\\000",
    "\\255",
    "sp\\032ace",
    "quo\\\"te",
    "long-long-long-long-long-long-long-long-long-long-long-long-xyz",
];

/// How a zone is signed, and by which tool.
#[derive(Clone, Debug)]
pub(crate) struct Signing {
    pub(crate) chain: Chain,
    pub(crate) signer: Signer,
    /// By two keys of different algorithms, as when one follows the other; not by Knot.
    pub(crate) twice: bool,
}

/// What proves that something is not there.
#[derive(Clone, Debug)]
pub(crate) enum Chain {
    Nsec,
    Nsec3 { iterations: u16, salt: String, opt_out: bool },
}

/// The tool.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Signer {
    Ldns,
    Dnssec,
    Knot,
}

/// One zone: its name and its records.
#[derive(Clone, Debug)]
pub(crate) struct Zone {
    pub(crate) apex: String,
    pub(crate) signing: Option<Signing>,
    pub(crate) lines: Vec<String>,
    /// The file that heraldns serves instead.
    pub(crate) original: Option<PathBuf>,
}

impl Zone {
    pub(crate) fn to_text(&self) -> String {
        self.lines.join("\n") + "\n"
    }
}

/// Zones that belong together: asked together, and served together.
#[derive(Clone, Debug)]
pub(crate) struct Family {
    pub(crate) seed: u64,
    pub(crate) zones: Vec<Zone>,
    /// Owners, and what records point to.
    pub(crate) names: Vec<String>,
}

impl Family {
    /// The family of this seed.
    pub(crate) fn generate(seed: u64, signed: bool) -> Self {
        let mut random = Random::new(seed);
        let mut family = Self {
            seed,
            zones: Vec::new(),
            names: Vec::new(),
        };
        let mut apexes = vec![APEX.to_owned()];
        while apexes.len() < 4 && random.percent(25) {
            let above = random.pick(&apexes).clone();
            let nested = match random.percent(30) {
                true => {
                    let between = below(&mut random, &above);
                    below(&mut random, &between)
                }
                false => below(&mut random, &above),
            };
            // what needs quotes in one of the configurations is left out
            if !nested.contains(['*', '\\']) && !apexes.contains(&nested) {
                apexes.push(nested);
            }
        }
        for apex in &apexes {
            let nested: Vec<&String> = apexes
                .iter()
                .filter(|other| *other != apex && other.ends_with(&format!(".{apex}")))
                .collect();
            let mut signing = (signed && random.percent(90)).then(|| signing(&mut random));
            let mut builder = Builder {
                random: &mut random,
                apex,
                owners: Vec::new(),
                lines: Vec::new(),
                names: &mut family.names,
            };
            builder.build(&nested);
            let lines = builder.lines;
            // ldns writes the quote of a name without its backslash
            if let Some(signing) = signing
                .as_mut()
                .filter(|_| lines.iter().any(|line| line.to_ascii_lowercase().contains("\\\"te.")))
            {
                signing.signer = Signer::Dnssec;
            }
            family.zones.push(Zone {
                apex: apex.clone(),
                signing,
                lines,
                original: None,
            });
        }
        family.names.sort();
        family.names.dedup();
        family
    }

    /// Lines of all zones.
    pub(crate) fn line_count(&self) -> usize {
        self.zones.iter().map(|zone| zone.lines.len()).sum()
    }

    /// The same family without some of its lines, counted through all zones; the SOA and the server of a zone stay.
    pub(crate) fn without_lines(&self, left_out: Range<usize>) -> Self {
        let mut family = self.clone();
        let mut count = 0;
        for zone in &mut family.zones {
            zone.lines.retain(|line| {
                count += 1;
                let is_needed = line.contains(" SOA ") || *line == format!("{} 3600 NS ns.{}", zone.apex, zone.apex);
                is_needed || !left_out.contains(&(count - 1))
            });
        }
        family.zones.retain(|zone| zone.lines.len() > 1);
        family
    }

    pub(crate) fn to_text(&self) -> String {
        let mut text = String::new();
        for zone in &self.zones {
            writeln!(text, "    ; zone {} signed by {:?}", zone.apex, zone.signing).unwrap();
            for line in &zone.lines {
                writeln!(text, "    {}", line.chars().take(200).collect::<String>()).unwrap();
            }
        }
        text
    }
}

fn signing(random: &mut Random) -> Signing {
    let signer = *random.pick(&[Signer::Ldns, Signer::Dnssec, Signer::Knot]);
    let chain = match random.percent(40) {
        true => Chain::Nsec,
        false => Chain::Nsec3 {
            iterations: *random.pick(&[0, 0, 1, 5]),
            salt: (*random.pick(&["", "", "ab", "0123456789abcdef"])).to_owned(),
            opt_out: random.percent(50),
        },
    };
    let twice = random.percent(20);
    Signing { chain, signer, twice }
}

/// A name below this one.
pub(crate) fn below(random: &mut Random, name: &str) -> String {
    format!("{}.{name}", random.pick(&LABELS))
}

/// The same name, some of its letters in the other case.
pub(crate) fn mix_case(random: &mut Random, name: &str) -> String {
    let Some(own) = name.strip_suffix(APEX) else {
        return name.to_owned();
    };
    let flip = |character: char| match random.percent(50) {
        true => character.to_ascii_uppercase(),
        false => character.to_ascii_lowercase(),
    };
    own.chars().map(flip).chain(APEX.chars()).collect()
}
