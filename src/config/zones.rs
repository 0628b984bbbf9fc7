//! `[zones]` and `[[zone]]`: which file is which zone.
//!
//! Finds the files; reading them is the service process's business.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::base::problem::Problem;
use crate::dns::name::Name;
use crate::io::files::{self, FileError};

/// The keys of `[zones]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct DirectoryConfig {
    /// Every file in it, and below, whose name matches the pattern is a zone. Empty: none.
    pub directory: PathBuf,
    /// `*` stands for the zone's name.
    pub pattern: String,
}

impl Default for DirectoryConfig {
    fn default() -> Self {
        Self {
            directory: PathBuf::new(),
            pattern: "*.zone".to_owned(),
        }
    }
}

/// The keys of one `[[zone]]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ZoneConfig {
    /// The zone's name.
    pub name: String,
    /// Its file, relative to the config file.
    pub file: PathBuf,
}

/// One zone and its file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ZoneFile {
    /// In lower case.
    pub name: Name,
    /// As it can be opened from the current directory.
    pub file: PathBuf,
}

/// Where the zones are: what [`ZoneSources::find`] looks through at every load and reload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ZoneSources {
    directory: Option<PathBuf>,
    prefix: String,
    suffix: String,
    listed: Vec<ZoneFile>,
}

impl ZoneSources {
    /// Checks `[zones]` and the `[[zone]]` tables. Relative paths are taken from `base`.
    pub fn check(directory: &DirectoryConfig, zones: &[ZoneConfig], base: &Path, problems: &mut Vec<Problem>) -> Self {
        let (prefix, suffix) = check_pattern(&directory.pattern, problems);
        let sources = Self {
            directory: (!directory.directory.as_os_str().is_empty()).then(|| base.join(&directory.directory)),
            prefix,
            suffix,
            listed: check_listed(zones, base, problems),
        };
        if let Some(folder) = &sources.directory {
            check_directory(folder, &sources, problems);
        } else if zones.is_empty() {
            let cure = "write [zones] directory = \"zones\" for a folder of NAME.zone files, or a [[zone]] with name and file";
            problems.push(Problem::new("zones", "there is no zone to serve", cure));
        }
        sources
    }

    /// All zones that are there now, sorted by name; files that are left out are named in the log.
    ///
    /// # Errors
    /// A folder that cannot be read, a zone with two files, or no zone at all.
    pub fn find(&self) -> Result<Vec<ZoneFile>, FindError> {
        let found = self.look()?;
        for warning in &found.left_out {
            tracing::warn!("{warning}");
        }
        Ok(found.zones)
    }

    /// The zones that are there now, and the files that look like one.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn look(&self) -> Result<Found, FindError> {
        let mut zones = self.listed.clone();
        let mut left_out = Vec::new();
        let files = self.directory.as_ref().map_or(Ok(Vec::new()), |directory| {
            files::files_below(directory, |name| self.name_in(name).is_some())
        })?;
        for file in files {
            let Some(name) = file.file_name().and_then(|name| self.name_in(name.to_str()?)) else {
                continue;
            };
            match zone_name(name) {
                Ok(name) => zones.push(ZoneFile { name, file }),
                Err(what) => left_out.push(format!("{} is left out: {what}", file.display())),
            }
        }
        zones.sort();
        left_out.sort();
        if let Some(directory) = self.directory.as_ref().filter(|_| zones.is_empty()) {
            let none = format!("no file in {} is named {}*{}", directory.display(), self.prefix, self.suffix);
            return Err(FindError::Nothing(left_out.into_iter().next().unwrap_or(none)));
        }
        match zones.array_windows().find(|[one, other]| one.name == other.name) {
            None => Ok(Found { zones, left_out }),
            Some([one, other]) => Err(FindError::Twice {
                name: one.name.clone(),
                first: one.file.clone(),
                second: other.file.clone(),
            }),
        }
    }

    /// What stands for the zone's name in the name of a file.
    fn name_in<'f>(&self, file_name: &'f str) -> Option<&'f str> {
        file_name.strip_prefix(&self.prefix)?.strip_suffix(&self.suffix)
    }
}

/// What [`ZoneSources::look`] has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Sorted by name.
    pub zones: Vec<ZoneFile>,
    /// Files that match the pattern and are no zone: which, and why.
    pub left_out: Vec<String>,
}

/// Zone files that cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// A folder could not be listed.
    #[error("cannot read the folder {0}")]
    Unreadable(#[from] FileError),
    /// There is no zone. A file system that is not mounted looks so, and what is served should outlive that.
    #[error("{0}")]
    Nothing(String),
    /// Two files claim to be one zone.
    #[error("zone {name} has two files: {first} and {second}", first = first.display(), second = second.display())]
    Twice {
        /// The zone.
        name: Name,
        /// The file that was found first.
        first: PathBuf,
        /// The other one.
        second: PathBuf,
    },
}

fn check_pattern(pattern: &str, problems: &mut Vec<Problem>) -> (String, String) {
    let halves = pattern
        .split_once('*')
        .filter(|(_, suffix)| !suffix.contains('*') && !pattern.contains('/'));
    let Some((prefix, suffix)) = halves else {
        let cure = "write one * where the zone's name stands, as in \"*.zone\"";
        let what = format!("'{pattern}' does not tell the zone's name from the file's name");
        problems.push(Problem::new("zones.pattern", what, cure));
        return (String::new(), String::new());
    };
    (prefix.to_owned(), suffix.to_owned())
}

fn check_directory(folder: &Path, sources: &ZoneSources, problems: &mut Vec<Problem>) {
    let mut refuse = |what: String, cure: &str| problems.push(Problem::new("zones.directory", what, cure));
    if !folder.is_dir() {
        let what = format!("there is no folder {}", folder.display());
        return refuse(
            what,
            "create it, or write the folder that has the zone files; the path starts at the config file's folder",
        );
    }
    match sources.look() {
        Err(error @ FindError::Unreadable(_)) => refuse(error.to_string(), "let the server's user read it"),
        Err(error @ FindError::Twice { .. }) => refuse(error.to_string(), "remove or rename one of them"),
        Err(error @ FindError::Nothing(_)) => refuse(error.to_string(), "put a zone file there, or change the pattern"),
        Ok(_) => {}
    }
}

fn check_listed(zones: &[ZoneConfig], base: &Path, problems: &mut Vec<Problem>) -> Vec<ZoneFile> {
    let mut listed: Vec<ZoneFile> = Vec::new();
    let mut names = BTreeSet::new();
    for (index, zone) in zones.iter().enumerate() {
        let name = match zone_name(&zone.name) {
            Ok(name) => name,
            Err(what) => {
                let cure = "write the zone's name, as in name = \"example.com.\"";
                problems.push(Problem::new(format!("zone[{index}].name"), what, cure));
                continue;
            }
        };
        if !names.insert(name.clone()) {
            let what = format!("zone {name} is listed twice");
            problems.push(Problem::new(format!("zone[{index}].name"), what, "remove one of them"));
            continue;
        }
        let file = base.join(&zone.file);
        let key = format!("zone[{index}].file");
        if zone.file.as_os_str().is_empty() {
            problems.push(Problem::new(
                key,
                format!("zone {name} has no file"),
                "write file = \"zones/NAME.zone\"",
            ));
        } else if !file.is_file() {
            let what = format!("there is no file {}", file.display());
            problems.push(Problem::new(
                key,
                what,
                "write the zone file's path; it starts at the config file's folder",
            ));
        }
        listed.push(ZoneFile { name, file });
    }
    listed
}

/// A zone's name in lower case; what is wrong, if it cannot be one.
fn zone_name(text: &str) -> Result<Name, String> {
    if text.is_empty() {
        return Err("the zone has no name".to_owned());
    }
    match text.parse::<Name>() {
        Ok(name) => Ok(name.to_lower()),
        Err(error) => Err(format!("'{text}' is no domain name: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn sources(directory: &Path, zones: &[ZoneConfig]) -> (ZoneSources, Vec<Problem>) {
        let config = DirectoryConfig {
            directory: directory.to_owned(),
            ..DirectoryConfig::default()
        };
        let mut problems = Vec::new();
        let sources = ZoneSources::check(&config, zones, directory, &mut problems);
        (sources, problems)
    }

    #[test]
    fn files_in_and_below_the_directory_are_zones() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("more")).unwrap();
        for file in ["Example.com.zone", "more/example.net.zone", "notes.txt", ".zone"] {
            fs::write(folder.path().join(file), "").unwrap();
        }
        let (sources, problems) = sources(folder.path(), &[]);
        assert_eq!(problems, []);
        let names: Vec<_> = sources.find().unwrap().into_iter().map(|zone| zone.name.to_string()).collect();
        assert_eq!(names, ["example.com.", "example.net."]);
    }

    #[test]
    fn a_file_whose_name_is_no_domain_name_is_told() {
        let folder = tempfile::tempdir().unwrap();
        for file in ["example.com.zone", "a..b.zone"] {
            fs::write(folder.path().join(file), "").unwrap();
        }
        let found = sources(folder.path(), &[]).0.look().unwrap();
        assert_eq!(found.zones.len(), 1);
        let expected = format!(
            "{} is left out: 'a..b' is no domain name: ",
            folder.path().join("a..b.zone").display()
        );
        assert!(found.left_out[0].starts_with(&expected), "{:?}", found.left_out);
        fs::remove_file(folder.path().join("example.com.zone")).unwrap();
        let (_, problems) = sources(folder.path(), &[]);
        assert!(problems[0].what.starts_with(&expected), "{problems:?}");
    }

    #[test]
    fn two_files_for_one_zone_are_an_error() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("example.com.zone"), "").unwrap();
        fs::write(folder.path().join("other"), "").unwrap();
        let zone = ZoneConfig {
            name: "EXAMPLE.com".to_owned(),
            file: "other".into(),
        };
        let (sources, problems) = sources(folder.path(), &[zone]);
        assert!(matches!(sources.find(), Err(FindError::Twice { .. })));
        assert_eq!(problems[0].key, "zones.directory");
    }

    #[test]
    fn names_are_lower_case_and_absolute() {
        assert_eq!(zone_name("Example.COM").unwrap().to_string(), "example.com.");
        assert!(zone_name(".").unwrap().is_root());
        let too_long_a_label = "x".repeat(64);
        for refused in ["", "..", "a..b", too_long_a_label.as_str()] {
            assert!(zone_name(refused).is_err(), "{refused}");
        }
    }
}
