//! The zones that are served and what is asked about them, out of one seed: the same files and queries on every machine.
//!
//! A zone is text as an operator would export it; the mix of its queries stands beside it. Only the signatures of the
//! signed zone differ from run to run, because ECDSA draws a number for each.

mod large;
mod registry;
mod signed;
mod small;

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use heraldns::base::random::Random;

use crate::question::{A, Edns, Queries, Question};

/// Everything generated begins with this number.
const SEED: u64 = 1;
/// Of a thousand queries so many have EDNS, where there is a choice.
const EDNS_PERMILLE: u64 = 700;
/// Letters of a name that a flood asks for.
const FLOOD_LABEL: usize = 12;

/// Which zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// About 1,000 records of many types.
    Small,
    /// 1.4 million records in one zone.
    Large,
    /// 20,000 names signed with NSEC3.
    Nsec3,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mix {
    /// What resolvers ask about such a zone.
    Usual,
    /// A random-subdomain flood: a new name each time, and none of them exists.
    Flood,
}

/// A zone file and how to see that it is loaded.
#[derive(Clone, Debug)]
pub(crate) struct Zone {
    pub(crate) kind: Kind,
    /// Without the last dot.
    pub(crate) apex: &'static str,
    pub(crate) file: PathBuf,
    pub(crate) octets: u64,
    pub(crate) records: usize,
    /// A name with an address in the last part of the file, and the address.
    pub(crate) sentinel: Question,
    pub(crate) sentinel_address: [u8; 4],
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Small, Self::Large, Self::Nsec3];

    fn apex(self) -> &'static str {
        match self {
            Self::Small => "small.test",
            Self::Large => "large.test",
            Self::Nsec3 => "signed.test",
        }
    }

    /// Writes the zone file into a folder.
    pub(crate) fn write(self, folder: &Path) -> io::Result<Zone> {
        let mut file = folder.join(format!("{}.zone", self.apex()));
        let mut output = BufWriter::with_capacity(1 << 20, File::create(&file)?);
        match self {
            Self::Small => small::write(&mut output)?,
            Self::Large => large::write(&mut output)?,
            Self::Nsec3 => signed::write(&mut output)?,
        }
        output.flush()?;
        drop(output);
        if self == Self::Nsec3 {
            file = signed::sign(self.apex(), &file)?;
        }
        let (label, sentinel_address) = match self {
            Self::Small => small::sentinel(),
            Self::Large => large::sentinel(),
            Self::Nsec3 => signed::sentinel(),
        };
        let sentinel = Question {
            name: format!("{label}.{}.", self.apex()),
            record_type: A,
            edns: Edns::Plain,
        };
        let text = fs::read_to_string(&file)?;
        let is_record = |line: &&str| !line.is_empty() && !line.starts_with(['$', ';']);
        Ok(Zone {
            kind: self,
            apex: self.apex(),
            octets: text.len() as u64,
            records: text.lines().filter(is_record).count(),
            file,
            sentinel,
            sentinel_address,
        })
    }

    /// A question of a mix, drawn at random.
    fn question(self, mix: Mix, random: &mut Random) -> Question {
        let (label, record_type) = match (mix, self) {
            (Mix::Flood, _) => (random_label(random), A),
            (Mix::Usual, Self::Small) => small::question(random),
            (Mix::Usual, Self::Large) => large::question(random),
            (Mix::Usual, Self::Nsec3) => signed::question(random),
        };
        let name = match label.as_str() {
            "" => format!("{}.", self.apex()),
            label => format!("{label}.{}.", self.apex()),
        };
        let edns = match self {
            Self::Nsec3 => Edns::DnssecOk,
            Self::Small | Self::Large if random.chance(EDNS_PERMILLE) => Edns::Plain,
            Self::Small | Self::Large => Edns::None,
        };
        Question { name, record_type, edns }
    }
}

impl Zone {
    /// The queries of a round of a mix: for each round others, which matters to servers that remember.
    pub(crate) fn queries(&self, mix: Mix, round: u64, count: usize) -> Queries {
        let mut random = Random::seeded(SEED + 1 + round);
        let mut queries = Queries::default();
        for _ in 0..count {
            queries.add(&self.kind.question(mix, &mut random));
        }
        queries
    }

    /// Questions of a mix to compare answers by.
    pub(crate) fn questions(&self, mix: Mix, count: usize) -> Vec<Question> {
        let mut random = Random::seeded(SEED);
        (0..count).map(|_| self.kind.question(mix, &mut random)).collect()
    }
}

impl Mix {
    pub(crate) const ALL: [Self; 2] = [Self::Usual, Self::Flood];
}

impl fmt::Display for Mix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Usual => "usual",
            Self::Flood => "flood",
        })
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self.kind {
            Kind::Small => "small",
            Kind::Large => "large",
            Kind::Nsec3 => "nsec3",
        })
    }
}

/// The start of every zone file: apex records and the name servers' addresses; what follows is relative to the apex.
fn write_head(output: &mut impl io::Write, apex: &str) -> io::Result<()> {
    writeln!(output, "$ORIGIN {apex}.\n$TTL 3600")?;
    writeln!(output, "@ SOA ns1 hostmaster 2026010101 7200 900 1209600 300")?;
    writeln!(output, "@ NS ns1\n@ NS ns2")?;
    writeln!(output, "ns1 A 192.0.2.1\nns1 AAAA 2001:db8::1")?;
    writeln!(output, "ns2 A 192.0.2.2\nns2 AAAA 2001:db8::2")
}

/// An address of 10.0.0.0/8 that belongs to this number.
fn address(number: u64) -> [u8; 4] {
    let [.., high, middle, low] = number.to_be_bytes();
    [10, high, middle, low]
}

fn address_text(number: u64) -> String {
    std::net::Ipv4Addr::from(address(number)).to_string()
}

/// An address below 2001:db8:: in the network `network`, that belongs to this number.
fn address_text_v6(network: u16, number: u64) -> String {
    let [.., three, two, one, zero] = number.to_be_bytes();
    let (high, low) = (u16::from_be_bytes([three, two]), u16::from_be_bytes([one, zero]));
    std::net::Ipv6Addr::new(0x2001, 0xdb8, network, 0, 0, 0, high, low).to_string()
}

fn random_label(random: &mut Random) -> String {
    let letter = |_| char::from(b'a' + u8::try_from(random.below(26)).unwrap_or(0));
    (0..FLOOD_LABEL).map(letter).collect()
}
