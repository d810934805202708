//! YAML and JSON read into a tree with the place of each key and value. Built from the parser's events without
//! recursion: depth is bounded, anchors, aliases, tags and merge keys are refused, and each repeated key is said.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use types::{Value, limits};

use crate::{
    code::Code,
    diagnostic::{Loc, Sink},
    source::SourceFile,
};

/// Lists and maps in each other.
const DEPTH: usize = 32;

/// A node of the tree.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) at: Loc,
    pub(crate) data: Data,
}

#[derive(Debug, Clone)]
pub(crate) enum Data {
    /// null, bool, int, float or text.
    Scalar(Value),
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// Something was wrong here and has been said.
    Wrong,
}

/// A key with its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_at: Loc,
    pub(crate) value: Node,
}

impl Node {
    /// What it is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.data {
            Data::Scalar(Value::Null) => "nothing",
            Data::Scalar(Value::Bool(_)) => "a bool",
            Data::Scalar(Value::Number(n)) if n.is_f64() => "a float",
            Data::Scalar(Value::Number(_)) => "an int",
            Data::Scalar(_) => "a text",
            Data::List(_) => "a list",
            Data::Map(_) => "a map",
            Data::Wrong => "an error",
        }
    }
}

/// A list or a map that is being read.
struct Open {
    at: Loc,
    kind: OpenKind,
}

enum OpenKind {
    List(Vec<Node>),
    Map {
        entries: Vec<Entry>,
        seen: HashMap<String, Loc>,
        /// The key that waits for its value; `None` inside when the key was wrong.
        key: Option<Option<(String, Loc)>>,
    },
    /// A list or a map as a key: read and thrown away.
    Skipped,
}

/// Reads one document.
pub(crate) fn read(source: &SourceFile, sink: &mut Sink) -> Option<Node> {
    if source.text.len() > limits::DEFINITION_BYTES {
        too_large(sink);
        return None;
    }
    let mut reader = Reader {
        text: &source.text,
        offsets: offsets(&source.text),
        sink,
        open: Vec::new(),
        root: None,
        documents: 0,
        refused: false,
        aliased: false,
    };
    reader.run();
    if reader.refused {
        return None;
    }
    let (root, documents) = (reader.root.take(), reader.documents);
    match root {
        Some(Node {
            data: Data::Scalar(Value::Null),
            at,
        }) if documents == 1 => {
            sink.error(Code::Documents, at, "the definition is empty");
            None
        }
        None => {
            sink.error(Code::Documents, Loc::default(), "the definition is empty");
            None
        }
        root => root,
    }
}

/// Says that a definition is too large; how large is not said, since no more of it is read than that tells.
pub(crate) fn too_large(sink: &mut Sink) {
    let most = limits::DEFINITION_BYTES;
    let message = format!("the definition is larger than {} MiB ({most} bytes)", most >> 20);
    sink.error(Code::TooLarge, Loc::default(), message)
        .help("split it into several workflows, or move data out of it into an input");
}

/// The byte of each character, when they differ.
fn offsets(text: &str) -> Option<Vec<usize>> {
    (!text.is_ascii()).then(|| text.char_indices().map(|(at, _)| at).collect())
}

struct Reader<'a> {
    text: &'a str,
    offsets: Option<Vec<usize>>,
    sink: &'a mut Sink,
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
    refused: bool,
    /// An anchor or an alias has been said: a bomb of them is one mistake.
    aliased: bool,
}

impl Reader<'_> {
    fn byte(&self, index: usize) -> usize {
        match &self.offsets {
            Some(offsets) => offsets.get(index).copied().unwrap_or(self.text.len()),
            None => index.min(self.text.len()),
        }
    }

    fn loc(&self, span: Span) -> Loc {
        Loc {
            start: self.byte(span.start.index()),
            end: self.byte(span.end.index()),
        }
    }

    fn run(&mut self) {
        let mut parser = Parser::new_from_str(self.text);
        while let Some(next) = parser.next_event() {
            match next {
                Ok((event, span)) => {
                    let at = self.loc(span);
                    self.event(event, at);
                }
                Err(error) => {
                    let start = self.byte(error.marker().index());
                    self.syntax(error.info(), start);
                    self.refused = true;
                }
            }
            if self.refused {
                return;
            }
        }
    }

    fn syntax(&mut self, info: &str, start: usize) {
        let text = self.text;
        let at = Loc {
            start,
            end: start + 1,
        };
        if info.contains("recursion limit") {
            let message = format!("more than {DEPTH} levels of lists and maps");
            self.sink.error(Code::TooDeep, at, message);
            return;
        }
        let before = text.get(..start).unwrap_or_default();
        let line = before.rsplit('\n').next().unwrap_or_default();
        let tab = text.get(start..).unwrap_or_default().starts_with('\t');
        let draft = self
            .sink
            .error(Code::Syntax, at, format!("this is not YAML: {info}"));
        if tab || info.contains("tab") {
            draft.help("indent with spaces; a tab does not count");
        } else if line.contains("${{") {
            draft.help("an expression with `: `, ` #` or a quote at its start needs quotes around the whole value: \"${{ … }}\"");
        }
    }

    fn event(&mut self, event: Event<'_>, at: Loc) {
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    self.sink
                        .error(Code::Documents, at, "a second document begins here")
                        .help("keep one workflow in a file");
                    self.refused = true;
                }
            }
            Event::Alias(_) => {
                self.alias(at, "an alias is not read", '*');
                self.value(Node {
                    at,
                    data: Data::Wrong,
                });
            }
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain;
                let data = if self.decorated(at, anchor, tag.is_some()) {
                    Data::Wrong
                } else {
                    Data::Scalar(if plain {
                        plain_scalar(&text)
                    } else {
                        Value::String(text.to_string())
                    })
                };
                self.scalar(at, &text, plain, data);
            }
            Event::SequenceStart(anchor, tag) => {
                self.decorated(at, anchor, tag.is_some());
                self.start(at, OpenKind::List(Vec::new()));
            }
            Event::MappingStart(anchor, tag) => {
                self.decorated(at, anchor, tag.is_some());
                let (entries, seen) = (Vec::new(), HashMap::new());
                self.start(
                    at,
                    OpenKind::Map {
                        entries,
                        seen,
                        key: None,
                    },
                );
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(at),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
    }

    fn alias(&mut self, at: Loc, message: &str, sign: char) {
        if !self.aliased {
            self.aliased = true;
            self.sink.error(Code::Alias, at, message).help(format!(
                "write the value out; a text that begins with {sign} needs quotes"
            ));
        }
    }

    fn decorated(&mut self, at: Loc, anchor: usize, tag: bool) -> bool {
        if anchor != 0 {
            self.alias(at, "an anchor is not read", '&');
        }
        if tag {
            self.sink
                .error(Code::Tag, at, "a tag is not read")
                .help("remove the tag; quote the value if it is text");
        }
        anchor != 0 || tag
    }

    fn start(&mut self, at: Loc, kind: OpenKind) {
        if self.open.len() >= DEPTH {
            self.sink.error(
                Code::TooDeep,
                at,
                format!("more than {DEPTH} levels of lists and maps"),
            );
            self.refused = true;
            return;
        }
        let as_key = matches!(
            &self.open.last(),
            Some(Open {
                kind: OpenKind::Map { key: None, .. },
                ..
            })
        );
        let skipped = matches!(
            &self.open.last(),
            Some(Open {
                kind: OpenKind::Skipped,
                ..
            })
        );
        let kind = if as_key || skipped {
            OpenKind::Skipped
        } else {
            kind
        };
        self.open.push(Open { at, kind });
    }

    fn end(&mut self, at: Loc) {
        let Some(open) = self.open.pop() else { return };
        // A block ends where the next thing begins; what is pointed at ends with its own text.
        let whole = self.text.get(open.at.start..at.end.max(open.at.end));
        let at = Loc {
            start: open.at.start,
            end: open.at.start + whole.map_or(0, |whole| whole.trim_end().len()),
        };
        let data = match open.kind {
            OpenKind::List(items) => Data::List(items),
            OpenKind::Map { entries, .. } => Data::Map(entries),
            OpenKind::Skipped => {
                if let Some(Open {
                    kind: OpenKind::Map { key: key @ None, .. },
                    ..
                }) = self.open.last_mut()
                {
                    *key = Some(None);
                    self.sink
                        .error(Code::KeyNotText, open.at, "a list or a map cannot be a key");
                }
                return;
            }
        };
        self.value(Node { at, data });
    }

    fn scalar(&mut self, at: Loc, text: &str, plain: bool, data: Data) {
        let Some(Open {
            kind:
                OpenKind::Map {
                    key: key @ None,
                    seen,
                    ..
                },
            ..
        }) = self.open.last_mut()
        else {
            return self.value(Node { at, data });
        };
        *key = Some(None);
        match data {
            Data::Scalar(Value::String(_)) if plain && text == "<<" => {
                self.sink
                    .error(Code::MergeKey, at, "a merge key is not read")
                    .help("write the keys out");
            }
            Data::Scalar(Value::String(name)) => match seen.get(&name) {
                Some(first) => {
                    let first = *first;
                    self.sink
                        .error(Code::DuplicateKey, at, format!("the key `{name}` is there twice"))
                        .also(first, "the first one")
                        .help("remove or rename one of them");
                }
                None => {
                    seen.insert(name.clone(), at);
                    *key = Some(Some((name, at)));
                }
            },
            Data::Wrong => {}
            _ => {
                self.sink
                    .error(Code::KeyNotText, at, "this key is no text")
                    .help(format!(
                        "quote it: \"{}\"",
                        text.chars().take(40).collect::<String>()
                    ));
            }
        }
    }

    fn value(&mut self, node: Node) {
        match self.open.last_mut().map(|open| &mut open.kind) {
            None => self.root = Some(node),
            Some(OpenKind::List(items)) => items.push(node),
            Some(OpenKind::Skipped) => {}
            Some(OpenKind::Map { entries, key, .. }) => match key.take() {
                Some(Some((name, key_at))) => entries.push(Entry {
                    key: name,
                    key_at,
                    value: node,
                }),
                Some(None) => {}
                // An alias as a key.
                None => *key = Some(None),
            },
        }
    }
}

/// YAML 1.2's core schema: `yes`, `on` and dates stay texts.
fn plain_scalar(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Value::String(text.to_owned());
    }
    let numeric = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-');
    if digits.chars().all(|c| c.is_ascii_digit()) {
        let whole = text.strip_prefix('+').unwrap_or(text);
        if let Ok(int) = whole.parse::<i64>() {
            return int.into();
        }
        if let Ok(int) = whole.parse::<u64>() {
            return int.into();
        }
    } else if digits.chars().all(numeric)
        && let Ok(float) = text.parse::<f64>()
        && let Some(number) = serde_json::Number::from_f64(float)
    {
        return Value::Number(number);
    }
    Value::String(text.to_owned())
}
