//! What is wrong with a zone file, where, and what to write instead; and the list in which a load collects it.

use std::fmt;
use std::sync::Arc;

/// So many errors, and so many warnings, of one load are told in full; the others are only counted.
const MOST_TOLD: usize = 100;

/// Whether the zone can be served in spite of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The zone can be served, though probably not as meant.
    Warning,
    /// The zone is not served.
    Error,
}

/// One mistake in a zone file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneError {
    /// The file, as the caller or `$INCLUDE` names it.
    pub file: Arc<str>,
    /// Line, from 1; 0 when the mistake is that of the whole zone.
    pub line: u32,
    /// Column in octets, from 1; 0 when it is that of the whole line.
    pub column: u32,
    /// Error or warning.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// What was expected, or what to do about it; may be empty.
    pub cure: String,
}

impl fmt::Display for Severity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

impl fmt::Display for ZoneError {
    /// `file:line:column: error: message; cure`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:", self.file)?;
        if self.line > 0 {
            write!(formatter, "{}:", self.line)?;
        }
        if self.column > 0 {
            write!(formatter, "{}:", self.column)?;
        }
        write!(formatter, " {}: {}", self.severity, self.message)?;
        if self.cure.is_empty() {
            return Ok(());
        }
        write!(formatter, "; {}", self.cure)
    }
}

impl std::error::Error for ZoneError {}

/// A file of this load: an index into the list that [`Problems`] keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileId(pub(super) u16);

/// A place in one of the files; line and column as in [`ZoneError`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) file: FileId,
    pub(super) line: u32,
    pub(super) column: u32,
}

/// What a load has found wrong so far.
#[derive(Debug, Default)]
pub(super) struct Problems {
    files: Vec<Arc<str>>,
    told: Vec<(Place, Severity, String, String)>,
    doubts: Vec<(Place, String, String)>,
    more_doubts: usize,
    errors: usize,
    warnings: usize,
}

impl Problems {
    /// Adds a file by its name; none when there are more than can be numbered.
    pub(super) fn add_file(&mut self, name: &str) -> Option<FileId> {
        let id = u16::try_from(self.files.len()).ok()?;
        self.files.push(name.into());
        Some(FileId(id))
    }

    /// Takes down an error.
    pub(super) fn error(&mut self, place: Place, message: impl Into<String>, cure: impl Into<String>) {
        self.errors += 1;
        if self.errors <= MOST_TOLD {
            self.told.push((place, Severity::Error, message.into(), cure.into()));
        }
    }

    /// Takes down a warning.
    pub(super) fn warning(&mut self, place: Place, message: impl Into<String>, cure: impl Into<String>) {
        self.warnings += 1;
        if self.warnings <= MOST_TOLD {
            self.told.push((place, Severity::Warning, message.into(), cure.into()));
        }
    }

    /// Takes down what is a warning if all lines could be read: a missing one may explain it.
    pub(super) fn doubt(&mut self, place: Place, message: impl Into<String>, cure: impl Into<String>) {
        if self.doubts.len() < MOST_TOLD {
            self.doubts.push((place, message.into(), cure.into()));
        } else {
            self.more_doubts += 1;
        }
    }

    /// Makes warnings of all doubts, or forgets them: whether all lines could be read is known now.
    pub(super) fn settle_doubts(&mut self, complete: bool) {
        for (place, message, cure) in std::mem::take(&mut self.doubts) {
            if complete {
                self.warning(place, message, cure);
            }
        }
        let more = std::mem::take(&mut self.more_doubts);
        self.warnings += if complete { more } else { 0 };
    }

    /// How many errors there are so far.
    pub(super) fn error_count(&self) -> usize {
        self.errors
    }

    /// True when the zone cannot be served.
    pub(super) fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// Everything in the order of the files, and a last entry for what was only counted.
    pub(super) fn into_list(mut self) -> Vec<ZoneError> {
        self.told.sort_by_key(|(place, ..)| *place);
        for (count, severity, what) in [
            (self.errors, Severity::Error, "errors"),
            (self.warnings, Severity::Warning, "warnings"),
        ] {
            if let Some(more) = count.checked_sub(MOST_TOLD).filter(|more| *more > 0) {
                self.told.push((
                    Place::default(),
                    severity,
                    format!("{more} more {what} are not shown"),
                    String::new(),
                ));
            }
        }
        let files = self.files;
        let name = |place: Place| files.get(usize::from(place.file.0)).cloned().unwrap_or_default();
        let into_error = |(place, severity, message, cure): (Place, Severity, String, String)| ZoneError {
            file: name(place),
            line: place.line,
            column: place.column,
            severity,
            message,
            cure,
        };
        self.told.into_iter().map(into_error).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_come_in_the_order_of_the_file_and_are_capped() {
        let mut problems = Problems::default();
        let file = problems.add_file("a.zone").unwrap();
        for line in (1..=103).rev() {
            problems.error(Place { file, line, column: 7 }, "bad", "mend it");
        }
        problems.warning(Place { file, line: 50, column: 0 }, "odd", "");
        assert!(problems.has_errors());
        let list: Vec<String> = problems.into_list().iter().map(ToString::to_string).collect();
        assert_eq!(list.len(), MOST_TOLD + 2);
        assert_eq!(list[0], "a.zone:4:7: error: bad; mend it");
        assert_eq!(list[46], "a.zone:50: warning: odd");
        assert_eq!(list[101], "a.zone: error: 3 more errors are not shown");
    }
}
