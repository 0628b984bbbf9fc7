//! Where a value of the configuration was written: `file:line:column`, or the variable that set it.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml_edit::{Document, Item, Key, TableLike, Value};

use super::layers::variable_of;

/// Where a value was written. Sorts as the file does, the environment behind it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In the file.
    File {
        /// The file.
        file: PathBuf,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
    },
    /// In a variable of the environment.
    Environment(String),
    /// In neither: the key is missing from a configuration without a file.
    BuiltIn,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, line, column } => write!(formatter, "{}:{line}:{column}", file.display()),
            Self::Environment(variable) => write!(formatter, "{variable} (environment)"),
            Self::BuiltIn => formatter.write_str("built-in configuration"),
        }
    }
}

/// Finds the places of keys.
pub(super) struct Places<'a> {
    file: Option<(&'a Path, &'a Document<String>)>,
    from_environment: Vec<String>,
}

impl<'a> Places<'a> {
    /// For a file's document, if there is one, and the paths of the values that the environment gave.
    pub(super) fn new(file: Option<(&'a Path, &'a Document<String>)>, from_environment: Vec<String>) -> Self {
        Self { file, from_environment }
    }

    /// The place of the value at `path`, or of the nearest thing around it.
    pub(super) fn of_value(&self, path: &str) -> Place {
        self.of(path, |located| located.value)
    }

    /// The place of the key at `path`.
    pub(super) fn of_key(&self, path: &str) -> Place {
        self.of(path, |located| located.key.or(located.value))
    }

    /// False if the file has nothing of `path`: its place is then the file's start, which does not say what is meant.
    pub(super) fn is_written(&self, path: &str) -> bool {
        match (self.of_value(path), self.file) {
            (Place::File { .. }, Some((_, document))) => locate(document, path).value.is_some(),
            (Place::File { .. } | Place::Environment(_) | Place::BuiltIn, _) => true,
        }
    }

    fn of(&self, path: &str, part: impl Fn(Located) -> Option<Range<usize>>) -> Place {
        let covers = |given: &&String| {
            path.strip_prefix(given.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        if let Some(given) = self.from_environment.iter().find(covers) {
            return Place::Environment(variable_of(given));
        }
        let Some((file, document)) = self.file else {
            return Place::BuiltIn;
        };
        let offset = part(locate(document, path)).map_or(0, |span| span.start);
        let (line, column) = line_and_column(document.raw(), offset);
        let file = file.to_owned();
        Place::File { file, line, column }
    }
}

/// Line and column, both from 1, of a byte of the text.
pub(super) fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    (line, column)
}

/// Spans of a key and its value.
#[derive(Clone, Default)]
struct Located {
    key: Option<Range<usize>>,
    value: Option<Range<usize>>,
}

enum Node<'a> {
    Item(&'a Item),
    Table(&'a dyn TableLike, Option<Range<usize>>),
    Value(&'a Value),
}

impl<'a> Node<'a> {
    fn span(&self) -> Option<Range<usize>> {
        match self {
            Self::Item(item) => item.span(),
            Self::Table(_, span) => span.clone(),
            Self::Value(value) => value.span(),
        }
    }

    fn member(&self, name: &str) -> Option<(&'a Key, Node<'a>)> {
        let table: &'a dyn TableLike = match self {
            Self::Item(item) => item.as_table_like()?,
            Self::Table(table, _) => *table,
            Self::Value(value) => value.as_inline_table()?,
        };
        table.get_key_value(name).map(|(key, item)| (key, Node::Item(item)))
    }

    fn element(&self, index: usize) -> Option<Node<'a>> {
        let array = match self {
            Self::Item(Item::ArrayOfTables(tables)) => return tables.get(index).map(|table| Node::Table(table, table.span())),
            Self::Item(item) => item.as_array()?,
            Self::Value(value) => value.as_array()?,
            Self::Table(..) => return None,
        };
        array.get(index).map(Node::Value)
    }
}

/// Follows `path` as far as the document goes.
fn locate(document: &Document<String>, path: &str) -> Located {
    let mut node = Node::Item(document.as_item());
    let mut located = Located::default();
    for step in path.split(['.', '[']) {
        let next = match step.strip_suffix(']') {
            Some(index) => index.parse().ok().and_then(|index| node.element(index)).map(|node| (None, node)),
            None => node.member(step).map(|(key, node)| (key.span(), node)),
        };
        let Some((key, next)) = next else { break };
        node = next;
        let value = node.span().or(key.clone()).or(located.value);
        located = Located { key, value };
    }
    located
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "identity = \"ä\"\n[dns]\n  udp-payload = 7\nlisten = [\n  \"a\",\n  \"b\",\n]\n[[advertiser]]\nprotocol = \"nd\"\n[[advertiser]]\ninterval = { a = 1 }\n";

    fn at(path: &str) -> (String, String) {
        let document = Document::parse(TEXT.to_owned()).unwrap();
        let places = Places::new(Some((Path::new("f"), &document)), vec!["dns.workers".to_owned()]);
        (places.of_key(path).to_string(), places.of_value(path).to_string())
    }

    #[test]
    fn keys_and_values_are_found_where_they_stand() {
        let both = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(at("identity"), both("f:1:1", "f:1:12"));
        assert_eq!(at("dns.udp-payload"), both("f:3:3", "f:3:17"));
        assert_eq!(at("dns.listen[1]").1, "f:6:3");
        assert_eq!(at("advertiser[1].interval"), both("f:11:1", "f:11:12"));
        assert_eq!(at("advertiser[1].interval.a"), both("f:11:14", "f:11:18"));
    }

    #[test]
    fn a_missing_key_is_placed_at_its_table() {
        assert_eq!(at("dns.nothing").1, "f:2:1");
        assert_eq!(at("advertiser[0].turn").1, "f:8:1");
        assert_eq!(at("service.interface").1, "f:1:1");
    }

    #[test]
    fn a_value_of_the_environment_is_named_by_its_variable() {
        assert_eq!(at("dns.workers").1, "HERALDNS_DNS__WORKERS (environment)");
    }

    #[test]
    fn columns_count_characters() {
        assert_eq!(line_and_column("aä\nöb", 6), (2, 2));
        assert_eq!(line_and_column("", 0), (1, 1));
    }
}
