//! Zone files and zones: text -> `scanner` -> records -> `builder` and `checks` -> [`store`] (the immutable [`Zone`]).
//!
//! Pure: text comes in as octets and `$INCLUDE` goes through a callback; nothing here opens a file. `rdata` is the one
//! table of record types that reading and [`mod@print`] share.

mod block;
mod builder;
mod checks;
mod companions;
mod generate;
pub mod nsec3;
mod pieces;
mod places;
pub mod print;
pub mod problem;
mod rdata;
mod records;
mod scanner;
pub mod set;
mod signing;
pub mod store;
mod table;
mod token;

pub use block::{Records, Rrset, Rrsets};
pub use nsec3::{DenialChain, Nsec3, Nsec3Chain};
pub use pieces::PIECE;
pub use print::Printed;
pub use problem::{Severity, ZoneError};
pub use set::{Located, ZoneSet};
pub use signing::{check_signing, check_times};
pub use store::{Node, NodeKind, Zone};
pub use table::{Bucket, NameHash};

use std::io::Read;

use self::problem::Problems;
use self::records::{Gathered, Sources};
use self::scanner::Reading;
use super::name::Name;

/// The longest TTL, in seconds (RFC 2181 §8).
pub const MAX_TTL: u32 = 0x7fff_ffff;

/// Opens an included file by the path that `$INCLUDE` says, or says why it cannot.
pub type Include<'a> = dyn FnMut(&str) -> Result<Box<dyn Read>, String> + 'a;

/// A zone that can be served.
#[derive(Debug)]
pub struct Loaded {
    /// The zone.
    pub zone: Zone,
    /// What is probably not as it was meant, in the order of the file.
    pub warnings: Vec<ZoneError>,
}

/// A zone that can be served, before anybody has looked for what is probably not as it was meant: that takes a sixth of
/// the whole time, and the zone need not wait for it.
#[derive(Debug)]
pub struct Unchecked {
    /// The zone.
    pub zone: Zone,
    /// What is left to be done.
    pub checks: Checks,
}

/// The checks of a finished zone that are still to be made.
#[derive(Debug)]
pub struct Checks {
    sources: Sources,
    problems: Problems,
}

impl Checks {
    /// Makes them over the zone with which they came; all warnings of the load, in the order of the file.
    #[must_use]
    pub fn run(mut self, zone: &Zone) -> Vec<ZoneError> {
        checks::check(zone, &self.sources.records(&zone.arena), &mut self.problems);
        self.problems.into_list()
    }
}

/// Reads the master file `text` of the zone `apex`; `file_name` is what messages call it.
///
/// # Errors
/// All errors of the file and of the files it includes, with the warnings among them, in the order of the lines. Where
/// lines could not be read, only those mistakes of the others are told that no missing line can explain.
pub fn load(apex: &Name, file_name: &str, text: impl Read, include: &mut Include<'_>) -> Result<Loaded, Vec<ZoneError>> {
    let Unchecked { zone, checks } = load_unchecked(apex, file_name, text, include)?;
    let warnings = checks.run(&zone);
    Ok(Loaded { zone, warnings })
}

/// Reads as [`load`] does, and leaves the checks of the finished zone, none of which finds an error, to the caller.
///
/// # Errors
/// Those of [`load`].
pub fn load_unchecked(apex: &Name, file_name: &str, mut text: impl Read, include: &mut Include<'_>) -> Result<Unchecked, Vec<ZoneError>> {
    load_by_pieces(apex, file_name, &mut text, PIECE, include)
}

/// Reads `piece` octets of each file at a time.
fn load_by_pieces(
    apex: &Name,
    file_name: &str,
    text: &mut dyn Read,
    piece: usize,
    include: &mut Include<'_>,
) -> Result<Unchecked, Vec<ZoneError>> {
    let mut problems = Problems::default();
    let mut gathered = Gathered::new(apex.as_wire());
    let reading = Reading::by_pieces(piece);
    scanner::scan(apex, file_name, text, reading, include, &mut gathered, &mut problems);
    match builder::build(apex, gathered, &mut problems) {
        Some((zone, sources)) => Ok(Unchecked {
            zone,
            checks: Checks { sources, problems },
        }),
        None => Err(problems.into_list()),
    }
}

#[cfg(test)]
mod tests;
