//! One thing that is wrong with a configuration, as the part it belongs to found it.

/// A wrong value: which key, what is wrong, and how to mend it. `config` adds file, line and column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key's path: `advertiser[0].interval`.
    pub key: String,
    /// What is wrong with it.
    pub what: String,
    /// What to write instead.
    pub cure: String,
}

impl Problem {
    /// A problem with `key`.
    pub fn new(key: impl Into<String>, what: impl Into<String>, cure: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            what: what.into(),
            cure: cure.into(),
        }
    }
}
