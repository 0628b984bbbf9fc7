//! Zone files: which there are below a directory, and their bytes. The scanner that reads them knows no file.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// Directories deeper than this are taken for a loop of links.
const DEEPEST: usize = 32;

/// A file or directory that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct FileError {
    /// Which one.
    pub path: PathBuf,
    /// Why not.
    pub source: io::Error,
}

/// Every file in `directory` and below whose name is wanted, sorted by path. Names that begin with a dot are left out.
///
/// # Errors
/// The first directory that cannot be read.
pub fn files_below(directory: &Path, is_wanted: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>, FileError> {
    let mut found = Vec::new();
    collect(directory, DEEPEST, &is_wanted, &mut found)?;
    found.sort();
    Ok(found)
}

/// The bytes of a file.
///
/// # Errors
/// The file, and why it cannot be read.
pub fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    fs::read(path).map_err(|source| FileError {
        path: path.to_owned(),
        source,
    })
}

/// The file that `$INCLUDE name` in the zone file `from` means: relative to the directory of that file (RFC 1035 §5.1).
#[must_use]
pub fn included(from: &Path, name: &str) -> PathBuf {
    from.parent().unwrap_or(Path::new("")).join(name)
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
        let path = entry.map_err(failed)?.path();
        if path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")) {
            continue;
        }
        // Follows links, so that a directory of links to zones works.
        if path.is_dir() {
            collect(&path, levels - 1, is_wanted, found)?;
        } else if path.file_name().and_then(|name| name.to_str()).is_some_and(is_wanted) {
            found.push(path);
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
    fn files_come_sorted_from_all_levels() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("sub/.git")).unwrap();
        for name in ["b.zone", "a.zone", "notes.txt", "sub/c.zone", ".hidden.zone", "sub/.git/d.zone"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let found = files_below(folder.path(), is_zone).unwrap();
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
            read(&missing.join("x.zone"))
                .unwrap_err()
                .to_string()
                .starts_with("no-such-folder/x.zone: ")
        );
    }

    #[test]
    fn a_loop_of_links_ends() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(folder.path(), folder.path().join("again")).unwrap();
        assert!(files_below(folder.path(), is_zone).is_err());
    }

    #[test]
    fn includes_are_relative_to_the_file_that_includes() {
        assert_eq!(
            included(Path::new("zones/a/example.zone"), "hosts.txt"),
            Path::new("zones/a/hosts.txt")
        );
        assert_eq!(included(Path::new("example.zone"), "hosts.txt"), Path::new("hosts.txt"));
        assert_eq!(
            included(Path::new("zones/example.zone"), "/etc/hosts.txt"),
            Path::new("/etc/hosts.txt")
        );
    }
}
