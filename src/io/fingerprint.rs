//! Whether a file has been written to since it was read, without reading it again.
//!
//! What the file system says of a file says that, but for a file that was written to a moment before: one more write within
//! a tick of its clock leaves no trace. Such a file has no [`Fingerprint`], and is to be read again.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::clock;

/// Coarser is no clock of a file system, in nanoseconds; FAT counts by two seconds.
const TICK: i64 = 2_000_000_000;

/// What a file is known by as long as nobody writes to it or puts another one in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    device: u64,
    inode: u64,
    octets: u64,
    /// When its content was written, as its owner can set it: nanoseconds since 1970.
    written: i64,
    /// When anything of it was changed, which nobody can set.
    changed: i64,
}

impl Fingerprint {
    /// The fingerprint of an open file of which nothing has been read yet; none if it was written to a moment ago, or later
    /// than now.
    pub(super) fn of(metadata: &Metadata) -> Option<Self> {
        let now = i64::try_from(clock::wall_clock().as_nanosecond()).unwrap_or(i64::MAX);
        Self::at(metadata, now)
    }

    /// True if the file at `path` has this fingerprint still.
    #[must_use]
    pub fn is_still_that_of(&self, path: &Path) -> bool {
        fs::metadata(path).is_ok_and(|metadata| Self::read(&metadata) == *self)
    }

    fn at(metadata: &Metadata, now: i64) -> Option<Self> {
        let read = Self::read(metadata);
        (read.written.max(read.changed) < now.saturating_sub(TICK)).then_some(read)
    }

    fn read(metadata: &Metadata) -> Self {
        let nanoseconds = |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            octets: metadata.len(),
            written: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            changed: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a file that nobody has written to for a minute, seen from a minute later.
    fn settled(path: &Path) -> Fingerprint {
        let metadata = fs::metadata(path).unwrap();
        let read = Fingerprint::read(&metadata);
        Fingerprint::at(&metadata, read.changed + 60_000_000_000).unwrap()
    }

    /// Waits until what is written has another time than `before`.
    fn wait_for_the_next_tick(folder: &Path, before: &Fingerprint) {
        let probe = folder.join("probe");
        let is_later = |_: &u32| {
            fs::write(&probe, "").unwrap();
            Fingerprint::read(&fs::metadata(&probe).unwrap()).changed > before.changed
        };
        (0..10_000_000).find(is_later).expect("the clock of the file system stands still");
    }

    type Change<'c> = &'c dyn Fn(&Path, &Path);

    #[test]
    fn every_way_to_change_a_file_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("a.zone"), folder.path().join("b.zone"));
        let rewrite_in_secret = |path: &Path, _: &Path| {
            let before = fs::metadata(path).unwrap().modified().unwrap();
            fs::write(path, "two").unwrap();
            fs::File::options().write(true).open(path).unwrap().set_modified(before).unwrap();
        };
        let ways: [(&str, Change<'_>); 4] = [
            ("longer", &|path, _| fs::write(path, "four").unwrap()),
            ("as long, and with its old time", &rewrite_in_secret),
            ("another file", &|path, other| fs::rename(other, path).unwrap()),
            ("gone", &|path, _| fs::remove_file(path).unwrap()),
        ];
        for (way, change) in ways {
            fs::write(&path, "one").unwrap();
            fs::write(&other, "one").unwrap();
            let before = settled(&path);
            assert!(before.is_still_that_of(&path));
            wait_for_the_next_tick(folder.path(), &before);
            change(&path, &other);
            assert!(!before.is_still_that_of(&path), "{way}");
        }
    }

    #[test]
    fn a_file_of_a_moment_ago_is_not_known() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.zone");
        fs::write(&path, "one").unwrap();
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!(Fingerprint::of(&metadata), None);
        let written = Fingerprint::read(&metadata).changed;
        assert_eq!(Fingerprint::at(&metadata, written + TICK), None);
        assert!(Fingerprint::at(&metadata, written + TICK + 1).is_some());
        assert_eq!(Fingerprint::at(&metadata, written - TICK), None);
    }
}
