//! The evaluator: one walk over the tree with a budget of steps and of built bytes.

use std::borrow::Cow;

use types::{Value, limits};

use super::{
    ast::{BinaryOp, Kind, Macro, Node},
    functions::Function,
    ops,
};
use crate::{Scope, code::Code};

/// Why there is no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) code: Code,
    /// Never the content of a value.
    pub(crate) message: String,
}

impl Fault {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    fn absent(message: impl Into<String>) -> Self {
        Self::new(Code::EvalAbsent, message)
    }

    fn is_absence(&self) -> bool {
        self.code == Code::EvalAbsent
    }
}

pub(crate) type Result<T> = std::result::Result<T, Fault>;
pub(crate) type Got<'a> = Cow<'a, Value>;

/// Steps of one evaluation: a comprehension over 1,000 items with a body of 100 nodes is within it.
const STEPS: u32 = 200_000;
/// Bytes that one evaluation may build on its way.
const BUILT_BYTES: usize = 8 * limits::VALUE_BYTES;

pub(crate) fn evaluate(node: &Node, scope: &Scope) -> Result<Value> {
    let mut run = Run {
        scope,
        local: None,
        steps: STEPS,
        bytes: BUILT_BYTES,
    };
    run.eval(node).map(Cow::into_owned)
}

struct Run<'a> {
    scope: &'a Scope,
    /// The comprehension's variable; there is one comprehension at most.
    local: Option<(&'a str, Got<'a>)>,
    steps: u32,
    bytes: usize,
}

pub(crate) fn owned<'a>(value: impl Into<Value>) -> Got<'a> {
    Cow::Owned(value.into())
}

impl<'a> Run<'a> {
    pub(crate) fn eval(&mut self, node: &'a Node) -> Result<Got<'a>> {
        self.spend(1)?;
        match &node.kind {
            Kind::Literal(value) => Ok(Cow::Borrowed(value)),
            Kind::Name(name) => self.name(name),
            Kind::Field { of, name, .. } => {
                let of = self.eval(of)?;
                field(of, name)?.ok_or_else(|| Fault::absent(format!("there is no field {name:?}")))
            }
            Kind::Index { of, index } => {
                let of = self.eval(of)?;
                let index = self.eval(index)?;
                ops::index(of, &index)
            }
            Kind::Not(of) => Ok(owned(!self.bool(of)?)),
            Kind::Negate(of) => {
                let value = self.eval(of)?;
                ops::negate(&value).map(Cow::Owned)
            }
            Kind::Binary { op, left, right } => self.binary(*op, left, right),
            Kind::Ternary { test, yes, no } => {
                if self.bool(test)? {
                    self.eval(yes)
                } else {
                    self.eval(no)
                }
            }
            Kind::List(items) => {
                let items: Result<Vec<Value>> = items.iter().map(|item| self.build(item)).collect();
                Ok(Cow::Owned(Value::Array(items?)))
            }
            Kind::Map(entries) => self.map(entries),
            Kind::Call { function, args } => self.call(*function, args),
            Kind::Has(of) => self.has(of).map(owned),
            Kind::Comprehension {
                of,
                kind,
                variable,
                body,
            } => self.comprehension(of, *kind, variable, body),
        }
    }

    fn spend(&mut self, steps: usize) -> Result<()> {
        let steps = u32::try_from(steps).unwrap_or(u32::MAX);
        self.steps = self.steps.checked_sub(steps).ok_or_else(|| {
            Fault::new(
                Code::EvalBudget,
                format!("the evaluation takes more than {STEPS} steps"),
            )
        })?;
        Ok(())
    }

    fn charge(&mut self, bytes: usize) -> Result<()> {
        self.bytes = self.bytes.checked_sub(bytes).ok_or_else(|| {
            Fault::new(
                Code::EvalBudget,
                format!("the evaluation builds more than {BUILT_BYTES} bytes"),
            )
        })?;
        Ok(())
    }

    /// Evaluates into a value that goes into a larger one.
    fn build(&mut self, node: &'a Node) -> Result<Value> {
        let value = self.eval(node)?;
        self.charge(ops::weight(&value))?;
        Ok(value.into_owned())
    }

    fn name(&mut self, name: &str) -> Result<Got<'a>> {
        let local = self.local.as_ref().filter(|(variable, _)| *variable == name);
        if let Some((_, value)) = local {
            let value = value.clone();
            if let Cow::Owned(copy) = &value {
                self.charge(ops::weight(copy))?;
            }
            return Ok(value);
        }
        match self.scope.roots.get(name) {
            Some(value) => Ok(Cow::Borrowed(value)),
            None => Err(Fault::absent(format!("there is no {name:?} here"))),
        }
    }

    pub(crate) fn bool(&mut self, node: &'a Node) -> Result<bool> {
        let value = self.eval(node)?;
        value
            .as_bool()
            .ok_or_else(|| ops::mistyped("a condition", "bool", &value))
    }

    fn has(&mut self, node: &'a Node) -> Result<bool> {
        let Kind::Field { of, name, .. } = &node.kind else {
            return Err(Fault::new(Code::EvalSyntax, "has() takes a field"));
        };
        match self.eval(of).and_then(|of| field(of, name)) {
            Ok(found) => Ok(found.is_some_and(|value| !value.is_null())),
            Err(fault) if fault.is_absence() => Ok(false),
            Err(fault) => Err(fault),
        }
    }

    fn binary(&mut self, op: BinaryOp, left: &'a Node, right: &'a Node) -> Result<Got<'a>> {
        match op {
            // As in CEL, a side that decides absorbs an error of the other.
            BinaryOp::And | BinaryOp::Or => {
                let decides = op == BinaryOp::Or;
                let first = self.bool(left);
                if first == Ok(decides) {
                    return Ok(owned(decides));
                }
                let second = self.bool(right)?;
                if second == decides {
                    return Ok(owned(decides));
                }
                first.map(owned)
            }
            _ => {
                let left = self.eval(left)?;
                let right = self.eval(right)?;
                self.spend((ops::weight(&left).min(ops::weight(&right))) / 64)?;
                let value = ops::binary(op, &left, &right)?;
                if op == BinaryOp::Add {
                    self.charge(ops::weight(&value))?;
                } else if op == BinaryOp::In {
                    self.spend(ops::weight(&right) / 64)?;
                }
                Ok(Cow::Owned(value))
            }
        }
    }

    fn map(&mut self, entries: &'a [(Node, Node)]) -> Result<Got<'a>> {
        let mut map = types::Object::new();
        for (key, value) in entries {
            let key = self.text(key, "a key of a map")?.into_owned();
            let value = self.build(value)?;
            self.charge(key.len())?;
            if map.insert(key, value).is_some() {
                return Err(Fault::new(Code::EvalType, "a key of the map is there twice"));
            }
        }
        Ok(Cow::Owned(Value::Object(map)))
    }

    pub(crate) fn text(&mut self, node: &'a Node, what: &str) -> Result<Cow<'a, str>> {
        match self.eval(node)? {
            Cow::Borrowed(Value::String(text)) => Ok(Cow::Borrowed(text)),
            Cow::Owned(Value::String(text)) => Ok(Cow::Owned(text)),
            other => Err(ops::mistyped(what, "string", &other)),
        }
    }

    fn comprehension(
        &mut self,
        of: &'a Node,
        kind: Macro,
        variable: &'a str,
        body: &'a Node,
    ) -> Result<Got<'a>> {
        let items: Vec<Got<'a>> = match self.eval(of)? {
            Cow::Borrowed(Value::Array(items)) => items.iter().map(Cow::Borrowed).collect(),
            Cow::Owned(Value::Array(items)) => items.into_iter().map(Cow::Owned).collect(),
            of if of.is_object() => of
                .as_object()
                .into_iter()
                .flat_map(|map| map.keys())
                .map(|key| owned(key.as_str()))
                .collect(),
            other => return Err(ops::mistyped(kind.as_str(), "list", &other)),
        };
        let mut kept = Vec::new();
        let outer = self.local.take();
        let mut result = Ok(());
        let mut verdict = kind == Macro::All;
        for item in items {
            self.local = Some((variable, item));
            match self.item(kind, body, &mut kept) {
                Ok(Some(decided)) => {
                    verdict = decided;
                    result = Ok(());
                    break;
                }
                Ok(None) => {}
                Err(fault) if matches!(kind, Macro::All | Macro::Exists) => result = Err(fault),
                Err(fault) => {
                    result = Err(fault);
                    break;
                }
            }
        }
        self.local = outer;
        result?;
        Ok(match kind {
            Macro::All | Macro::Exists => owned(verdict),
            Macro::Filter | Macro::Map => Cow::Owned(Value::Array(kept)),
        })
    }

    /// Some when the item decides `all` or `exists`.
    fn item(&mut self, kind: Macro, body: &'a Node, kept: &mut Vec<Value>) -> Result<Option<bool>> {
        match kind {
            Macro::Map => kept.push(self.build(body)?),
            Macro::All | Macro::Exists => {
                let decides = kind == Macro::Exists;
                if self.bool(body)? == decides {
                    return Ok(Some(decides));
                }
            }
            Macro::Filter => {
                if self.bool(body)?
                    && let Some((_, item)) = self.local.clone()
                {
                    self.charge(ops::weight(&item))?;
                    kept.push(item.into_owned());
                }
            }
        }
        Ok(None)
    }

    fn call(&mut self, function: Function, args: &'a [Node]) -> Result<Got<'a>> {
        let needs = self.scope.needs;
        match (function, args) {
            (Function::Succeeded, _) => Ok(owned(needs.succeeded)),
            (Function::Degraded, _) => Ok(owned(needs.degraded)),
            (Function::Failed, _) => Ok(owned(needs.failed)),
            (Function::Cancelled, _) => Ok(owned(needs.cancelled)),
            (Function::Always, _) => Ok(owned(true)),
            (Function::Default, [value, fallback]) => match self.eval(value) {
                Ok(value) if !value.is_null() => Ok(value),
                Err(fault) if !fault.is_absence() => Err(fault),
                _ => self.eval(fallback),
            },
            (_, args) => {
                let mut values = Vec::with_capacity(args.len());
                for arg in args {
                    values.push(self.eval(arg)?);
                }
                let refs: Vec<&Value> = values.iter().map(AsRef::as_ref).collect();
                let size = refs.iter().map(|value| ops::weight(value)).sum::<usize>();
                self.spend(size / 64)?;
                let value = super::functions::plain(function, &refs, self.bytes)?;
                self.charge(ops::weight(&value))?;
                Ok(Cow::Owned(value))
            }
        }
    }
}

/// A field of an object; absent is `None`, a field of what is itself null is an absence.
fn field<'a>(of: Got<'a>, name: &str) -> Result<Option<Got<'a>>> {
    match of {
        Cow::Borrowed(Value::Object(map)) => Ok(map.get(name).map(Cow::Borrowed)),
        Cow::Owned(Value::Object(mut map)) => Ok(map.remove(name).map(Cow::Owned)),
        other if other.is_null() => Err(Fault::absent(format!("there is no field {name:?} of null"))),
        other => Err(ops::mistyped(
            &format!("what has the field {name:?}"),
            "an object",
            &other,
        )),
    }
}
