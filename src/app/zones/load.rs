//! One zone file: whether it must be read, and reading it.
//!
//! A zone comes from its file and from those that it includes; it is read again when any of them has changed, or when that
//! cannot be told.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::zones::ZoneFile;
use crate::dns::zone::{self, Checks, Unchecked, Zone, ZoneError};
use crate::io::clock;
use crate::io::files::{self, Includes};
use crate::io::fingerprint::Fingerprint;

/// So many errors of one file are written to the log; `check-zone` shows them all.
const LOGGED_ERRORS: usize = 10;
/// A zone with more records is published before it is checked for what is worth a warning.
const LARGE: usize = 100_000;

/// The files that a zone was read from, as they were then.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Origin {
    file: Fingerprint,
    included: Box<[(PathBuf, Fingerprint)]>,
}

impl Origin {
    /// True if `file` is the zone's file, and it and all that it includes are as they were.
    pub(super) fn is_still_that_of(&self, file: &Path) -> bool {
        let are_as_they_were = || self.included.iter().all(|(path, before)| before.is_still_that_of(path));
        self.file.is_still_that_of(file) && are_as_they_were()
    }
}

/// A zone as its file has it.
#[derive(Debug)]
pub(super) struct Version {
    pub(super) zone: Arc<Zone>,
    /// None if a later change of the files might not be seen.
    pub(super) origin: Option<Origin>,
}

/// A large zone that is still to be looked at for oddities.
#[derive(Debug)]
pub(super) struct Pending {
    file: ZoneFile,
    zone: Arc<Zone>,
    checks: Checks,
}

impl Pending {
    /// Looks at the zone and writes what is odd to the log.
    pub(super) fn check(self) {
        warn(&self.file, &self.zone, self.checks);
    }
}

/// Reads one zone file; the log gets every error, the caller the first one. A small zone is checked at once; a large one is
/// handed out to be checked when it is served.
pub(super) fn load(file: &ZoneFile) -> Result<(Version, Option<Pending>), String> {
    let opened = files::open(&file.file).map_err(|error| {
        tracing::error!(zone = %file.name, "{error}");
        error.to_string()
    })?;
    let mut includes = Includes::of(&file.file);
    let loaded = zone::load_unchecked(&file.name, &file.file.display().to_string(), opened.text, &mut |name| {
        includes.open(name)
    });
    let Unchecked { zone, checks } = loaded.map_err(|errors| complain(file, &errors))?;
    tracing::debug!(zone = %file.name, serial = zone.serial(), records = zone.record_count(), "loaded");
    let zone = Arc::new(zone);
    let pending = if zone.record_count() > LARGE {
        let (file, zone) = (file.clone(), Arc::clone(&zone));
        Some(Pending { file, zone, checks })
    } else {
        warn(file, &zone, checks);
        None
    };
    let origin = opened.fingerprint.and_then(|fingerprint| origin(fingerprint, includes));
    Ok((Version { zone, origin }, pending))
}

fn warn(file: &ZoneFile, zone: &Zone, checks: Checks) {
    for warning in oddities(file, zone, checks).iter().take(LOGGED_ERRORS) {
        tracing::warn!(zone = %file.name, "{warning}");
    }
}

/// What is worth a warning, the signatures that are out of time first: others can wait.
fn oddities(file: &ZoneFile, zone: &Zone, checks: Checks) -> Vec<ZoneError> {
    let mut warnings = zone::check_times(zone, &file.file.display().to_string(), clock::wall_clock());
    warnings.extend(checks.run(zone));
    warnings
}

fn origin(file: Fingerprint, includes: Includes<'_>) -> Option<Origin> {
    let known = |(path, fingerprint): (PathBuf, Option<Fingerprint>)| Some((path, fingerprint?));
    let included = includes.into_opened().into_iter().map(known).collect::<Option<_>>()?;
    Some(Origin { file, included })
}

fn complain(file: &ZoneFile, errors: &[ZoneError]) -> String {
    for error in errors.iter().take(LOGGED_ERRORS) {
        tracing::error!(zone = %file.name, "{error}");
    }
    let first = errors.first().map_or_else(|| "unknown".to_owned(), ToString::to_string);
    match errors.len().saturating_sub(1) {
        0 => first,
        more => format!("{first} (and {more} more: heraldns check-zone shows them)"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn files_of_a_moment_ago_are_to_be_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = ZoneFile {
            name: "example.".parse().unwrap(),
            file: folder.path().join("example.zone"),
        };
        fs::write(&file.file, "@ 60 SOA . . 7 2 3 4 5\n@ 60 NS .\n").unwrap();
        assert_eq!(load(&file).unwrap().0.origin, None);
    }

    #[test]
    fn signatures_that_have_expired_are_told_before_all_else() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/zones/signed-expired.zone");
        let text = format!("{}other. 60 A 192.0.2.1\n", fs::read_to_string(&path).unwrap());
        let file = ZoneFile {
            name: "example.com.".parse().unwrap(),
            file: path,
        };
        let loaded = zone::load_unchecked(&file.name, "text", text.as_bytes(), &mut |_| Err(String::new())).unwrap();
        let told = oddities(&file, &loaded.zone, loaded.checks);
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(
            told[0]
                .to_string()
                .contains("signed-expired.zone: warning: 11 of 11 signatures have expired"),
            "{told:?}"
        );
    }

    #[test]
    fn one_file_that_is_not_known_is_enough() {
        // A file that this test was built from is older than the test.
        let old = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let known = files::open(&old).unwrap().fingerprint.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let young = folder.path().join("young.txt");
        fs::write(&young, "").unwrap();

        let mut includes = Includes::of(&old);
        includes.open(old.to_str().unwrap()).unwrap();
        let both_old = origin(known, includes).unwrap();
        assert!(both_old.is_still_that_of(&old) && !both_old.is_still_that_of(&young));

        let mut includes = Includes::of(&old);
        includes.open(young.to_str().unwrap()).unwrap();
        assert_eq!(origin(known, includes), None);
    }
}
