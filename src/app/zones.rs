//! The keeper of the zones: loads their files, publishes them whole, and remembers what went wrong.
//!
//! A file with an error never replaces anything: the zone's last good version stays, and `zones`, `status` and the log say
//! so. Loading happens on the caller's thread; the workers see one swap of a pointer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config::zones::{ZoneFile, ZoneSources};
use crate::control::status::{self, ZoneNumbers, ZoneState};
use crate::dns::name::Name;
use crate::dns::server::Shared;
use crate::dns::zone::{self, Zone, ZoneSet};
use crate::io::files;

/// So many errors of one file are written to the log; `check-zone` shows them all.
const LOGGED_ERRORS: usize = 10;

/// All zones of this server, where they come from and how they are.
pub(super) struct ZoneKeeper {
    sources: ZoneSources,
    shared: Arc<Shared>,
    /// Held for a whole load: one at a time.
    loading: Mutex<()>,
    /// Held for a moment.
    books: Mutex<BTreeMap<Name, Book>>,
}

/// One zone.
struct Book {
    file: ZoneFile,
    served: Option<Arc<Zone>>,
    error: Option<String>,
}

impl ZoneKeeper {
    /// A keeper that has loaded nothing yet; what it loads is published in `shared`.
    pub(super) fn new(sources: ZoneSources, shared: Arc<Shared>) -> Self {
        Self {
            sources,
            shared,
            loading: Mutex::new(()),
            books: Mutex::new(BTreeMap::new()),
        }
    }

    /// Loads one zone again, or all of them; the answer tells of each how it went.
    ///
    /// # Errors
    /// A zone that is not configured, or zone files that cannot be found. What was served is served on.
    pub(super) fn reload(&self, only: Option<&str>) -> Result<Vec<status::Zone>, String> {
        let _one_at_a_time = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        let mut files = self.sources.find().map_err(|error| error.to_string())?;
        if let Some(wanted) = only {
            let name = wanted
                .parse::<Name>()
                .map_err(|error| format!("'{wanted}' is no zone name: {error}"))?;
            files.retain(|file| file.name == name);
            if files.is_empty() {
                return Err(format!(
                    "zone {name} is not configured: its file is neither in [zones] directory nor in a [[zone]]"
                ));
            }
        }
        let loaded: Vec<(ZoneFile, Result<Arc<Zone>, String>)> = files.into_iter().map(|file| (file.clone(), load(&file))).collect();
        Ok(self.publish(loaded, only.is_none()))
    }

    /// How many zones are served.
    pub(super) fn count(&self) -> usize {
        self.shared.zones.load().zones().len()
    }

    /// All zones, by name.
    pub(super) fn list(&self) -> Vec<status::Zone> {
        self.books().iter().map(|(name, book)| show(name, book)).collect()
    }

    /// The zones in numbers.
    pub(super) fn numbers(&self) -> ZoneNumbers {
        let books = self.books();
        ZoneNumbers {
            loaded: books.values().filter(|book| book.served.is_some()).count() as u64,
            failed: books.values().filter(|book| book.error.is_some()).count() as u64,
            records: books
                .values()
                .filter_map(|book| Some(book.served.as_ref()?.record_count() as u64))
                .sum(),
        }
    }

    /// Enters what was loaded and publishes the set; with `all`, zones without a file any more go.
    fn publish(&self, loaded: Vec<(ZoneFile, Result<Arc<Zone>, String>)>, all: bool) -> Vec<status::Zone> {
        let mut books = self.books();
        if all {
            books.retain(|name, _| loaded.iter().any(|(file, _)| file.name == *name));
        }
        let mut shown = Vec::with_capacity(loaded.len());
        for (file, result) in loaded {
            let name = file.name.clone();
            let before = books.remove(&name).and_then(|book| book.served);
            let book = match result {
                Ok(zone) => Book {
                    file,
                    served: Some(zone),
                    error: None,
                },
                Err(error) => Book {
                    file,
                    served: before,
                    error: Some(error),
                },
            };
            shown.push(show(&name, &book));
            books.insert(name, book);
        }
        self.shared.zones.store(Arc::new(ZoneSet::new(
            books.values().filter_map(|book| book.served.clone()).collect(),
        )));
        shown
    }

    fn books(&self) -> MutexGuard<'_, BTreeMap<Name, Book>> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn show(name: &Name, book: &Book) -> status::Zone {
    status::Zone {
        name: name.to_string(),
        serial: book.served.as_ref().map(|zone| zone.serial()),
        records: book.served.as_ref().map_or(0, |zone| zone.record_count() as u64),
        file: book.file.file.display().to_string(),
        state: match (&book.served, &book.error) {
            (Some(_), None) => ZoneState::Loaded,
            (Some(_), Some(_)) => ZoneState::Stale,
            (None, _) => ZoneState::Failed,
        },
        error: book.error.clone(),
    }
}

/// Reads and checks one zone file; the log gets every warning and error, the caller the first error.
fn load(file: &ZoneFile) -> Result<Arc<Zone>, String> {
    let text = files::open(&file.file).map_err(|error| {
        tracing::error!(zone = %file.name, "{error}");
        error.to_string()
    })?;
    match zone::load(
        &file.name,
        &file.file.display().to_string(),
        text,
        &mut files::includes_of(&file.file),
    ) {
        Ok(loaded) => {
            for warning in loaded.warnings.iter().take(LOGGED_ERRORS) {
                tracing::warn!(zone = %file.name, "{warning}");
            }
            tracing::debug!(zone = %file.name, serial = loaded.zone.serial(), records = loaded.zone.record_count(), "loaded");
            Ok(Arc::new(loaded.zone))
        }
        Err(errors) => {
            for error in errors.iter().take(LOGGED_ERRORS) {
                tracing::error!(zone = %file.name, "{error}");
            }
            let first = errors.first().map_or_else(|| "unknown".to_owned(), ToString::to_string);
            let more = errors.len().saturating_sub(1);
            Err(if more == 0 {
                first
            } else {
                format!("{first} (and {more} more: heraldns check-zone shows them)")
            })
        }
    }
}
