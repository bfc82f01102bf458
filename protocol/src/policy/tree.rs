//! The YAML tree of a document, each value with its place.
//!
//! In: text. Out: [`Node`], or what prevents one. Bounded in bytes, depth and number of values, aliases expanded and
//! counted, so that no document takes more than its share. Not here: what the keys mean (`decode`).

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScanError, Span, Tag};

use super::error::{Path, PolicyCode, PolicyError, Step};
use super::scalar::{Scalar, Style};

/// Largest document, bytes. A policy with a thousand column rules has about a tenth of it.
pub const MAX_DOCUMENT_BYTES: usize = 256 * 1024;
/// Deepest nesting of lists and mappings. The deepest place of a policy is 7.
pub const MAX_DOCUMENT_DEPTH: usize = 16;
/// Most keys and values of a document, counted after aliases are replaced by what they stand for.
pub const MAX_DOCUMENT_VALUES: usize = 20_000;

/// A place in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    /// From 1.
    pub(super) line: u32,
    /// In characters, from 1.
    pub(super) column: u32,
}

impl Position {
    pub(super) const START: Self = Self { line: 1, column: 1 };

    fn of(marker: &Marker) -> Self {
        // A document of bounded size has fewer lines and columns than u32 can count.
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self { line: number(marker.line()).max(1), column: number(marker.col()).saturating_add(1) }
    }
}

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) at: Position,
    pub(super) value: Value,
}

/// The kinds of values.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_at: Position,
    pub(super) value: Node,
}

impl Node {
    /// The value that `path` leads to, or the last one on the way that exists.
    pub(super) fn locate(&self, path: &Path) -> &Self {
        let mut node = self;
        for step in path.steps() {
            let next = match (step, &node.value) {
                (Step::Key(key), Value::Map(entries)) => {
                    entries.iter().find(|entry| entry.key == *key).map(|entry| &entry.value)
                }
                (Step::Index(index), Value::List(items)) => items.get(*index),
                _ => None,
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node
    }

    fn count(&self) -> usize {
        match &self.value {
            Value::Scalar(_) => 1,
            Value::List(items) => 1 + items.iter().map(Self::count).sum::<usize>(),
            Value::Map(entries) => 1 + entries.iter().map(|entry| 1 + entry.value.count()).sum::<usize>(),
        }
    }

    fn depth(&self) -> usize {
        match &self.value {
            Value::Scalar(_) => 0,
            Value::List(items) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            Value::Map(entries) => 1 + entries.iter().map(|entry| entry.value.depth()).max().unwrap_or(0),
        }
    }
}

/// Reads `text` into a tree. Duplicate keys go to `errors` (the first one counts); whatever else is wrong ends the reading.
pub(super) fn read(text: &str, errors: &mut Vec<PolicyError>) -> Result<Node, PolicyError> {
    if text.len() > MAX_DOCUMENT_BYTES {
        let message = format!("the document has {} bytes; {MAX_DOCUMENT_BYTES} are allowed", text.len());
        return Err(fault(PolicyCode::PolicyTooLarge, Position::START, message, None));
    }
    refuse_control_characters(text)?;
    let mut builder =
        Builder { open: Vec::new(), anchors: HashMap::new(), values: 0, root: None, documents: 0, errors };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| syntax(text, &error))?;
        builder.event(event, span)?;
    }
    builder.root.ok_or_else(|| fault(PolicyCode::PolicySyntax, Position::START, "the document is empty", None))
}

fn fault(code: PolicyCode, at: Position, message: impl Into<String>, hint: Option<&str>) -> PolicyError {
    PolicyError {
        code,
        message: message.into(),
        path: String::new(),
        line: at.line,
        column: at.column,
        hint: hint.map(str::to_owned),
    }
}

/// YAML forbids them, and the parser takes a NUL for the end.
fn refuse_control_characters(text: &str) -> Result<(), PolicyError> {
    let mut at = Position::START;
    for c in text.chars() {
        if c == '\n' {
            at = Position { line: at.line + 1, column: 1 };
            continue;
        }
        if c.is_control() && !matches!(c, '\t' | '\r' | '\u{85}') || matches!(c, '\u{feff}' | '\u{fffe}' | '\u{ffff}') {
            let message = format!("the character U+{:04X} is not allowed", u32::from(c));
            return Err(fault(PolicyCode::PolicySyntax, at, message, None));
        }
        at.column += 1;
    }
    Ok(())
}

fn syntax(text: &str, error: &ScanError) -> PolicyError {
    let info = error.info();
    let at = within(text, Position::of(error.marker()));
    if info.contains("recursion limit") {
        return too_deep(at);
    }
    let hint = if info.contains("tab") {
        Some("indent with spaces")
    } else if info.contains("mapping values are not allowed") {
        Some("a text that contains `: ` needs quotes; or the indentation is wrong")
    } else if info.contains("Unicode") {
        Some("write the character itself")
    } else {
        None
    };
    fault(PolicyCode::PolicySyntax, at, info, hint)
}

/// The parser places errors at the end of a text one line or more behind it.
fn within(text: &str, at: Position) -> Position {
    let lines = text.lines().count().max(1);
    if usize::try_from(at.line).is_ok_and(|line| line <= lines) {
        return at;
    }
    let last = text.lines().last().map_or(0, |line| line.chars().count());
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Position { line: number(lines), column: number(last).saturating_add(1) }
}

/// A list or mapping that is not yet closed.
enum Open {
    List { anchor: usize, at: Position, items: Vec<Node> },
    Map { anchor: usize, at: Position, entries: Vec<Entry>, key: Option<(String, Position)> },
}

struct Builder<'e> {
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    values: usize,
    root: Option<Node>,
    documents: usize,
    errors: &'e mut Vec<PolicyError>,
}

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), PolicyError> {
        let at = Position::of(&span.start);
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    let hint = Some("put each policy in a file of its own");
                    return Err(fault(PolicyCode::PolicySyntax, at, "a second document begins", hint));
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                let as_text = text_tag(tag.as_deref(), at)?;
                let scalar = Scalar::new(text.into_owned(), Style::of(style), as_text, span);
                self.close(Node { at, value: Value::Scalar(scalar) }, anchor, 1)
            }
            Event::SequenceStart(anchor, tag) => {
                text_tag(tag.as_deref(), at)?;
                self.open(Open::List { anchor, at, items: Vec::new() }, at)
            }
            Event::MappingStart(anchor, tag) => {
                text_tag(tag.as_deref(), at)?;
                self.open(Open::Map { anchor, at, entries: Vec::new(), key: None }, at)
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List { anchor, at, items }) => self.close(Node { at, value: Value::List(items) }, anchor, 1),
                Some(Open::Map { anchor, at, entries, .. }) => {
                    self.close(Node { at, value: Value::Map(entries) }, anchor, 1)
                }
                None => Ok(()),
            },
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor).cloned() else {
                    return Err(fault(
                        PolicyCode::PolicySyntax,
                        at,
                        "the alias stands within what it stands for",
                        None,
                    ));
                };
                if self.open.len() + node.depth() > MAX_DOCUMENT_DEPTH {
                    return Err(too_deep(at));
                }
                let count = node.count();
                self.close(Node { at, value: node.value }, 0, count)
            }
        }
    }

    fn open(&mut self, open: Open, at: Position) -> Result<(), PolicyError> {
        if self.open.len() == MAX_DOCUMENT_DEPTH {
            return Err(too_deep(at));
        }
        self.open.push(open);
        Ok(())
    }

    /// Puts a complete value where it belongs.
    fn close(&mut self, node: Node, anchor: usize, count: usize) -> Result<(), PolicyError> {
        self.values += count;
        if self.values > MAX_DOCUMENT_VALUES {
            let message = format!("the document has more than {MAX_DOCUMENT_VALUES} keys and values");
            return Err(fault(PolicyCode::PolicyTooLarge, node.at, message, None));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { entries, key, .. }) => match key.take() {
                None => match node.value {
                    Value::Scalar(scalar) => *key = Some((scalar.into_text(), node.at)),
                    Value::List(_) | Value::Map(_) => {
                        return Err(fault(PolicyCode::PolicySyntax, node.at, "a key must be a text", None));
                    }
                },
                Some((key, key_at)) => match entries.iter().find(|entry| entry.key == key) {
                    Some(first) => {
                        let message = format!(
                            "the key `{key}` stands here again; it stands in line {} already",
                            first.key_at.line
                        );
                        let mut error = fault(PolicyCode::PolicyDuplicate, key_at, message, None);
                        error.path = path_of(&self.open, &key);
                        self.errors.push(error);
                    }
                    None => entries.push(Entry { key, key_at, value: node }),
                },
            },
        }
        Ok(())
    }
}

/// The path of `key` in the innermost open mapping.
fn path_of(open: &[Open], key: &str) -> String {
    let mut path = Path::default();
    for (depth, level) in open.iter().enumerate() {
        let innermost = depth + 1 == open.len();
        match level {
            Open::List { items, .. } => path.push(Step::Index(items.len())),
            Open::Map { .. } if innermost => path.push(Step::Key(key.to_owned())),
            Open::Map { key: Some((key, _)), .. } => path.push(Step::Key(key.clone())),
            Open::Map { key: None, .. } => {}
        }
    }
    path.to_string()
}

fn too_deep(at: Position) -> PolicyError {
    fault(PolicyCode::PolicyTooLarge, at, format!("the document is nested more than {MAX_DOCUMENT_DEPTH} deep"), None)
}

/// `!!str` is the only tag with a use here; true when it is there.
fn text_tag(tag: Option<&Tag>, at: Position) -> Result<bool, PolicyError> {
    match tag {
        None => Ok(false),
        Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => Ok(true),
        Some(tag) => Err(fault(PolicyCode::PolicySyntax, at, format!("the tag `{tag}` is not allowed"), None)),
    }
}
