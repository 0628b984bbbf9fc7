//! What is wrong with a zone file, where, and what to write instead.

use std::fmt;
use std::sync::Arc;

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
