//! Generated zones: a family of one zone and perhaps some nested in it, full of what answers go wrong on.
//!
//! Every name of a family ends with `APEX.`, which becomes a name of its own when the zones are written out: so one
//! server can hold many families, and many variants of one. One line is one record.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::PathBuf;

use crate::random::Random;
use crate::records;

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
            let nested = below(&mut random, &above);
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
            let mut signing = signed.then(|| signing(&mut random));
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
    let signer = *random.pick(&[Signer::Ldns, Signer::Dnssec]);
    let chain = match random.percent(40) {
        true => Chain::Nsec,
        false => Chain::Nsec3 {
            iterations: *random.pick(&[0, 0, 1, 5]),
            salt: (*random.pick(&["", "", "ab", "0123456789abcdef"])).to_owned(),
            opt_out: random.percent(50),
        },
    };
    Signing { chain, signer }
}

fn below(random: &mut Random, name: &str) -> String {
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

/// What becomes of records below a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Below {
    /// They are answered.
    Open,
    /// A cut hides them, but for glue.
    Cut,
    /// A DNAME allows none: most servers do not load the zone.
    Dname,
}

/// Writes the records of one zone.
struct Builder<'f> {
    random: &'f mut Random,
    apex: &'f str,
    /// Names that have records in this zone.
    owners: Vec<(String, Below)>,
    lines: Vec<String>,
    names: &'f mut Vec<String>,
}

impl Builder<'_> {
    fn build(&mut self, nested: &[&String]) {
        let apex = self.apex.to_owned();
        let (ttl, minimum) = (self.ttl(), self.ttl());
        self.lines.push(format!(
            "{apex} {ttl} SOA ns.{apex} host\\.master.{apex} 1 7200 3600 1209600 {minimum}"
        ));
        self.take(&apex, Below::Open);
        self.apex_servers();
        for child in nested {
            if self.random.percent(85) {
                self.delegate(child);
            }
        }
        let count = 3 + self.random.below(22);
        for _ in 0..count {
            let owner = self.new_owner();
            self.fill(&owner);
        }
        if self.random.percent(60) {
            self.data(&apex);
        }
    }

    /// With addresses: BIND loads no zone whose own servers have none.
    fn apex_servers(&mut self) {
        let apex = self.apex.to_owned();
        let server = format!("ns.{apex}");
        let mut servers = vec![server.clone()];
        if self.random.percent(30) {
            servers.push("ns.elsewhere.invalid.".to_owned());
        }
        self.lines.extend(servers.iter().map(|server| format!("{apex} 3600 NS {server}")));
        self.take(&server, Below::Open);
        self.address(&server);
    }

    fn take(&mut self, owner: &str, below: Below) {
        self.owners.push((owner.to_ascii_lowercase(), below));
        self.names.push(owner.to_owned());
    }

    /// A name below one that is there, or a few labels below.
    fn new_owner(&mut self) -> String {
        let mut name = match self.random.percent(40) {
            true => self.apex.to_owned(),
            false => self.random.pick(&self.owners).0.replace("apex.", APEX),
        };
        for _ in 0..1 + self.random.below(2) {
            name = below(self.random, &name);
        }
        if self.random.percent(10) {
            mix_case(self.random, &name)
        } else {
            name
        }
    }

    /// Whether the name has no records yet, and is not hidden but in some cases.
    fn is_free(&mut self, owner: &str) -> bool {
        let owner = owner.to_ascii_lowercase();
        let is_below = |kind: Below| {
            self.owners
                .iter()
                .any(|(other, below)| *below == kind && owner.ends_with(&format!(".{other}")))
        };
        let (below_cut, below_dname) = (is_below(Below::Cut), is_below(Below::Dname));
        owner.len() < 200
            && self.owners.iter().all(|(other, _)| *other != owner)
            && (!below_cut || self.random.percent(25))
            && (!below_dname || self.random.percent(1))
    }

    fn fill(&mut self, owner: &str) {
        if !self.is_free(owner) {
            return;
        }
        let is_wildcard = owner.starts_with("*.");
        match self.random.below(100) {
            0..20 => {
                self.take(owner, Below::Open);
                let target = self.target();
                self.write(owner, "CNAME", &[target]);
            }
            20..30 if !is_wildcard || self.random.percent(25) => {
                self.take(owner, Below::Dname);
                let target = self.target();
                self.write(owner, "DNAME", &[target]);
                if self.random.percent(30) {
                    self.data(owner);
                }
            }
            30..45 if !is_wildcard => self.delegate(owner),
            _ => {
                self.take(owner, Below::Open);
                self.data(owner);
            }
        }
    }

    fn delegate(&mut self, owner: &str) {
        self.take(owner, Below::Cut);
        let servers = self.servers(owner);
        self.write(owner, "NS", &servers);
        if self.random.percent(40) {
            let digest = records::data(self.random, "DS");
            self.write(owner, "DS", &[digest]);
        }
        if self.random.percent(30) {
            // occluded: neither glue nor anything else that is ever answered
            let hidden = below(self.random, owner);
            self.names.push(hidden.clone());
            self.address(&hidden);
        }
    }

    /// Names of name servers: in the domain, of a sibling, elsewhere; with glue or without.
    fn servers(&mut self, owner: &str) -> Vec<String> {
        let mut servers = Vec::new();
        for _ in 0..1 + self.random.below(3) {
            let server = match self.random.below(6) {
                0..3 => format!("{}.{owner}", self.random.pick(&["ns", "ns1", "a.ns"])),
                3 => self.random.pick(&["ns.elsewhere.invalid.", "."]).to_string(),
                4 => self.target(),
                _ => {
                    let sibling = self
                        .random
                        .pick(
                            &self
                                .owners
                                .iter()
                                .map(|owner| owner.0.clone())
                                .chain([self.apex.to_owned()])
                                .collect::<Vec<_>>(),
                        )
                        .clone();
                    format!("ns.{}", sibling.replace("apex.", APEX))
                }
            };
            if server.to_ascii_lowercase().ends_with(&format!(".{}", owner.to_ascii_lowercase()))
                && self.random.percent(85)
                && self.is_address_free(&server)
            {
                self.address(&server);
                self.names.push(server.clone());
            }
            servers.push(server);
        }
        servers
    }

    fn is_address_free(&self, name: &str) -> bool {
        let start = format!("{} ", name.to_ascii_lowercase());
        !self.lines.iter().any(|line| line.to_ascii_lowercase().starts_with(&start))
    }

    fn address(&mut self, owner: &str) {
        let kinds: &[&str] = self.random.pick::<&[&str]>(&[&["A"], &["AAAA"], &["A", "AAAA"]]);
        for kind in kinds {
            let data = records::data(self.random, kind);
            self.write(owner, kind, &[data]);
        }
    }

    /// One to three RRsets of any type.
    fn data(&mut self, owner: &str) {
        let mut written = Vec::new();
        for _ in 0..1 + self.random.below(3) {
            let record_type = records::any_type(self.random);
            if written.contains(&record_type) {
                continue;
            }
            written.push(record_type);
            let mut data = Vec::new();
            for _ in 0..1 + self.random.below(3) {
                let target = self.target();
                let one = match records::data_with_target(self.random, record_type, &target) {
                    Some(with_target) => with_target,
                    None => records::data(self.random, record_type),
                };
                if !data.contains(&one) {
                    data.push(one);
                }
            }
            self.write(owner, record_type, &data);
        }
    }

    /// Where an alias or another record points: to a name of the family, beside or below one, or elsewhere.
    fn target(&mut self) -> String {
        let known = match self.names.is_empty() {
            true => self.apex.to_owned(),
            false => self.random.pick(self.names).clone(),
        };
        let target = match self.random.below(20) {
            0..9 => known,
            9..13 => below(self.random, &known),
            13..15 => below(self.random, self.apex),
            15 => self.apex.to_owned(),
            16 => "www.elsewhere.invalid.".to_owned(),
            17 => ".".to_owned(),
            _ => {
                let lower = below(self.random, &known);
                below(self.random, &lower)
            }
        };
        if target.len() > 200 { self.apex.to_owned() } else { target }
    }

    fn write(&mut self, owner: &str, record_type: &str, data: &[String]) {
        let ttl = self.ttl_of(owner, record_type).unwrap_or_else(|| self.ttl());
        for one in data {
            let line = format!("{owner} {ttl} {record_type} {one}");
            if !self.lines.contains(&line) {
                self.lines.push(line);
            }
        }
        let targets = data.iter().filter(|one| one.ends_with(APEX) && !one.contains(' '));
        self.names.extend(targets.cloned());
    }

    /// The TTL of an RRset that has records: they must not differ (RFC 2181 section 5.2), and servers do if they do.
    fn ttl_of(&self, owner: &str, record_type: &str) -> Option<u32> {
        self.lines.iter().find_map(|line| {
            let mut words = line.split(' ');
            let is_owner = words.next()?.eq_ignore_ascii_case(owner);
            let ttl = words.next()?.parse().ok()?;
            (is_owner && words.next()? == record_type).then_some(ttl)
        })
    }

    fn ttl(&mut self) -> u32 {
        *self.random.pick(&[0, 60, 300, 3600, 86400])
    }
}
