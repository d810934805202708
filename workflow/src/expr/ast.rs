//! The tree of an expression.

use types::Value;

use super::functions::Function;

/// A range of bytes in the expression's source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Span {
    pub(crate) fn to(self, other: Self) -> Self {
        Self {
            start: self.start,
            end: other.end,
        }
    }
}

/// A node with its place and its height, which the parser bounds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) height: usize,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    /// null, bool, int, float or text.
    Literal(Value),
    /// A root or a comprehension's variable.
    Name(String),
    Field {
        of: Box<Node>,
        name: String,
        name_span: Span,
    },
    Index {
        of: Box<Node>,
        index: Box<Node>,
    },
    Not(Box<Node>),
    Negate(Box<Node>),
    Binary {
        op: BinaryOp,
        left: Box<Node>,
        right: Box<Node>,
    },
    Ternary {
        test: Box<Node>,
        yes: Box<Node>,
        no: Box<Node>,
    },
    List(Vec<Node>),
    /// Keys are expressions of text.
    Map(Vec<(Node, Node)>),
    /// The target of a method is the first argument.
    Call {
        function: Function,
        args: Vec<Node>,
    },
    /// `has(x.y)`: the node is a field.
    Has(Box<Node>),
    /// `list.filter(x, …)`.
    Comprehension {
        of: Box<Node>,
        kind: Macro,
        variable: String,
        body: Box<Node>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Macro {
    All,
    Exists,
    Filter,
    Map,
}

impl Macro {
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "all" => Self::All,
            "exists" => Self::Exists,
            "filter" => Self::Filter,
            "map" => Self::Map,
            _ => return None,
        })
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Exists => "exists",
            Self::Filter => "filter",
            Self::Map => "map",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BinaryOp {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl BinaryOp {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Or => "||",
            Self::And => "&&",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::In => "in",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
        }
    }

    /// The higher binds the closer.
    pub(crate) const fn precedence(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And => 2,
            Self::Equal
            | Self::NotEqual
            | Self::Less
            | Self::LessEqual
            | Self::Greater
            | Self::GreaterEqual
            | Self::In => 3,
            Self::Add | Self::Subtract => 4,
            Self::Multiply | Self::Divide | Self::Remainder => 5,
        }
    }
}

impl Node {
    /// The nodes directly below.
    pub(crate) fn children(&self) -> Vec<&Node> {
        match &self.kind {
            Kind::Literal(_) | Kind::Name(_) => Vec::new(),
            Kind::Field { of, .. } | Kind::Not(of) | Kind::Negate(of) | Kind::Has(of) => vec![of],
            Kind::Index { of, index } => vec![of, index],
            Kind::Binary { left, right, .. } => vec![left, right],
            Kind::Ternary { test, yes, no } => vec![test, yes, no],
            Kind::List(items) | Kind::Call { args: items, .. } => items.iter().collect(),
            Kind::Map(entries) => entries.iter().flat_map(|(k, v)| [k, v]).collect(),
            Kind::Comprehension { of, body, .. } => vec![of, body],
        }
    }

    /// `a.b.c` as its names, when it is nothing but that.
    pub(crate) fn path(&self) -> Option<Vec<&str>> {
        let mut names = Vec::new();
        let mut node = self;
        loop {
            match &node.kind {
                Kind::Name(name) => {
                    names.push(name.as_str());
                    names.reverse();
                    return Some(names);
                }
                Kind::Field { of, name, .. } => {
                    names.push(name);
                    node = of;
                }
                _ => return None,
            }
        }
    }
}
