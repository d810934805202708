//! What the checker knows of an expression: its type, whether it may be absent, and who wrote its text.

use std::{fmt, rc::Rc};

use types::{Trust, Type};

use crate::diagnostic::Loc;

/// A type while checking.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Ty {
    /// An error has been said; silences what follows from it.
    Error,
    Null,
    /// `[]`, which is a list of anything.
    EmptyList,
    Known(Type),
    /// A name that leads to values and is none itself.
    Space(Space),
}

/// What leads to values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Space {
    Inputs,
    Trigger,
    Steps,
    Step(usize),
    Outputs(usize),
    Each,
}

impl fmt::Display for Ty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error => f.write_str("an error"),
            Self::Null => f.write_str("null"),
            Self::EmptyList => f.write_str("an empty list"),
            Self::Known(ty) => ty.fmt(f),
            Self::Space(_) => f.write_str("a name"),
        }
    }
}

impl Ty {
    pub(crate) const STRING: Self = Self::Known(Type::String);
    pub(crate) const BOOL: Self = Self::Known(Type::Bool);
    pub(crate) const INT: Self = Self::Known(Type::Int);
    pub(crate) const JSON: Self = Self::Known(Type::Json);

    /// Whether the type says nothing, so that nothing can be wrong.
    pub(crate) const fn is_open(&self) -> bool {
        matches!(self, Self::Error | Self::Known(Type::Json))
    }

    pub(crate) const fn is_number(&self) -> bool {
        matches!(self, Self::Known(Type::Int | Type::Float))
    }

    /// The type that both have.
    pub(crate) fn join(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Error, _) | (_, Self::Error) => Self::Error,
            (a, b) if a == b => a.clone(),
            (Self::EmptyList, list @ Self::Known(Type::List(_)))
            | (list @ Self::Known(Type::List(_)), Self::EmptyList) => list.clone(),
            (Self::Known(a), Self::Known(b)) if a.accepts(b) => self.clone(),
            (Self::Known(a), Self::Known(b)) if b.accepts(a) => other.clone(),
            _ => Self::JSON,
        }
    }

    /// Whether a value of this type fits the place.
    pub(crate) fn fits(&self, wanted: &Type) -> bool {
        match self {
            Self::Error => true,
            Self::Null => *wanted == Type::Json,
            Self::EmptyList => matches!(wanted, Type::List(_) | Type::Json),
            Self::Known(ty) => wanted.accepts(ty),
            Self::Space(_) => false,
        }
    }

    /// Whether `==` between them can ever hold.
    pub(crate) fn comparable(&self, other: &Self) -> bool {
        match (self, other) {
            _ if self.is_open() || other.is_open() => true,
            (Self::Null, _) | (_, Self::Null) => true,
            (Self::EmptyList, Self::Known(Type::List(_))) | (Self::Known(Type::List(_)), Self::EmptyList) => {
                true
            }
            (Self::Known(a), Self::Known(b)) => comparable(a, b),
            _ => self == other,
        }
    }
}

fn comparable(a: &Type, b: &Type) -> bool {
    match (a, b) {
        (Type::Json, _) | (_, Type::Json) | (Type::Int | Type::Float, Type::Int | Type::Float) => true,
        (Type::List(a), Type::List(b)) | (Type::Map(a), Type::Map(b)) => comparable(a, b),
        (Type::Map(_) | Type::Record { .. }, Type::Map(_) | Type::Record { .. }) => true,
        _ => a == b,
    }
}

/// Whether a part of it is json, which is never trusted.
pub(crate) fn holds_json(ty: &Type) -> bool {
    match ty {
        Type::Json => true,
        Type::Bool | Type::Int | Type::Float | Type::String => false,
        Type::List(item) | Type::Map(item) => holds_json(item),
        Type::Record { fields, .. } => fields.values().any(|field| holds_json(&field.ty)),
    }
}

/// How far a text may steer. A cleaned word is one that `slug()` or `agent_host()` made: harmless as an argument, a
/// label or a channel, yet chosen by an outsider, so it names neither an image nor a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Trusted,
    Word,
    Untrusted,
}

/// Where an untrusted value comes from.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) at: Loc,
    /// `trigger.alert.title`
    pub(crate) name: String,
    /// Why it is untrusted, or how it got here.
    pub(crate) why: String,
    pub(crate) from: Option<Rc<Origin>>,
}

impl Origin {
    /// From the first source on.
    pub(crate) fn path(&self) -> Vec<&Self> {
        let mut path = vec![self];
        let mut at = self;
        while let Some(from) = &at.from {
            path.push(from);
            at = from;
        }
        path.reverse();
        path
    }

    fn length(&self) -> usize {
        self.path().len()
    }
}

/// Who wrote it.
#[derive(Debug, Clone)]
pub(crate) struct Taint {
    pub(crate) level: Level,
    pub(crate) origin: Option<Rc<Origin>>,
}

impl Taint {
    pub(crate) const TRUSTED: Self = Self {
        level: Level::Trusted,
        origin: None,
    };

    pub(crate) fn of(trust: Trust, at: Loc, name: impl Into<String>, why: impl Into<String>) -> Self {
        match trust {
            Trust::Trusted => Self::TRUSTED,
            Trust::Untrusted => Self {
                level: Level::Untrusted,
                origin: Some(Rc::new(Origin {
                    at,
                    name: name.into(),
                    why: why.into(),
                    from: None,
                })),
            },
        }
    }

    /// The worse of two.
    pub(crate) fn with(self, other: Self) -> Self {
        if other.level > self.level { other } else { self }
    }

    /// The same, one place further on its way.
    pub(crate) fn via(&self, at: Loc, name: impl Into<String>, why: impl Into<String>) -> Self {
        let from = self.origin.clone();
        // A path of many steps tells no more than its last hops.
        if self.level == Level::Trusted || from.as_ref().is_some_and(|from| from.length() >= 8) {
            return self.clone();
        }
        Self {
            level: self.level,
            origin: Some(Rc::new(Origin {
                at,
                name: name.into(),
                why: why.into(),
                from,
            })),
        }
    }
}

/// Why a value may not be there.
#[derive(Debug)]
pub(crate) struct Absence {
    /// `steps.a.outputs.x`
    pub(crate) path: String,
    /// Why.
    pub(crate) why: String,
    /// What makes it so.
    pub(crate) at: Option<Loc>,
}

/// All that is known of an expression.
#[derive(Debug, Clone)]
pub(crate) struct Info {
    pub(crate) ty: Ty,
    pub(crate) taint: Taint,
    pub(crate) absent: Option<Rc<Absence>>,
}

impl Info {
    pub(crate) const ERROR: Self = Self::trusted(Ty::Error);

    pub(crate) const fn trusted(ty: Ty) -> Self {
        Self {
            ty,
            taint: Taint::TRUSTED,
            absent: None,
        }
    }

    pub(crate) const fn new(ty: Ty, taint: Taint) -> Self {
        Self {
            ty,
            taint,
            absent: None,
        }
    }
}
