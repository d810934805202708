//! What stands behind a fence's three backticks.

use std::collections::BTreeMap;

/// The language and the words after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fence {
    pub(crate) language: String,
    words: BTreeMap<String, String>,
}

const KNOWN: &[&str] = &["file", "until", "exit", "wrong", "skip"];

impl Fence {
    /// Reads `language name=value name="value with blanks"`.
    pub(crate) fn read(info: &str) -> Result<Self, String> {
        let (language, mut rest) = info.split_once(' ').unwrap_or((info, ""));
        let mut words = BTreeMap::new();
        while !rest.trim_start().is_empty() {
            let (name, value) = rest
                .trim_start()
                .split_once('=')
                .ok_or_else(|| format!("{rest:?} is no name=value"))?;
            if !KNOWN.contains(&name) {
                return Err(format!("{name:?} is none of {KNOWN:?}"));
            }
            let (value, after) = match value.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"').ok_or("an open quote")?,
                None => value.split_once(' ').unwrap_or((value, "")),
            };
            if words.insert(name.to_owned(), value.to_owned()).is_some() {
                return Err(format!("{name} twice"));
            }
            rest = after;
        }
        Ok(Self {
            language: language.to_owned(),
            words,
        })
    }

    pub(crate) fn word(&self, name: &str) -> Option<&str> {
        self.words.get(name).map(String::as_str)
    }

    /// The exit code of the last command.
    pub(crate) fn exit(&self) -> i32 {
        self.word("exit").map_or(0, |code| code.parse().unwrap())
    }
}

#[test]
fn a_fence_is_read_or_refused() {
    let fence = Fence::read("sh until=\"a b\" exit=3").unwrap();
    assert_eq!(fence.language, "sh");
    assert_eq!(fence.word("until"), Some("a b"));
    assert_eq!(fence.exit(), 3);
    for wrong in ["sh loud=1", "sh until=\"a", "sh until", "sh exit=1 exit=2"] {
        assert!(Fence::read(wrong).is_err(), "{wrong}");
    }
}
