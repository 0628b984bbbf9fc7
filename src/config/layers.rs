//! The layers of the configuration: the file's values, then the environment's over them, merged by figment.
//!
//! Values keep the layer they came from, so that an error can name it. Defaults are the parts' own.

use figment::value::{Dict, Map, Value};
use figment::{Error, Figment, Metadata, Profile, Provider};
use toml_edit::{Item, TableLike, Value as TomlValue};

const PREFIX: &str = "HERALDNS_";

/// Variables with the prefix that are no configuration: the log filter, and the tests' switch.
const NOT_CONFIG: [&str; 2] = ["LOG", "LAB"];

/// One layer: where its values came from, and the values.
struct Layer {
    source: &'static str,
    values: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.source)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}

/// The file's values with the environment's over them.
pub(super) struct Layers {
    figment: Figment,
}

const ENVIRONMENT: &str = "environment";

impl Layers {
    pub(super) fn new(file: Dict, environment: impl IntoIterator<Item = (String, String)>) -> Self {
        let file = Layer {
            source: "file",
            values: file,
        };
        let environment = Layer {
            source: ENVIRONMENT,
            values: environment_values(environment),
        };
        Self {
            figment: Figment::from(file).merge(environment),
        }
    }

    /// The merged values.
    pub(super) fn values(&self) -> Dict {
        let merged = self.figment.data().unwrap_or_default();
        merged
            .into_iter()
            .find(|(profile, _)| *profile == Profile::Default)
            .unwrap_or_default()
            .1
    }

    /// True for values that the environment gave.
    pub(super) fn is_from_environment(&self, value: &Value) -> bool {
        self.figment
            .get_metadata(value.tag())
            .is_some_and(|metadata| metadata.name == ENVIRONMENT)
    }
}

/// The variable that sets the value at `path`.
pub(super) fn variable_of(path: &str) -> String {
    let name = path.replace('.', "__").replace('-', "_").to_ascii_uppercase();
    format!("{PREFIX}{name}")
}

fn environment_values(variables: impl IntoIterator<Item = (String, String)>) -> Dict {
    let mut values = Dict::new();
    for (variable, text) in variables {
        let Some(name) = variable.strip_prefix(PREFIX).filter(|name| !NOT_CONFIG.contains(name)) else {
            continue;
        };
        let name = name.to_ascii_lowercase().replace("__", ".").replace('_', "-");
        insert(&mut values, &name, value_of(&text));
    }
    values
}

/// Numbers, truth values and lists in brackets are read as TOML reads them; everything else is text.
fn value_of(text: &str) -> Value {
    match text.parse::<TomlValue>() {
        Ok(value) if !value.is_datetime() => convert_value(&value),
        _ => Value::from(text),
    }
}

fn insert(values: &mut Dict, path: &str, value: Value) {
    let Some((first, rest)) = path.split_once('.') else {
        values.insert(path.to_owned(), value);
        return;
    };
    let inner = values.entry(first.to_owned()).or_insert_with(|| Value::from(Dict::new()));
    if let Value::Dict(_, inner) = inner {
        insert(inner, rest, value);
    }
}

/// The document's values.
pub(super) fn file_values(table: &dyn TableLike) -> Dict {
    let convert = |(key, item): (&str, &Item)| Some((key.to_owned(), convert_item(item)?));
    table.iter().filter_map(convert).collect()
}

fn convert_item(item: &Item) -> Option<Value> {
    match item {
        Item::None => None,
        Item::Value(value) => Some(convert_value(value)),
        Item::Table(table) => Some(Value::from(file_values(table))),
        Item::ArrayOfTables(tables) => {
            let tables: Vec<Value> = tables.iter().map(|table| Value::from(file_values(table))).collect();
            Some(Value::from(tables))
        }
    }
}

fn convert_value(value: &TomlValue) -> Value {
    match value {
        TomlValue::String(text) => Value::from(text.value().as_str()),
        TomlValue::Integer(number) => Value::from(*number.value()),
        TomlValue::Float(number) => Value::from(*number.value()),
        TomlValue::Boolean(truth) => Value::from(*truth.value()),
        TomlValue::Datetime(datetime) => Value::from(datetime.value().to_string()),
        TomlValue::Array(values) => Value::from(values.iter().map(convert_value).collect::<Vec<_>>()),
        TomlValue::InlineTable(table) => Value::from(file_values(table)),
    }
}
