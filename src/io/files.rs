//! Zone files: which there are below a directory, and their bytes. The scanner that reads them knows no file.

use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, Read, Take};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::fingerprint::Fingerprint;

/// Directories deeper than this are taken for a loop of links.
const DEEPEST: usize = 32;
/// No file is longer, in octets; a zone of 4 GiB, which is the largest there can be, has a text of about this size.
const LONGEST: u64 = 8 << 30;

/// A file or directory that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct FileError {
    /// Which one.
    pub path: PathBuf,
    /// Why not.
    pub source: io::Error,
}

/// Every file in `directory` and below whose name is wanted, in no order. Names that begin with a dot are left out.
///
/// # Errors
/// The first directory that cannot be read.
pub fn files_below(directory: &Path, is_wanted: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>, FileError> {
    let mut found = Vec::new();
    collect(directory, DEEPEST, &is_wanted, &mut found)?;
    Ok(found)
}

/// A file to be read.
#[derive(Debug)]
pub struct Opened {
    /// Its octets.
    pub text: Take<File>,
    /// By what it will be known if nobody writes to it; none if that cannot be told.
    pub fingerprint: Option<Fingerprint>,
}

/// Opens a regular file: what never ends, or waits for a writer, is no zone.
///
/// # Errors
/// The file, and why it cannot be opened.
pub fn open(path: &Path) -> Result<Opened, FileError> {
    open_at_most(LONGEST, path).map_err(|source| FileError {
        path: path.to_owned(),
        source,
    })
}

/// The bytes of a regular file.
///
/// # Errors
/// The file, and why it cannot be read.
pub fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    let mut octets = Vec::new();
    open(path)?.text.read_to_end(&mut octets).map_err(|source| FileError {
        path: path.to_owned(),
        source,
    })?;
    Ok(octets)
}

fn open_at_most(longest: u64, path: &Path) -> io::Result<Opened> {
    let file = open_at_once(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("this is no regular file; write its content to one"));
    }
    if metadata.len() > longest {
        return Err(io::Error::other(format!("the file is longer than {longest} octets")));
    }
    Ok(Opened {
        // what grows while it is read is read up to here
        text: file.take(longest),
        fingerprint: Fingerprint::of(&metadata),
    })
}

/// Opens without waiting: a FIFO that nobody writes to would hold the caller for ever.
fn open_at_once(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK.union(OFlags::NOCTTY).bits();
    OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(path)
}

/// Opens what a zone file includes, and remembers which files that were.
#[derive(Debug)]
pub struct Includes<'z> {
    directory: &'z Path,
    opened: Vec<(PathBuf, Option<Fingerprint>)>,
}

impl<'z> Includes<'z> {
    /// Names are relative to the directory of the zone file `zone` (RFC 1035 §5.1 leaves that open).
    #[must_use]
    pub fn of(zone: &'z Path) -> Self {
        Self {
            directory: zone.parent().unwrap_or(Path::new("")),
            opened: Vec::new(),
        }
    }

    /// Opens the file that `$INCLUDE` calls `name`.
    ///
    /// # Errors
    /// The file, and why it cannot be opened.
    pub fn open(&mut self, name: &str) -> Result<Box<dyn Read>, String> {
        let path = self.directory.join(name);
        let opened = open(&path).map_err(|error| error.to_string())?;
        self.opened.push((path, opened.fingerprint));
        Ok(Box::new(opened.text))
    }

    /// Every file that was opened.
    #[must_use]
    pub fn into_opened(self) -> Vec<(PathBuf, Option<Fingerprint>)> {
        self.opened
    }
}

fn collect(directory: &Path, levels: usize, is_wanted: &dyn Fn(&str) -> bool, found: &mut Vec<PathBuf>) -> Result<(), FileError> {
    let failed = |source| FileError {
        path: directory.to_owned(),
        source,
    };
    if levels == 0 {
        return Err(failed(io::Error::other("too many directories in one another")));
    }
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        // Follows links, so that a directory of links to zones works.
        let is_directory = |kind: FileType| kind.is_dir() || kind.is_symlink() && entry.path().is_dir();
        if entry.file_type().is_ok_and(is_directory) {
            collect(&entry.path(), levels - 1, is_wanted, found)?;
        } else if name.to_str().is_some_and(is_wanted) {
            found.push(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_zone(name: &str) -> bool {
        name.ends_with(".zone")
    }

    #[test]
    fn files_come_from_all_levels() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("sub/.git")).unwrap();
        for name in ["b.zone", "a.zone", "notes.txt", "sub/c.zone", ".hidden.zone", "sub/.git/d.zone"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let mut found = files_below(folder.path(), is_zone).unwrap();
        found.sort();
        let expected: Vec<_> = ["a.zone", "b.zone", "sub/c.zone"]
            .iter()
            .map(|name| folder.path().join(name))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn errors_name_the_path() {
        let missing = Path::new("no-such-folder");
        assert!(
            files_below(missing, is_zone)
                .unwrap_err()
                .to_string()
                .starts_with("no-such-folder: ")
        );
        assert!(
            open(&missing.join("x.zone"))
                .unwrap_err()
                .to_string()
                .starts_with("no-such-folder/x.zone: ")
        );
    }

    #[test]
    fn only_regular_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
        assert!(made.success());
        for path in [fifo.as_path(), Path::new("/dev/zero"), folder.path()] {
            let error = open(path).unwrap_err().to_string();
            assert!(error.ends_with(": this is no regular file; write its content to one"), "{error}");
        }
    }

    #[test]
    fn the_limit_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long");
        fs::write(&path, "12345").unwrap();
        let mut text = String::new();
        open_at_most(5, &path).unwrap().text.read_to_string(&mut text).unwrap();
        assert_eq!(text, "12345");
        let error = open_at_most(4, &path).unwrap_err();
        assert_eq!(error.to_string(), "the file is longer than 4 octets");
    }

    #[test]
    fn a_loop_of_links_ends() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(folder.path(), folder.path().join("again")).unwrap();
        assert!(files_below(folder.path(), is_zone).is_err());
    }

    #[test]
    fn includes_are_relative_to_the_zone_file() {
        let folder = tempfile::tempdir().unwrap();
        let shared = folder.path().join("shared.txt");
        fs::create_dir(folder.path().join("sub")).unwrap();
        fs::write(&shared, "shared").unwrap();
        fs::write(folder.path().join("sub/hosts.txt"), "hosts").unwrap();
        let zone = folder.path().join("sub/example.zone");
        let mut includes = Includes::of(&zone);
        let mut include = |name: &str| includes.open(name).map(|text| io::read_to_string(text).unwrap());
        assert_eq!(include("hosts.txt").unwrap(), "hosts");
        assert_eq!(include("../shared.txt").unwrap(), "shared");
        assert_eq!(include(shared.to_str().unwrap()).unwrap(), "shared");
        assert!(include("shared.txt").unwrap_err().contains("sub/shared.txt: "));
        let opened: Vec<_> = includes.into_opened().into_iter().map(|(path, _)| path).collect();
        let sub = folder.path().join("sub");
        assert_eq!(opened, [sub.join("hosts.txt"), sub.join("../shared.txt"), shared]);
    }
}
