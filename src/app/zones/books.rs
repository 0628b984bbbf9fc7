//! The books: of every zone what is served and what went wrong, and their sum for those who only want to know how it stands.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::load::{Origin, Version};
use crate::config::zones::ZoneFile;
use crate::control::status::{self, ZoneNumbers, ZoneState};
use crate::dns::name::Name;
use crate::dns::zone::{Zone, ZoneSet};

/// So many broken zones are told in `status`; `zones` tells all.
const MOST_COMPLAINTS: usize = 20;

/// One zone.
#[derive(Debug)]
pub(super) struct Book {
    file: Box<Path>,
    served: Option<Arc<Zone>>,
    /// None if the file is to be read at the next load, whatever it looks like.
    origin: Option<Origin>,
    error: Option<Box<str>>,
}

/// All zones by name.
#[derive(Debug, Default)]
pub(super) struct Books(BTreeMap<Name, Book>);

/// How the zones stand.
#[derive(Clone, Debug, Default)]
pub(super) struct Summary {
    pub(super) numbers: ZoneNumbers,
    /// What the operator should look at, in one line each.
    pub(super) complaints: Vec<String>,
}

/// What became of a zone's file at a load.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It is as it was when it was read.
    Unchanged,
    Loaded(Version),
    Failed(String),
}

impl Book {
    /// True if `file` is what was read, and has not changed since, nor has what it includes.
    pub(super) fn is_of(&self, file: &Path) -> bool {
        let origin = self.origin.as_ref().filter(|_| *self.file == *file);
        origin.is_some_and(|origin| origin.is_still_that_of(file))
    }
}

impl Books {
    /// The books of these zones, which are sorted by name, where there are any: both lists are gone through once.
    pub(super) fn find_all<'b>(&'b self, files: &'b [ZoneFile]) -> impl Iterator<Item = Option<&'b Book>> {
        let mut books = self.0.iter().peekable();
        files.iter().map(move |file| {
            while books.next_if(|(name, _)| **name < file.name).is_some() {}
            books.next_if(|(name, _)| **name == file.name).map(|(_, book)| book)
        })
    }

    /// Takes out every zone that is not among these, which are sorted by name; tells how many were served.
    pub(super) fn keep_only(&mut self, files: &[ZoneFile]) -> usize {
        let mut names = files.iter().map(|file| &file.name).peekable();
        let mut gone = 0;
        self.0.retain(|name, book| {
            while names.next_if(|other| *other < name).is_some() {}
            let stays = names.next_if(|other| *other == name).is_some();
            gone += usize::from(!stays && book.served.is_some());
            stays
        });
        gone
    }

    /// Enters what became of a zone; one that has failed is served on as it was.
    pub(super) fn enter(&mut self, file: ZoneFile, outcome: Outcome) {
        let (served, origin, error) = match outcome {
            Outcome::Unchanged => return,
            Outcome::Loaded(version) => (Some(version.zone), version.origin, None),
            Outcome::Failed(error) => {
                let before = self.0.get_mut(&file.name);
                (before.and_then(|book| book.served.take()), None, Some(error.into()))
            }
        };
        let book = Book {
            file: file.file.into(),
            served,
            origin,
            error,
        };
        self.0.insert(file.name, book);
    }

    /// What is served, and the names of what should be.
    pub(super) fn zone_set(&self) -> ZoneSet {
        ZoneSet::with_unloaded(self.served().map(Arc::clone).collect(), self.unloaded().cloned().collect())
    }

    /// The zones whose files could never be loaded.
    pub(super) fn unloaded(&self) -> impl Iterator<Item = &Name> {
        let books = self.0.iter().filter(|(_, book)| book.served.is_none());
        books.map(|(name, _)| name)
    }

    pub(super) fn served(&self) -> impl Iterator<Item = &Arc<Zone>> {
        self.0.values().filter_map(|book| book.served.as_ref())
    }

    /// A zone as `zones` shows it.
    pub(super) fn show(&self, name: &Name) -> Option<status::Zone> {
        self.0.get(name).map(|book| show(name, book))
    }

    /// All zones as `zones` shows them, one at a time.
    pub(super) fn show_all(&self) -> impl Iterator<Item = status::Zone> {
        self.0.iter().map(|(name, book)| show(name, book))
    }

    pub(super) fn summary(&self) -> Summary {
        let broken = || self.0.iter().filter_map(|(name, book)| Some((name, book.error.as_ref()?)));
        let failed = broken().count();
        let told = broken().take(MOST_COMPLAINTS).map(|(name, error)| format!("zone {name}: {error}"));
        let more = failed.checked_sub(MOST_COMPLAINTS).filter(|more| *more > 0);
        let more = more.map(|more| format!("{more} more zones have failed: heraldns zones shows them"));
        Summary {
            numbers: ZoneNumbers {
                loaded: self.served().count() as u64,
                failed: failed as u64,
                records: self.served().map(|zone| zone.record_count() as u64).sum(),
            },
            complaints: told.chain(more).collect(),
        }
    }
}

fn show(name: &Name, book: &Book) -> status::Zone {
    status::Zone {
        name: name.to_string(),
        serial: book.served.as_ref().map(|zone| zone.serial()),
        records: book.served.as_ref().map_or(0, |zone| zone.record_count() as u64),
        file: book.file.display().to_string(),
        state: match (&book.served, &book.error) {
            (Some(_), None) => ZoneState::Loaded,
            (Some(_), Some(_)) => ZoneState::Stale,
            (None, _) => ZoneState::Failed,
        },
        error: book.error.as_deref().map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::zone;

    fn file(name: &str) -> ZoneFile {
        ZoneFile {
            name: name.parse().unwrap(),
            file: format!("{name}zone").into(),
        }
    }

    fn loaded(name: &str) -> Outcome {
        let text = &b"@ 60 SOA . . 7 2 3 4 5\n@ 60 NS .\n"[..];
        let loaded = zone::load(&name.parse().unwrap(), "a.zone", text, &mut |_| Err(String::new()));
        Outcome::Loaded(Version {
            zone: Arc::new(loaded.unwrap().zone),
            origin: None,
        })
    }

    fn states(books: &Books) -> Vec<(String, ZoneState)> {
        books.show_all().map(|zone| (zone.name, zone.state)).collect()
    }

    #[test]
    fn a_failure_keeps_what_is_served() {
        let mut books = Books::default();
        books.enter(file("a."), loaded("a."));
        let before = books.served().next().cloned().unwrap();
        books.enter(file("a."), Outcome::Failed("wrong".to_owned()));
        books.enter(file("b."), Outcome::Failed("wrong".to_owned()));
        assert!(Arc::ptr_eq(books.served().next().unwrap(), &before));
        assert_eq!(
            states(&books),
            [("a.".to_owned(), ZoneState::Stale), ("b.".to_owned(), ZoneState::Failed)]
        );
        let zones = books.zone_set();
        assert_eq!((zones.zones().len(), zones.unloaded()), (1, &["b.".parse().unwrap()][..]));
        let summary = books.summary();
        assert_eq!(summary.complaints, ["zone a.: wrong", "zone b.: wrong"]);
        let numbers = summary.numbers;
        assert_eq!((numbers.loaded, numbers.failed, numbers.records), (1, 2, 2));
        books.enter(file("a."), Outcome::Unchanged);
        assert_eq!(books.show(&"a.".parse().unwrap()).unwrap().state, ZoneState::Stale);
        books.enter(file("a."), loaded("a."));
        assert_eq!(books.summary().complaints, ["zone b.: wrong"]);
    }

    #[test]
    fn zones_without_a_file_go() {
        let mut books = Books::default();
        for name in ["a.", "b.a.", "b.", "c.", "d."] {
            books.enter(file(name), loaded(name));
        }
        books.enter(file("e."), Outcome::Failed("wrong".to_owned()));
        let mut files = ["0.", "b.a.", "c.", "z."].map(file);
        files.sort();
        let found: Vec<Option<&Path>> = books.find_all(&files).map(|book| book.map(|book| &*book.file)).collect();
        assert_eq!(found, [None, Some(Path::new("b.a.zone")), Some(Path::new("c.zone")), None]);
        assert_eq!(books.keep_only(&files), 3);
        assert_eq!(states(&books), ["b.a.", "c."].map(|name| (name.to_owned(), ZoneState::Loaded)));
        assert_eq!(books.keep_only(&[]), 2);
    }

    #[test]
    fn many_complaints_are_counted() {
        let mut books = Books::default();
        for number in 0..100 {
            books.enter(file(&format!("z{number:02}.")), Outcome::Failed("wrong".to_owned()));
        }
        let complaints = books.summary().complaints;
        assert_eq!(complaints.len(), MOST_COMPLAINTS + 1);
        assert_eq!(complaints[0], "zone z00.: wrong");
        assert_eq!(complaints[MOST_COMPLAINTS], "80 more zones have failed: heraldns zones shows them");
    }
}
