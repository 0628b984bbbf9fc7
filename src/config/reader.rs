//! Turns merged values into the parts' structs, and reports everything that does not fit instead of the first thing.
//!
//! Each key of a table is first tried alone, over the part's defaults: serde's own messages, one for each key.

use std::fmt::Write as _;

use figment::error::{Actual, Kind};
use figment::value::{Dict, Value};
use serde::de::DeserializeOwned;

use crate::base::problem::Problem;

/// A problem found while reading, and which part of its key is wrong.
pub(super) struct Misfit {
    pub(super) problem: Problem,
    /// True if the key itself is wrong, not its value.
    pub(super) in_key: bool,
}

/// Collects what does not fit.
#[derive(Default)]
pub(super) struct Reader {
    pub(super) misfits: Vec<Misfit>,
}

impl Reader {
    /// Reads the table at `path`; keys that do not fit keep their defaults.
    pub(super) fn table<T: Default + DeserializeOwned>(&mut self, path: &str, value: Value) -> T {
        let Some(entries) = self.entries(path, value) else {
            return T::default();
        };
        let mut fitting = Dict::new();
        for (key, value) in entries {
            let alone = Value::from(Dict::from([(key.clone(), value.clone())]));
            match alone.deserialize::<T>() {
                Ok(_) => {
                    fitting.insert(key, value);
                }
                Err(error) => self.refuse(path, &key, &value, &error),
            }
        }
        Value::from(fitting).deserialize().unwrap_or_else(|error| {
            let cure = "write one of the two";
            self.misfit(path, describe(&error.kind, None), cure);
            T::default()
        })
    }

    /// The tables of a list of tables with their paths: `advertiser[0]`, ...
    pub(super) fn tables(&mut self, path: &str, value: Value) -> Vec<(String, Value)> {
        let Value::Array(_, tables) = value else {
            let what = format!("{} found, a list of tables expected", found(&value.to_actual()));
            self.misfit(path, what, format!("write [[{path}]] in the file, once for each {path}"));
            return Vec::new();
        };
        let numbered = |(index, table)| (format!("{path}[{index}]"), table);
        tables.into_iter().enumerate().map(numbered).collect()
    }

    /// The keys of a table, or a problem.
    pub(super) fn entries(&mut self, path: &str, value: Value) -> Option<Dict> {
        match value {
            Value::Dict(_, entries) => Some(entries),
            other => {
                let what = format!("{} found, a table expected", found(&other.to_actual()));
                self.misfit(path, what, format!("write [{path}] on a line of its own, and its keys below"));
                None
            }
        }
    }

    /// Reads a text at `path`.
    pub(super) fn text(&mut self, path: &str, value: &Value) -> String {
        value.deserialize().unwrap_or_else(|error| {
            self.misfit(path, describe(&error.kind, Some(value)), cure_for(&error.kind));
            String::new()
        })
    }

    /// Reports a key that does not exist in `table` (empty: the top of the file).
    pub(super) fn unknown_key(&mut self, table: &str, key: &str, known: &[&str]) {
        let what = match table {
            "" => format!("unknown key '{key}'"),
            table => format!("unknown key '{key}' in [{}]", bare(table)),
        };
        let problem = Problem::new(join(table, key), what, suggest(key, known));
        self.misfits.push(Misfit { problem, in_key: true });
    }

    /// Reports a value that does not fit.
    pub(super) fn misfit(&mut self, path: &str, what: impl Into<String>, cure: impl Into<String>) {
        let problem = Problem::new(path, what, cure);
        self.misfits.push(Misfit { problem, in_key: false });
    }

    fn refuse(&mut self, table: &str, key: &str, value: &Value, error: &figment::Error) {
        let mut path = table.to_owned();
        let mut culprit = Some(value);
        for step in &error.path {
            match step.parse::<usize>() {
                Ok(index) => {
                    let _ = write!(path, "[{index}]");
                }
                Err(_) => path = join(&path, step),
            }
            if step != key {
                culprit = culprit.and_then(|value| value.find_ref(step));
            }
        }
        match &error.kind {
            Kind::UnknownField(field, known) if error.path.is_empty() => self.unknown_key(table, field, known),
            Kind::UnknownField(field, known) => self.unknown_key(&path, field, known),
            kind => {
                let path = if error.path.is_empty() { join(table, key) } else { path };
                self.misfit(&path, describe(kind, culprit), cure_for(kind));
            }
        }
    }
}

fn join(table: &str, key: &str) -> String {
    if table.is_empty() {
        key.to_owned()
    } else {
        format!("{table}.{key}")
    }
}

/// The table's name without the number: `advertiser` for `advertiser[0]`.
fn bare(table: &str) -> &str {
    table.split_once('[').map_or(table, |(name, _)| name)
}

/// The nearest known key, or all of them.
pub(super) fn suggest(key: &str, known: &[&str]) -> String {
    let distance = |known: &&&str| strsim::damerau_levenshtein(&key.to_ascii_lowercase().replace('_', "-"), known);
    match known
        .iter()
        .min_by_key(distance)
        .filter(|nearest| distance(nearest) <= 1 + nearest.len() / 3)
    {
        Some(nearest) => format!("did you mean '{nearest}'?"),
        None => format!("known here: {}", known.join(", ")),
    }
}

fn describe(kind: &Kind, value: Option<&Value>) -> String {
    match kind {
        Kind::Message(message) => match value.and_then(Value::as_str).filter(|text| !message.contains(*text)) {
            Some(text) => format!("'{text}': {message}"),
            None => message.clone(),
        },
        Kind::InvalidType(actual, expected) => format!("{} found, {expected} expected", found(actual)),
        Kind::InvalidValue(actual, expected) => format!("{} cannot be used: {expected} expected", found(actual)),
        Kind::InvalidLength(length, expected) => format!("{length} values found, {expected} expected"),
        Kind::UnknownVariant(variant, _) => format!("unknown value '{variant}'"),
        kind => kind.to_string(),
    }
}

fn found(actual: &Actual) -> String {
    match actual {
        Actual::Bool(value) => format!("{value}"),
        Actual::Unsigned(value) => format!("number {value}"),
        Actual::Signed(value) => format!("number {value}"),
        Actual::Float(value) => format!("number {value}"),
        Actual::Str(value) => format!("text \"{value}\""),
        Actual::Seq => "a list".to_owned(),
        Actual::Map => "a table".to_owned(),
        other => other.to_string(),
    }
}

fn cure_for(kind: &Kind) -> String {
    match kind {
        Kind::Message(message) if message.contains("socket address") => {
            "write address and port, as in \"192.0.2.1:53\" or \"[2001:db8::1]:53\"".to_owned()
        }
        Kind::Message(message) if message.contains("IPv6 address") => "write an IPv6 address, as in \"2001:db8:5::53\"".to_owned(),
        Kind::Message(message) if message.contains("IP address") => "write an address, as in \"2001:db8:5::53\"".to_owned(),
        Kind::Message(message) if message.contains("duration") => "write it as in \"300ms\" or \"30s\"".to_owned(),
        Kind::InvalidType(Actual::Bool(_) | Actual::Signed(_) | Actual::Unsigned(_) | Actual::Float(_), expected)
            if expected.contains("string") =>
        {
            "put it between quotes".to_owned()
        }
        Kind::InvalidType(Actual::Str(_), expected) if expected.contains("sequence") => {
            "put it between brackets, as in [\"...\"]".to_owned()
        }
        Kind::InvalidType(Actual::Str(_), _) => "write it without quotes".to_owned(),
        Kind::UnknownVariant(variant, known) => suggest(variant, known),
        _ => "see the manual for what this key takes".to_owned(),
    }
}
