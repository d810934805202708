//! The examples of the codes, one file each in `workflow/examples/`. A test holds that each wrong one gives its code
//! and nothing else, and that each right one gives none.

/// How a code happens and how it is put right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Example {
    /// What the texts are.
    pub kind: Kind,
    /// Gives the code and nothing else.
    pub wrong: &'static str,
    /// Gives nothing.
    pub right: &'static str,
}

/// What an example's texts are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Whole definitions.
    Definition,
    /// Lines of a shell: the file as such is wrong, not what stands in it.
    Command,
    /// Expressions that are evaluated in a run, and what they find there.
    Expression(&'static str),
}

impl Example {
    /// Reads `# where` (of expressions only), `# wrong` and `# right`, each on a line of its own, each followed by its text.
    pub(crate) fn read(text: &'static str) -> Self {
        let (before, rest) = text.split_once("# wrong\n").unwrap_or(("", text));
        let (wrong, right) = rest.split_once("# right\n").unwrap_or((rest, ""));
        let found = before.strip_prefix("# where\n").map(str::trim_end);
        let (kind, wrong, right) = match (found, wrong.strip_prefix("$ "), right.strip_prefix("$ ")) {
            (Some(found), _, _) => (Kind::Expression(found), wrong, right),
            (None, Some(wrong), Some(right)) => (Kind::Command, wrong, right),
            (None, _, _) => (Kind::Definition, wrong, right),
        };
        Self { kind, wrong, right }
    }
}
