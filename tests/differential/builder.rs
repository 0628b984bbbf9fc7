//! Writes the records of one generated zone: aliases, cuts, wildcards and data at names that tend to meet each other.

use crate::random::Random;
use crate::records;
use crate::zones::{APEX, below, mix_case};

/// What becomes of records below a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Below {
    /// They are answered.
    Open,
    /// A cut hides them, but for glue.
    Cut,
    /// A DNAME allows none: most servers do not load the zone.
    Dname,
}

/// Writes the records of one zone.
pub(crate) struct Builder<'f> {
    pub(crate) random: &'f mut Random,
    pub(crate) apex: &'f str,
    /// Names that have records in this zone.
    pub(crate) owners: Vec<(String, Below)>,
    pub(crate) lines: Vec<String>,
    pub(crate) names: &'f mut Vec<String>,
}

impl Builder<'_> {
    /// All of the zone; these are the apexes below its own.
    pub(crate) fn build(&mut self, nested: &[&String]) {
        if nested.is_empty() && self.random.percent(4) {
            return self.redirect();
        }
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

    /// A zone that is another name for another one: a DNAME at its apex, and nothing below.
    fn redirect(&mut self) {
        let apex = self.apex.to_owned();
        let (ttl, minimum) = (self.ttl(), self.ttl());
        self.lines.push(format!(
            "{apex} {ttl} SOA ns.elsewhere.invalid. host\\.master.{apex} 1 7200 3600 1209600 {minimum}"
        ));
        self.lines.push(format!("{apex} 3600 NS ns.elsewhere.invalid."));
        self.take(&apex, Below::Dname);
        let target = self.target();
        self.write(&apex, "DNAME", &[target]);
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
        while self.random.percent(30) {
            self.hide_below(owner);
        }
    }

    /// Something below a cut, which is never answered if it is no glue.
    fn hide_below(&mut self, cut: &str) {
        let mut hidden = below(self.random, cut);
        if self.random.percent(40) {
            hidden = below(self.random, &hidden);
        }
        if !self.is_without_records(&hidden) || hidden.len() > 200 {
            return;
        }
        self.take(&hidden, Below::Open);
        let target = self.target();
        match self.random.below(10) {
            0..5 => self.address(&hidden),
            5 => self.write(&hidden, "NS", &[target]),
            6 => {
                let digest = records::data(self.random, "DS");
                self.write(&hidden, "DS", &[digest]);
            }
            7 => self.write(&hidden, "CNAME", &[target]),
            _ => self.data(&hidden),
        }
    }

    /// Names of name servers: in the domain, of a sibling, elsewhere; with glue or without.
    fn servers(&mut self, owner: &str) -> Vec<String> {
        let mut servers = Vec::new();
        let count = match self.random.percent(7) {
            true => 4 + self.random.below(10),
            false => 1 + self.random.below(3),
        };
        for number in 0..count {
            let server = match self.random.below(6) {
                0..3 if count > 3 => format!("s{number}.{owner}"),
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
                && self.is_without_records(&server)
            {
                self.address(&server);
                self.names.push(server.clone());
            }
            servers.push(server);
        }
        servers
    }

    fn is_without_records(&self, name: &str) -> bool {
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
            for _ in 0..self.record_count(record_type) {
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

    /// How many records an RRset of this type gets: some are larger than datagrams are. Not of those that point to names:
    /// Knot 3.2 never comes back from a question for a large set of them.
    fn record_count(&mut self, record_type: &str) -> usize {
        let is_plain = records::data_with_target(self.random, record_type, APEX).is_none();
        match is_plain && self.random.percent(3) {
            true => 10 + self.random.below(70),
            false => 1 + self.random.below(3),
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
