//! The keeper of the zones: reads their files, publishes them whole, and remembers what went wrong.
//!
//! `load` reads one file, `parallel` many at once, `books` say how each zone stands. A load reads what has changed; a file
//! with an error never replaces anything: the zone's last good version stays, and `zones`, `status` and the log say so. The
//! workers see one swap of a pointer, and whoever asks for a status waits for no load.

mod books;
mod load;
mod parallel;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::thread;
use std::time::Duration;

use serde::{Serialize, Serializer};

use self::books::{Book, Books, Outcome, Summary};
use self::load::Pending;
use self::parallel::in_parallel;
use super::show::millis;
use crate::config::zones::{FindError, ZoneFile, ZoneSources};
use crate::control::status::{Reloaded, ZoneNumbers};
use crate::dns::name::Name;
use crate::dns::server::Shared;
use crate::dns::zone::ZoneSet;
use crate::io::sys::memory::give_back_unused;
use crate::io::{clock, process};

/// So many of the zones that were read are shown to whoever asked for a reload.
const MOST_SHOWN: usize = 1_000;
/// Workers read the zones for as long as a batch of queries takes; one that is stopped in the middle is waited for this
/// often, for a pause each.
const MOST_PAUSES: u32 = 1_000;
const PAUSE: Duration = Duration::from_millis(1);

/// All zones of this server, where they come from and how they are.
pub(super) struct ZoneKeeper {
    sources: ZoneSources,
    shared: Arc<Shared>,
    /// Held for a whole load: one at a time.
    loading: Mutex<()>,
    /// A hang-up waits for its turn to load.
    hang_up_waits: AtomicBool,
    /// Written by the loader alone, and only for a moment.
    books: RwLock<Books>,
    /// Held for a moment, so that the herald loop can look at any time.
    summary: Mutex<Summary>,
}

/// Which files a load reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    /// Those that have changed; zones without a file any more go.
    Changed,
    /// All that it is given.
    Given,
}

impl ZoneKeeper {
    /// A keeper that has loaded nothing yet; what it loads is published in `shared`.
    pub(super) fn new(sources: ZoneSources, shared: Arc<Shared>) -> Self {
        Self {
            sources,
            shared,
            loading: Mutex::new(()),
            hang_up_waits: AtomicBool::new(false),
            books: RwLock::default(),
            summary: Mutex::default(),
        }
    }

    /// Loads every zone whose files have changed, or the named one whether or not they have; says how it went.
    ///
    /// # Errors
    /// A zone that is not configured, or zone files that cannot be found. What was served is served on.
    pub(super) fn load(&self, only: Option<&str>) -> Result<Reloaded, String> {
        self.load_in_turn(&self.take_turn(), only)
    }

    /// As [`Self::load`], on a thread of its own that leaves the processor to those who answer; `tell` gets the outcome.
    pub(super) fn reload_beside(self: &Arc<Self>, only: Option<String>, tell: impl FnOnce(Result<Reloaded, String>) + Send + 'static) {
        let keeper = Arc::clone(self);
        spawn(move || tell(keeper.reload(&keeper.take_turn(), only.as_deref())));
    }

    /// What SIGHUP asks for: everything that has changed is loaded.
    pub(super) fn hang_up(self: &Arc<Self>) {
        // The one that waits has not looked at any file yet: it will see what this one would.
        if self.hang_up_waits.swap(true, Ordering::SeqCst) {
            return;
        }
        let keeper = Arc::clone(self);
        let has_thread = spawn(move || {
            let turn = keeper.take_turn();
            keeper.hang_up_waits.store(false, Ordering::SeqCst);
            let _ = keeper.reload(&turn, None);
        });
        if !has_thread {
            self.hang_up_waits.store(false, Ordering::SeqCst);
        }
    }

    /// How many zones are served.
    pub(super) fn count(&self) -> usize {
        self.shared.zones.load().zones().len()
    }

    /// All zones, by name, as `zones` shows them.
    pub(super) fn listing(&self) -> impl Serialize + '_ {
        Listing(self.read())
    }

    /// The zones in numbers.
    pub(super) fn numbers(&self) -> ZoneNumbers {
        self.summary().numbers
    }

    /// What the operator should look at, in one line each.
    pub(super) fn complaints(&self) -> Vec<String> {
        self.summary().complaints.clone()
    }

    /// The name of a zone that can be asked for, if there is one: rather not one of addresses.
    pub(super) fn example(&self) -> Option<Name> {
        let zones = self.shared.zones.load();
        let is_of_addresses = |name: &Name| name.to_lower().to_string().ends_with(".arpa.");
        let mut names = zones.zones().map(|zone| zone.apex());
        let first = names.next()?;
        let mut better = || names.find(|name| !is_of_addresses(name));
        Some(if is_of_addresses(first) { better().unwrap_or(first) } else { first }.clone())
    }

    fn take_turn(&self) -> MutexGuard<'_, ()> {
        self.loading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reload(&self, turn: &MutexGuard<'_, ()>, only: Option<&str>) -> Result<Reloaded, String> {
        if let Err(error) = process::give_way() {
            tracing::debug!(%error, "a reload works as much as the workers do");
        }
        let start = clock::now();
        let outcome = self.load_in_turn(turn, only);
        match &outcome {
            Ok(reloaded) => tracing::info!(
                loaded = reloaded.loaded,
                unchanged = reloaded.unchanged,
                failed = reloaded.failed,
                gone = reloaded.gone,
                "zones reloaded in {} ms",
                millis(clock::now().since(start))
            ),
            Err(error) => tracing::error!("reload: {error}"),
        }
        outcome
    }

    fn load_in_turn(&self, _turn: &MutexGuard<'_, ()>, only: Option<&str>) -> Result<Reloaded, String> {
        let files = self.sources.find().map_err(|error| self.refuse(&error))?;
        let Some(wanted) = only else {
            return Ok(self.load_files(files, Extent::Changed));
        };
        let name = wanted
            .parse::<Name>()
            .map_err(|error| format!("'{wanted}' is no zone name: {error}"))?;
        let Some(file) = files.into_iter().find(|file| file.name == name) else {
            return Err(format!(
                "zone {name} is not configured: its file is neither in [zones] directory nor in a [[zone]]"
            ));
        };
        Ok(self.load_files(vec![file], Extent::Given))
    }

    /// Nothing can be loaded until this is mended: `status` says so.
    fn refuse(&self, error: &FindError) -> String {
        let mut summary = self.read().summary();
        summary.complaints.insert(0, format!("no zone can be loaded again: {error}"));
        *self.summary() = summary;
        error.to_string()
    }

    /// Reads those of the files, which are sorted by the zones' names, that are to be read, and publishes the zones.
    fn load_files(&self, files: Vec<ZoneFile>, extent: Extent) -> Reloaded {
        let books = self.read();
        let known: Vec<(&ZoneFile, Option<&Book>)> = match extent {
            Extent::Changed => files.iter().zip(books.find_all(&files)).collect(),
            Extent::Given => files.iter().map(|file| (file, None)).collect(),
        };
        let unchecked = Mutex::new(Vec::new());
        let outcomes = in_parallel(&known, |(file, book)| {
            if book.is_some_and(|book| book.is_of(&file.file)) {
                return Outcome::Unchanged;
            }
            match load::load(file) {
                Ok((version, pending)) => {
                    let mut unchecked = unchecked.lock().unwrap_or_else(PoisonError::into_inner);
                    unchecked.extend(pending);
                    Outcome::Loaded(version)
                }
                Err(error) => Outcome::Failed(error),
            }
        });
        drop(known);
        drop(books);
        let outcomes = outcomes.into_iter().zip(&files).map(|(outcome, file)| {
            outcome.unwrap_or_else(|_| Outcome::Failed(format!("{}: heraldns has panicked over this file: report it", file.file.display())))
        });
        let outcomes = outcomes.collect();
        let reloaded = self.publish(files, outcomes, extent);
        let unchecked = unchecked.into_inner().unwrap_or_else(PoisonError::into_inner);
        finish_beside(unchecked);
        reloaded
    }

    fn publish(&self, files: Vec<ZoneFile>, outcomes: Vec<Outcome>, extent: Extent) -> Reloaded {
        let mut books = self.books.write().unwrap_or_else(PoisonError::into_inner);
        let mut reloaded = Reloaded::default();
        if extent == Extent::Changed {
            reloaded.gone = books.keep_only(&files) as u64;
        }
        let (mut loaded, mut failed) = (Vec::new(), Vec::new());
        for (file, outcome) in files.into_iter().zip(outcomes) {
            let (count, shown) = match outcome {
                Outcome::Unchanged => (&mut reloaded.unchanged, None),
                Outcome::Loaded(_) => (&mut reloaded.loaded, Some(&mut loaded)),
                Outcome::Failed(_) => (&mut reloaded.failed, Some(&mut failed)),
            };
            *count += 1;
            if let Some(names) = shown.filter(|names| names.len() < MOST_SHOWN) {
                names.push(file.name.clone());
            }
            books.enter(file, outcome);
        }
        let shown = failed.iter().chain(&loaded).take(MOST_SHOWN);
        reloaded.zones = shown.filter_map(|name| books.show(name)).collect();
        *self.summary() = books.summary();
        if reloaded.loaded + reloaded.gone > 0 || !books.unloaded().eq(self.shared.zones.load().unloaded()) {
            let before = self.shared.zones.swap(Arc::new(books.zone_set()));
            drop(books);
            let_go(before);
        }
        reloaded
    }

    fn read(&self) -> RwLockReadGuard<'_, Books> {
        self.books.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn summary(&self) -> MutexGuard<'_, Summary> {
        self.summary.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is left to be done when the zones are served, and keeps nobody waiting: large zones are checked for oddities, and
/// memory goes back to the system.
fn finish_beside(unchecked: Vec<Pending>) {
    if unchecked.is_empty() {
        return give_back_unused();
    }
    spawn(move || {
        // As in a reload: those who answer go first.
        let _ = process::give_way();
        unchecked.into_iter().for_each(Pending::check);
        give_back_unused();
    });
}

/// Frees the zones that are not served any more, when no worker reads them: it would have to do it, before its next query.
fn let_go(before: Arc<ZoneSet>) {
    for _ in 0..MOST_PAUSES {
        if Arc::strong_count(&before) == 1 {
            return;
        }
        thread::sleep(PAUSE);
    }
}

/// True if the system has a thread for this.
fn spawn(load: impl FnOnce() + Send + 'static) -> bool {
    let spawned = thread::Builder::new().name("reload".to_owned()).spawn(load);
    if let Err(error) = &spawned {
        tracing::error!(%error, "no thread for the reload");
    }
    spawned.is_ok()
}

struct Listing<'k>(RwLockReadGuard<'k, Books>);

impl Serialize for Listing<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.show_all())
    }
}
