//! How values of general types are read: truth values, lists, labels, column types; and the two kinds of types that
//! policies have many of: texts to choose from ([`choice`]) and texts in a form of their own ([`as_text`]).

use std::collections::BTreeMap;

use super::decode::{BadText, Decode, Decoder};
use super::error::{PolicyCode, Step};
use super::names;
use super::scalar::Meaning;
use super::tree::{Node, Value};
use crate::types::DataType;

impl Decode for bool {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Self {
        match decoder.scalar(node, "true or false").map(|scalar| (scalar.meaning(), scalar.text())) {
            Some((Meaning::Boolean(value), _)) => value,
            Some((_, text)) => {
                let hint = match text.to_lowercase().as_str() {
                    "yes" | "on" => Some("write true".to_owned()),
                    "no" | "off" => Some("write false".to_owned()),
                    _ => None,
                };
                decoder.report(node.at, PolicyCode::PolicyWrongType, "true or false is expected", hint);
                false
            }
            None => false,
        }
    }

    fn blank() -> Self {
        false
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Self {
        match &node.value {
            Value::List(items) => items
                .iter()
                .enumerate()
                .map(|(index, item)| decoder.within(Step::Index(index), |decoder| T::decode(item, decoder)))
                .collect(),
            _ => {
                decoder.wrong_type(node, "a list");
                Vec::new()
            }
        }
    }

    fn blank() -> Self {
        Vec::new()
    }
}

/// Labels: any text under keys that the caller checks.
impl Decode for BTreeMap<String, String> {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Self {
        texts_by_name(node, decoder, names::label_key, (PolicyCode::PolicyBadName, names::label_value))
    }

    fn blank() -> Self {
        Self::new()
    }
}

/// What is checked of a text, and what it becomes.
type CheckText = fn(&str) -> Result<String, BadText>;

/// A mapping of names to texts, with what is checked of both; `value.0` is the code of a wrong text.
pub(super) fn texts_by_name(
    node: &Node,
    decoder: &mut Decoder<'_>,
    name: fn(&str) -> Result<(), BadText>,
    value: (PolicyCode, CheckText),
) -> BTreeMap<String, String> {
    let Value::Map(entries) = &node.value else {
        decoder.wrong_type(node, "a mapping of names to texts");
        return BTreeMap::new();
    };
    let mut texts = BTreeMap::new();
    for entry in entries {
        decoder.within(Step::Key(entry.key.clone()), |decoder| {
            if let Err(bad) = name(&entry.key) {
                decoder.report(entry.key_at, PolicyCode::PolicyBadName, bad.message, bad.hint);
            }
            let text = decoder.parse(&entry.value, value.0, value.1);
            texts.insert(entry.key.clone(), text.unwrap_or_default());
        });
    }
    texts
}

impl Decode for DataType {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Self {
        let parse = |text: &str| {
            text.parse::<Self>().map_err(|not| {
                let open = |c| text.matches(c).count();
                let cut = open('(') > open(')') || open('<') > open('>');
                let bad = BadText::new(not.to_string());
                if cut { bad.hint("within { } a type with a comma needs quotes: \"decimal(18,4)\"") } else { bad }
            })
        };
        decoder.parse(node, PolicyCode::PolicyBadType, parse).unwrap_or_else(Self::blank)
    }

    fn blank() -> Self {
        Self::String
    }
}

/// Makes an enum of texts to choose from.
macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$about:meta])* $variant:ident = $text:literal,)+ } default $default:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum $name {
            $($(#[$about])* #[serde(rename = $text)] $variant,)+
        }

        impl $name {
            /// As the document has it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::$default
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl $crate::policy::decode::Decode for $name {
            fn decode(node: &$crate::policy::tree::Node, decoder: &mut $crate::policy::decode::Decoder<'_>) -> Self {
                decoder.choice(node, &[$(($text, Self::$variant)),+]).unwrap_or_default()
            }

            fn blank() -> Self {
                Self::default()
            }
        }
    };
}

pub(super) use choice;

/// Gives a type with a text form (`FromStr`, `Display`) its JSON form and its schema.
macro_rules! as_text {
    ($name:ident, $schema:tt) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <String as serde::Deserialize>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!($schema)
            }
        }
    };
}

pub(super) use as_text;
