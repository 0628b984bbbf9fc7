//! Which of its lives this server is in: a number that grows with every start, so that old peer messages can be told from new.

use std::fs;
use std::path::{Path, PathBuf};

use crate::io::clock;

const DEFAULT_DIRECTORY: &str = "/var/lib/heraldns";
const FILE: &str = "boot";

/// The number of this life: kept in the state directory, and never behind the wall clock's milliseconds, which stand in
/// for it where there is no such directory.
pub(super) fn count(directory: Option<&Path>) -> u64 {
    let wall_clock = u64::try_from(clock::wall_clock().as_millisecond()).unwrap_or(0);
    let file = directory.unwrap_or(Path::new(DEFAULT_DIRECTORY)).join(FILE);
    let last: u64 = fs::read_to_string(&file)
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(0);
    let boot = wall_clock.max(last.saturating_add(1));
    match keep(&file, boot) {
        Ok(()) => {}
        Err(error) if directory.is_some() => {
            tracing::warn!(
                "[state] directory: {}: {error}; the wall clock tells this start from earlier ones",
                file.display()
            );
        }
        Err(error) => tracing::debug!("{}: {error}; the wall clock tells this start from earlier ones", file.display()),
    }
    boot
}

/// Written beside the file and put in its place, so that a crash leaves the old number or the new one.
fn keep(file: &Path, boot: u64) -> std::io::Result<()> {
    let beside: PathBuf = file.with_extension("new");
    fs::write(&beside, format!("{boot}\n"))?;
    fs::rename(&beside, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_start_has_a_higher_number() {
        let folder = tempfile::tempdir().unwrap();
        let first = count(Some(folder.path()));
        assert!(count(Some(folder.path())) > first);
        fs::write(folder.path().join(FILE), "99999999999999\n").unwrap();
        assert_eq!(
            count(Some(folder.path())),
            100_000_000_000_000,
            "a wall clock that was set back does not matter"
        );
        fs::write(folder.path().join(FILE), "not a number").unwrap();
        assert!(count(Some(folder.path())) >= first);
    }
}
