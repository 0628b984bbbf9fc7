//! Turns merged values into the parts' structs, and reports everything that does not fit instead of the first thing.
//!
//! Each key of a table is first tried alone, over the part's defaults: serde's own messages, one for each key.

use figment::error::{Actual, Kind};
use figment::value::{Dict, Tag, Value};
use serde::de::DeserializeOwned;

use crate::base::problem::Problem;

/// A problem found while reading, and which part of its key is wrong.
pub(super) struct Misfit {
    pub(super) problem: Problem,
    /// True if the key itself is wrong, not its value.
    pub(super) in_key: bool,
    /// The key that now has its default instead.
    pub(super) instead: String,
}

/// Collects what does not fit.
#[derive(Default)]
pub(super) struct Reader {
    pub(super) misfits: Vec<Misfit>,
    /// Elements that were left out of their lists: the list's path, and the index in the file.
    left_out: Vec<(String, usize)>,
}

impl Reader {
    /// Reads the table at `path`; keys that do not fit keep their defaults.
    pub(super) fn table<T: Default + DeserializeOwned>(&mut self, path: &str, value: Value) -> T {
        let Some(entries) = self.entries(path, value) else {
            return T::default();
        };
        let mut fitting = Dict::new();
        for (key, value) in entries {
            if let Some(value) = self.fit::<T>(path, &key, value) {
                fitting.insert(key, value);
            }
        }
        Value::from(fitting).deserialize().unwrap_or_else(|error| {
            let cure = "write one of the two";
            self.misfit(path, describe(&error.kind, None), cure);
            T::default()
        })
    }

    /// What fits of a value: of a list, the elements that do.
    fn fit<T: DeserializeOwned>(&mut self, table: &str, key: &str, value: Value) -> Option<Value> {
        let Some(kind) = try_alone::<T>(key, &value) else {
            return Some(value);
        };
        let path = join(table, key);
        match (value, kind) {
            (_, Kind::UnknownField(field, known)) if field == key => self.unknown_key(table, key, known),
            (Value::Array(tag, elements), _) if try_alone::<T>(key, &Value::Array(tag, Vec::new())).is_none() => {
                return Some(Value::Array(tag, self.fit_elements::<T>(&path, key, tag, elements)));
            }
            (value, kind) => self.misfit(&path, describe(&kind, Some(&value)), cure_for(&kind)),
        }
        None
    }

    fn fit_elements<T: DeserializeOwned>(&mut self, list: &str, key: &str, tag: Tag, elements: Vec<Value>) -> Vec<Value> {
        let mut fitting = Vec::new();
        for (index, element) in elements.into_iter().enumerate() {
            match try_alone::<T>(key, &Value::Array(tag, vec![element.clone()])) {
                None => fitting.push(element),
                Some(kind) => {
                    self.misfit(&format!("{list}[{index}]"), describe(&kind, Some(&element)), cure_for(&kind));
                    self.left_out.push((list.to_owned(), index));
                }
            }
        }
        fitting
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
        let path = join(table, key);
        self.misfits.push(Misfit {
            instead: nearest(key, known).map_or(path.clone(), |meant| join(table, meant)),
            problem: Problem::new(path, what, suggest(key, known)),
            in_key: true,
        });
    }

    /// Reports a value that does not fit.
    pub(super) fn misfit(&mut self, path: &str, what: impl Into<String>, cure: impl Into<String>) {
        self.misfits.push(Misfit {
            problem: Problem::new(path, what, cure),
            in_key: false,
            instead: path.to_owned(),
        });
    }

    /// The path in the file of a key as the checks saw it, with the elements that were left out counted again.
    pub(super) fn path_in_file(&self, key: &str) -> String {
        for (list, _) in &self.left_out {
            let Some(rest) = key.strip_prefix(list.as_str()).and_then(|rest| rest.strip_prefix('[')) else {
                continue;
            };
            let Some((index, rest)) = rest.split_once(']') else { continue };
            let Ok(mut index) = index.parse::<usize>() else { continue };
            for (_, left_out) in self.left_out.iter().filter(|(other, _)| other == list) {
                index += usize::from(*left_out <= index);
            }
            return format!("{list}[{index}]{rest}");
        }
        key.to_owned()
    }
}

/// Why a part does not take this value at this key, all other keys left out.
fn try_alone<T: DeserializeOwned>(key: &str, value: &Value) -> Option<Kind> {
    let alone = Value::from(Dict::from([(key.to_owned(), value.clone())]));
    alone.deserialize::<T>().err().map(|error| error.kind)
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

/// The nearest known word, or all of them.
pub(super) fn suggest(word: &str, known: &[&str]) -> String {
    match nearest(word, known) {
        Some(nearest) => format!("did you mean '{nearest}'?"),
        None => format!("known here: {}", known.join(", ")),
    }
}

fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let word = word.to_ascii_lowercase().replace('_', "-");
    let distance = |known: &str| strsim::damerau_levenshtein(&word, known);
    let nearest = known.iter().copied().min_by_key(|known| distance(known))?;
    (distance(nearest) <= 1 + nearest.len() / 3).then_some(nearest)
}

fn describe(kind: &Kind, value: Option<&Value>) -> String {
    match kind {
        Kind::Message(message) => match value.and_then(Value::as_str).filter(|text| !message.contains(*text)) {
            Some(text) => format!("'{text}': {message}"),
            None => message.clone(),
        },
        Kind::InvalidType(actual, expected) => format!("{} found, {} expected", found(actual), plain(expected)),
        Kind::InvalidValue(actual, expected) => format!("{} cannot be used: {} expected", found(actual), plain(expected)),
        Kind::InvalidLength(length, expected) => format!("{length} values found, {expected} expected"),
        Kind::UnknownVariant(variant, _) => format!("unknown value '{variant}'"),
        kind => kind.to_string(),
    }
}

/// Rust's names of types in the operator's words.
fn plain(expected: &str) -> &str {
    match expected {
        "a string" => "text",
        "a boolean" | "bool" => "true or false",
        "a sequence" => "a list",
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number from 0 on",
        other => other,
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
        Kind::Message(message) if message.contains("is no prefix") => {
            "write a prefix, as in \"192.0.2.0/24\" or \"2001:db8::/32\", or an address".to_owned()
        }
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
        Kind::InvalidValue(Actual::Signed(_) | Actual::Unsigned(_), _) => "write a number in this range".to_owned(),
        _ => "see the manual for what this key takes".to_owned(),
    }
}
