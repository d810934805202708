//! YAML and JSON read into a tree with the place of each key and value. Built from the parser's events without
//! recursion: depth is bounded, anchors, aliases, tags and merge keys are refused, and each repeated key is said.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use types::{Value, limits};

use crate::{
    code::Code,
    diagnostic::{Loc, Sink},
    source::SourceFile,
    spec::short,
};

mod syntax;

/// Lists and maps in each other.
const DEPTH: usize = 32;
/// YAML 1.1's merge key.
const MERGE: &str = "<<";

/// A node of the tree.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) at: Loc,
    pub(crate) data: Data,
    /// It has an anchor, which has been said.
    anchored: bool,
    /// It has a merge key, which has been said: what seems missing may stand there.
    pub(crate) merges: bool,
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
    const fn new(at: Loc, data: Data) -> Self {
        Self {
            at,
            data,
            anchored: false,
            merges: false,
        }
    }

    /// Whether it is there for others to share by an alias, or such an alias: then that has been said, and what its key
    /// is called is no matter.
    pub(crate) fn is_shared(&self) -> bool {
        self.anchored || matches!(self.data, Data::Wrong)
    }

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
    anchored: bool,
    /// It will be nothing to check: it has a tag, or is an expression's braces read as maps.
    wrong: bool,
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
            ..
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

    /// Without the space behind it, which the parser counts to some texts.
    fn trimmed(&self, at: Loc) -> Loc {
        let text = self.text.get(at.start..at.end).unwrap_or_default();
        Loc {
            start: at.start,
            end: at.start + text.trim_end().len(),
        }
    }

    fn run(&mut self) {
        let mut parser = Parser::new_from_str(self.text);
        while let Some(next) = parser.next_event() {
            match next {
                Ok((event, span)) => {
                    let at = self.trimmed(self.loc(span));
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
            end: start
                + text
                    .get(start..)
                    .and_then(|rest| rest.chars().next())
                    .map_or(0, char::len_utf8),
        };
        if info.contains("recursion limit") {
            let message = format!("more than {DEPTH} levels of lists and maps");
            self.sink.error(Code::TooDeep, at, message);
            return;
        }
        let opened = self.open.last().map(|open| open.at).filter(|open| {
            info.contains("flow")
                && text
                    .get(open.start..)
                    .is_some_and(|rest| rest.starts_with(['{', '[']))
        });
        let draft = self
            .sink
            .error(Code::Syntax, at, format!("this is not YAML: {info}"));
        if let Some(open) = opened {
            let first = Loc {
                start: open.start,
                end: open.start + 1,
            };
            draft.also(first, "opened here");
        }
        if let Some(help) = syntax::way_out(info, text, start) {
            draft.help(help);
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
                self.value(Node::new(at, Data::Wrong));
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
                self.start(at, anchor != 0, tag.is_some(), OpenKind::List(Vec::new()));
            }
            Event::MappingStart(anchor, tag) => {
                self.decorated(at, anchor, tag.is_some());
                let (entries, seen) = (Vec::new(), HashMap::new());
                let kind = OpenKind::Map {
                    entries,
                    seen,
                    key: None,
                };
                self.start(at, anchor != 0, tag.is_some(), kind);
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

    fn start(&mut self, at: Loc, anchored: bool, wrong: bool, kind: OpenKind) {
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
        self.open.push(Open {
            at,
            anchored,
            wrong,
            kind,
        });
    }

    fn end(&mut self, at: Loc) {
        let Some(open) = self.open.pop() else { return };
        // A block ends where the next thing begins; what is pointed at ends with its own text.
        let at = self.trimmed(Loc {
            start: open.at.start,
            end: at.end.max(open.at.end),
        });
        let mut merges = false;
        let data = match open.kind {
            OpenKind::List(items) => Data::List(items),
            OpenKind::Map { entries, seen, .. } => {
                merges = seen.contains_key(MERGE);
                Data::Map(entries)
            }
            OpenKind::Skipped => {
                if let Some(Open {
                    at: map,
                    wrong,
                    kind: OpenKind::Map { key: key @ None, .. },
                    ..
                }) = self.open.last_mut()
                {
                    *key = Some(None);
                    if self
                        .text
                        .get(map.start..)
                        .is_some_and(|rest| rest.starts_with("{{"))
                    {
                        *wrong = true;
                        self.sink
                            .error(
                                Code::KeyNotText,
                                open.at,
                                "`{{ … }}` is a map in a map to YAML, not an expression",
                            )
                            .help("an expression is written \"${{ … }}\", in quotes");
                    } else {
                        self.sink
                            .error(Code::KeyNotText, open.at, "a list or a map cannot be a key")
                            .help("a text that begins with [ or { needs quotes");
                    }
                }
                return;
            }
        };
        let data = if open.wrong { Data::Wrong } else { data };
        self.value(Node {
            at,
            data,
            anchored: open.anchored,
            merges,
        });
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
            return self.value(Node::new(at, data));
        };
        *key = Some(None);
        match data {
            Data::Scalar(Value::String(_)) if plain && text == MERGE => {
                seen.insert(MERGE.to_owned(), at);
                self.sink
                    .error(Code::MergeKey, at, "a merge key is not read")
                    .help("write the keys out");
            }
            Data::Scalar(Value::String(name)) => match seen.get(&name) {
                Some(first) => {
                    let first = *first;
                    self.sink
                        .error(
                            Code::DuplicateKey,
                            at,
                            format!("the key `{}` is there twice", short(&name)),
                        )
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
