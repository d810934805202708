//! The types of expressions: one walk over the tree, as high as the parser allows.

use std::rc::Rc;

use types::{Trust, Type};

use super::{
    info::{Absence, Info, Level, Space, Taint, Ty, holds_json},
    world::World,
};
use crate::{
    code::Code,
    diagnostic::{Loc, Sink},
    expr::{BinaryOp, Kind, Macro, Node, Span},
    template::ExprSpec,
};

/// Where an expression stands.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// `on.alert.when`.
    Alert,
    /// In a step.
    Step {
        index: usize,
        /// What `each.value` is, where there is one.
        each: Option<Info>,
        /// Whether it is the step's `when`.
        when: bool,
        /// Whether the step is reached though a need failed.
        any_end: bool,
    },
}

pub(crate) struct Infer<'a> {
    pub(crate) world: &'a World<'a>,
    pub(crate) sink: &'a mut Sink,
    pub(crate) expr: &'a ExprSpec,
    pub(crate) place: &'a Place,
    /// Paths that are known to be there at this point.
    pub(crate) present: Vec<String>,
    /// The comprehension's variable.
    pub(crate) local: Option<(String, Info)>,
}

pub(crate) const ROOTS: [&str; 5] = ["inputs", "trigger", "steps", "each", "run"];

impl Infer<'_> {
    pub(crate) fn at(&self, node: &Node) -> Loc {
        self.expr.loc(node.span)
    }

    pub(crate) fn error(
        &mut self,
        code: Code,
        span: Span,
        message: impl Into<String>,
    ) -> &mut crate::diagnostic::Draft {
        let at = self.expr.loc(span);
        self.sink.error(code, at, message)
    }

    pub(crate) fn text(&self, node: &Node) -> String {
        let text = self
            .expr
            .source
            .get(node.span.start..node.span.end)
            .unwrap_or_default();
        text.chars().take(80).collect()
    }

    /// A value that is used: one that is no mere name, and there.
    pub(crate) fn value(&mut self, node: &Node) -> Info {
        let info = self.infer(node);
        self.used(node, info)
    }

    pub(crate) fn used(&mut self, node: &Node, mut info: Info) -> Info {
        if let Ty::Space(space) = info.ty {
            self.not_a_value(node, space);
            return Info::ERROR;
        }
        let Some(absence) = info.absent.take() else {
            return info;
        };
        let shown = self.text(node);
        let fallback = match &info.ty {
            Ty::Known(Type::String) => "\"\"",
            Ty::Known(Type::Int | Type::Float) => "0",
            Ty::Known(Type::Bool) => "false",
            Ty::Known(Type::List(_)) | Ty::EmptyList => "[]",
            _ => "…",
        };
        let draft = self.error(
            Code::MayBeAbsent,
            node.span,
            format!("`{}` may be absent: {}", absence.path, absence.why),
        );
        if let Some(at) = absence.at {
            draft.also(at, "because of this");
        }
        draft.help(format!(
            "write `default({shown}, {fallback})`, or ask first: `has({}) ? … : …`",
            absence.path
        ));
        info
    }

    fn not_a_value(&mut self, node: &Node, space: Space) {
        let text = self.text(node);
        let help = match space {
            Space::Inputs => "read one of them: `inputs.name`".to_owned(),
            Space::Trigger => "read `trigger.alert` or `trigger.incident_id`".to_owned(),
            Space::Steps => "read a step's outputs: `steps.key.outputs.name`".to_owned(),
            Space::Step(index) if self.world.facts[index].fan => format!("read `{text}.items`"),
            Space::Step(_) => format!("read one of its outputs: `{text}.outputs.name`"),
            Space::Outputs(index) => {
                let names: Vec<&str> = self.world.facts[index]
                    .outputs
                    .keys()
                    .map(String::as_str)
                    .collect();
                format!("read one of them: {}", names.join(", "))
            }
            Space::Each => "read `each.value` or `each.index`".to_owned(),
        };
        self.error(
            Code::NotAValue,
            node.span,
            format!("`{text}` is not a value by itself"),
        )
        .help(help);
    }

    pub(crate) fn infer(&mut self, node: &Node) -> Info {
        match &node.kind {
            Kind::Literal(value) => Info::trusted(match value {
                types::Value::Null => Ty::Null,
                types::Value::Bool(_) => Ty::BOOL,
                types::Value::Number(n) if n.is_f64() => Ty::Known(Type::Float),
                types::Value::Number(_) => Ty::INT,
                _ => Ty::STRING,
            }),
            Kind::Name(name) => self.name(node, name),
            Kind::Field { of, name, name_span } => self.field(node, of, name, *name_span),
            Kind::Index { of, index } => self.index(of, index),
            Kind::Not(of) => {
                let info = self.value(of);
                self.want(of, &info, &Ty::BOOL, "`!` takes a bool");
                Info::new(Ty::BOOL, info.taint)
            }
            Kind::Negate(of) => {
                let info = self.value(of);
                self.want_number(of, &info, "`-` negates a number");
                info
            }
            Kind::Binary { op, left, right } => self.binary(node, *op, left, right),
            Kind::Ternary { test, yes, no } => self.ternary(test, yes, no),
            Kind::List(items) => self.list(items),
            Kind::Map(entries) => self.map(entries),
            Kind::Call { function, args } => self.call(node, *function, args),
            Kind::Has(of) => {
                self.infer(of);
                Info::trusted(Ty::BOOL)
            }
            Kind::Comprehension {
                of,
                kind,
                variable,
                body,
            } => self.comprehension(node, of, *kind, variable, body),
        }
    }

    fn name(&mut self, node: &Node, name: &str) -> Info {
        if let Some((variable, info)) = &self.local
            && variable == name
        {
            return info.clone();
        }
        let at = self.at(node);
        match (self.place, name) {
            (Place::Alert, "alert") => {
                let taint = Taint::of(Trust::Untrusted, at, "alert", "an alert is an outsider's text");
                return Info::new(Ty::Known(self.world.alert.clone()), taint);
            }
            (Place::Step { .. }, "inputs") => return Info::trusted(Ty::Space(Space::Inputs)),
            (Place::Step { .. }, "trigger") => return Info::trusted(Ty::Space(Space::Trigger)),
            (Place::Step { .. }, "steps") => return Info::trusted(Ty::Space(Space::Steps)),
            (Place::Step { .. }, "run") => {
                let taint = Taint::of(
                    Trust::Untrusted,
                    at,
                    "run",
                    "steps' messages hold outsiders' text",
                );
                return Info::new(Ty::Known(self.world.run.clone()), taint);
            }
            (Place::Step { each: Some(_), .. }, "each") => return Info::trusted(Ty::Space(Space::Each)),
            _ => {}
        }
        let (alert, has_each) = match self.place {
            Place::Alert => (true, false),
            Place::Step { each, .. } => (false, each.is_some()),
        };
        let known: Vec<&str> = match (alert, has_each) {
            (true, _) => vec!["alert"],
            (false, true) => ROOTS.to_vec(),
            (false, false) => ROOTS.into_iter().filter(|root| *root != "each").collect(),
        };
        let draft = self
            .sink
            .error(Code::UnknownName, at, format!("there is no `{name}` here"));
        if alert {
            match name {
                "trigger" => draft.help("the alert is called `alert` here"),
                _ => draft.nearest(at, name, known),
            };
            return Info::ERROR;
        }
        match name {
            "each" | "item" | "matrix" if !has_each => {
                draft.help("`each` is there in what a step with `foreach` or `follow` does with an item")
            }
            "item" | "matrix" => draft
                .help("an item is called `each.value` here")
                .suggest(at, "each.value"),
            "alert" => draft
                .help("in a step it is `trigger.alert`")
                .suggest(at, "trigger.alert"),
            "secrets" => {
                draft.help("secrets reach a container by its `secrets` key; no expression reads them")
            }
            "env" => draft.help("no expression reads the environment; name where the value comes from"),
            "needs" | "jobs" | "tasks" => draft.help("it is called `steps` here").suggest(at, "steps"),
            "params" | "parameters" | "vars" | "variables" => {
                draft.help("it is called `inputs` here").suggest(at, "inputs")
            }
            "github" | "gitlab" | "event" | "payload" => {
                draft.help("what started the run is `trigger`: `trigger.alert` is the alert")
            }
            _ if self.world.inputs.contains_key(name) => {
                let meant = format!("inputs.{name}");
                draft.help(format!("did you mean `{meant}`?")).suggest(at, meant)
            }
            _ if self.world.by_name.contains_key(name) => {
                let meant = format!("steps.{name}");
                draft.help(format!("did you mean `{meant}`?")).suggest(at, meant)
            }
            _ => draft.nearest(at, name, known),
        };
        Info::ERROR
    }

    fn field(&mut self, node: &Node, of: &Node, name: &str, name_span: Span) -> Info {
        let base = self.infer(of);
        let mut info = match &base.ty {
            Ty::Error => return Info::ERROR,
            Ty::Space(space) => {
                let mut info = self.member(*space, name, name_span, node);
                info.absent = info.absent.or(base.absent);
                info
            }
            Ty::Known(ty) => {
                let ty = ty.clone();
                self.field_of(&base, &ty, name, name_span, node)
            }
            Ty::Null | Ty::EmptyList => {
                let message = format!("{} has no fields", base.ty);
                self.error(Code::Operator, name_span, message);
                Info::ERROR
            }
        };
        if info.absent.is_some()
            && let Some(path) = node.path()
        {
            let path = path.join(".");
            if self.present.contains(&path) {
                info.absent = None;
            }
        }
        info
    }

    fn field_of(&mut self, base: &Info, ty: &Type, name: &str, name_span: Span, node: &Node) -> Info {
        let path = node.path().map_or_else(|| self.text(node), |path| path.join("."));
        let missing = |why: &str| {
            Some(Rc::new(Absence {
                path: path.clone(),
                why: why.to_owned(),
                at: None,
            }))
        };
        let (ty, absent) = match ty {
            Type::Json => (
                Type::Json,
                missing("it is json, whose fields are known only in a run"),
            ),
            Type::Map(item) => ((**item).clone(), missing("a map may have no such key")),
            Type::Record { fields, name: record } => match fields.get(name) {
                Some(field) => {
                    let absent = if field.optional {
                        missing(&format!("`{name}` of {record} is optional"))
                    } else {
                        None
                    };
                    (field.ty.clone(), absent)
                }
                None => {
                    let at = self.expr.loc(name_span);
                    let message = format!("`{record}` has no field `{name}`");
                    self.sink.error(Code::UnknownField, at, message).nearest(
                        at,
                        name,
                        fields.keys().map(String::as_str),
                    );
                    return Info::ERROR;
                }
            },
            Type::List(_) => {
                let message = format!("{ty} is a list and has no field `{name}`");
                self.error(Code::UnknownField, name_span, message)
                    .help("read an element `x[0]`, or each of them: `x.map(i, i.name)`");
                return Info::ERROR;
            }
            Type::Bool | Type::Int | Type::Float | Type::String => {
                self.error(Code::UnknownField, name_span, format!("{ty} has no fields"));
                return Info::ERROR;
            }
        };
        let taint = self.narrowed(base, &ty, node);
        Info {
            // Json's own fields are looked up in the run; asking for each would drown the reader.
            absent: if ty == Type::Json && base.ty == Ty::JSON {
                base.absent.clone()
            } else {
                base.absent.clone().or(absent)
            },
            ty: Ty::Known(ty),
            taint,
        }
    }

    /// The trust of a part: json in a trusted whole is not.
    fn narrowed(&self, base: &Info, ty: &Type, node: &Node) -> Taint {
        let text = self.text(node);
        let mut taint = base.taint.clone();
        if let Some([root, field]) = node.path().as_deref()
            && *root == "run"
            && !matches!(*field, "reasons" | "steps")
            && self.local.as_ref().is_none_or(|(variable, _)| variable != "run")
        {
            // What we wrote of the run ourselves.
            return Taint::TRUSTED;
        }
        if *ty == Type::Json && taint.level < Level::Untrusted {
            taint = Taint::of(Trust::Untrusted, self.at(node), text, "json is never trusted");
        } else if let Some(origin) = &taint.origin
            && origin.at == self.at_of_base(node)
            && node.path().is_some()
        {
            // The whole path says more than its root.
            taint.origin = Some(Rc::new(super::info::Origin {
                at: self.at(node),
                name: text,
                why: origin.why.clone(),
                from: origin.from.clone(),
            }));
        }
        taint
    }

    fn at_of_base(&self, node: &Node) -> Loc {
        match &node.kind {
            Kind::Field { of, .. } | Kind::Index { of, .. } => self.at(of),
            _ => self.at(node),
        }
    }

    fn index(&mut self, of: &Node, index: &Node) -> Info {
        let base = self.infer(of);
        let key = self.value(index);
        let base = if matches!(base.ty, Ty::Space(_)) {
            self.used(of, base)
        } else {
            base
        };
        let taint = base.taint.clone();
        let ty = match &base.ty {
            Ty::Error => return Info::ERROR,
            Ty::Known(Type::Json) => Ty::JSON,
            Ty::Known(Type::List(item)) => {
                let item = Ty::Known((**item).clone());
                self.want(index, &key, &Ty::INT, "the index of a list is an int");
                item
            }
            Ty::Known(Type::Map(item)) => {
                let item = Ty::Known((**item).clone());
                self.want(index, &key, &Ty::STRING, "the key of a map is a string");
                item
            }
            Ty::Known(Type::Record { name, fields }) => {
                if let Kind::Literal(types::Value::String(field)) = &index.kind
                    && let Some(found) = fields.get(field)
                {
                    Ty::Known(found.ty.clone())
                } else {
                    let message = format!("`{name}` is a record; its fields are read as `.name`");
                    self.error(Code::Operator, index.span, message);
                    return Info::ERROR;
                }
            }
            other => {
                let message = format!("{other} has no elements");
                self.error(Code::Operator, of.span, message);
                return Info::ERROR;
            }
        };
        Info {
            ty,
            taint,
            absent: base.absent,
        }
    }

    /// Says when the type is not the wanted one.
    pub(crate) fn want(&mut self, node: &Node, info: &Info, wanted: &Ty, why: &str) -> bool {
        let fits = info.ty.is_open() || info.ty == *wanted;
        if !fits {
            let message = format!("{why}, found {}", info.ty);
            self.error(Code::Operator, node.span, message);
        }
        fits
    }

    pub(crate) fn want_number(&mut self, node: &Node, info: &Info, why: &str) -> bool {
        let fits = info.ty.is_open() || info.ty.is_number();
        if !fits {
            let message = format!("{why}, found {}", info.ty);
            self.error(Code::Operator, node.span, message);
        }
        fits
    }

    fn binary(&mut self, node: &Node, op: BinaryOp, left: &Node, right: &Node) -> Info {
        if matches!(op, BinaryOp::And | BinaryOp::Or) {
            let first = self.value(left);
            let known = self.present.len();
            self.facts(left, op == BinaryOp::And);
            let second = self.value(right);
            self.present.truncate(known);
            let why = if op == BinaryOp::And {
                "`&&` takes bools"
            } else {
                "`||` takes bools"
            };
            self.want(left, &first, &Ty::BOOL, why);
            self.want(right, &second, &Ty::BOOL, why);
            return Info::new(Ty::BOOL, first.taint.with(second.taint));
        }
        let (l, r) = (self.value(left), self.value(right));
        let taint = l.taint.clone().with(r.taint.clone());
        if l.ty == Ty::Error || r.ty == Ty::Error {
            return Info::ERROR;
        }
        match op {
            BinaryOp::Equal | BinaryOp::NotEqual => {
                if !l.ty.comparable(&r.ty) {
                    let message = format!(
                        "`{}` of {} and {} never holds",
                        BinaryOp::Equal.as_str(),
                        l.ty,
                        r.ty
                    );
                    self.error(Code::Operator, node.span, message);
                }
                Info::trusted(Ty::BOOL)
            }
            BinaryOp::Less | BinaryOp::LessEqual | BinaryOp::Greater | BinaryOp::GreaterEqual => {
                let ordered = l.ty.is_open()
                    || r.ty.is_open()
                    || (l.ty.is_number() && r.ty.is_number())
                    || (l.ty == Ty::STRING && r.ty == Ty::STRING);
                self.check_operands(ordered, node, op, &l, &r, "compares two numbers or two texts");
                Info::trusted(Ty::BOOL)
            }
            BinaryOp::In => {
                let fits = match &r.ty {
                    ty if ty.is_open() => true,
                    Ty::EmptyList => true,
                    Ty::Known(Type::List(item)) => l.ty.comparable(&Ty::Known((**item).clone())),
                    Ty::Known(Type::Map(_) | Type::Record { .. }) => l.ty.is_open() || l.ty == Ty::STRING,
                    _ => false,
                };
                self.check_operands(
                    fits,
                    node,
                    op,
                    &l,
                    &r,
                    "looks for a value in a list, or a text in a map",
                );
                Info::trusted(Ty::BOOL)
            }
            BinaryOp::Add if l.ty == Ty::STRING && r.ty == Ty::STRING => Info::new(Ty::STRING, taint),
            BinaryOp::Add if is_list(&l.ty) && is_list(&r.ty) => Info::new(l.ty.join(&r.ty), taint),
            _ => self.arithmetic(node, op, &l, &r, taint),
        }
    }

    fn arithmetic(&mut self, node: &Node, op: BinaryOp, l: &Info, r: &Info, taint: Taint) -> Info {
        let ty = match (&l.ty, &r.ty) {
            (l, r) if l.is_open() || r.is_open() => Ty::JSON,
            (Ty::Known(Type::Int), Ty::Known(Type::Int)) => Ty::INT,
            (l, r) if l.is_number() && r.is_number() && op != BinaryOp::Remainder => Ty::Known(Type::Float),
            _ => {
                let why = match op {
                    BinaryOp::Add => "adds two numbers, two texts or two lists",
                    BinaryOp::Remainder => "takes two ints",
                    _ => "takes two numbers",
                };
                self.check_operands(false, node, op, l, r, why);
                return Info::ERROR;
            }
        };
        Info::new(ty, taint)
    }

    fn check_operands(&mut self, fits: bool, node: &Node, op: BinaryOp, l: &Info, r: &Info, why: &str) {
        if fits {
            return;
        }
        let message = format!("`{}` {why}, found {} and {}", op.as_str(), l.ty, r.ty);
        let text = matches!(
            (&l.ty, &r.ty),
            (Ty::Known(Type::String), _) | (_, Ty::Known(Type::String))
        );
        let draft = self.error(Code::Operator, node.span, message);
        if text && op == BinaryOp::Add {
            draft.help("string(x) makes text of a number");
        }
    }

    fn ternary(&mut self, test: &Node, yes: &Node, no: &Node) -> Info {
        let info = self.value(test);
        self.want(test, &info, &Ty::BOOL, "the test before `?` is a bool");
        let known = self.present.len();
        self.facts(test, true);
        let a = self.value(yes);
        self.present.truncate(known);
        self.facts(test, false);
        let b = self.value(no);
        self.present.truncate(known);
        Info::new(a.ty.join(&b.ty), a.taint.with(b.taint))
    }

    fn list(&mut self, items: &[Node]) -> Info {
        let mut whole: Option<Info> = None;
        for item in items {
            let info = self.value(item);
            whole = Some(match whole {
                None => info,
                Some(before) => Info::new(before.ty.join(&info.ty), before.taint.with(info.taint)),
            });
        }
        match whole {
            None => Info::trusted(Ty::EmptyList),
            Some(item) => Info::new(list_of(item.ty), item.taint),
        }
    }

    fn map(&mut self, entries: &[(Node, Node)]) -> Info {
        let mut fields = std::collections::BTreeMap::new();
        let mut taint = Taint::TRUSTED;
        let mut broken = false;
        let mut values: Option<Ty> = None;
        let mut fixed = true;
        for (key, value) in entries {
            let name = self.value(key);
            self.want(key, &name, &Ty::STRING, "a key of a map is a string");
            let info = self.value(value);
            taint = taint.with(name.taint).with(info.taint);
            broken |= info.ty == Ty::Error;
            let ty = match &info.ty {
                Ty::Known(ty) => ty.clone(),
                Ty::EmptyList => Type::list(Type::Json),
                _ => Type::Json,
            };
            values = Some(values.map_or(info.ty.clone(), |before| before.join(&info.ty)));
            match &key.kind {
                Kind::Literal(types::Value::String(name)) => {
                    let field = types::Field { ty, optional: false };
                    fields.insert(name.clone(), field);
                }
                _ => fixed = false,
            }
        }
        if broken {
            return Info::ERROR;
        }
        let ty = if fixed {
            Type::Record {
                name: "map".to_owned(),
                fields,
            }
        } else {
            match values {
                Some(Ty::Known(ty)) => Type::Map(Box::new(ty)),
                _ => Type::Map(Box::new(Type::Json)),
            }
        };
        Info::new(Ty::Known(ty), taint)
    }

    fn comprehension(&mut self, node: &Node, of: &Node, kind: Macro, variable: &str, body: &Node) -> Info {
        let list = self.value(of);
        let item = match &list.ty {
            Ty::Error => Info::ERROR,
            Ty::Known(Type::Json) | Ty::EmptyList => Info::new(Ty::JSON, list.taint.clone()),
            Ty::Known(Type::List(item)) => Info::new(Ty::Known((**item).clone()), list.taint.clone()),
            Ty::Known(Type::Map(_)) => Info::new(Ty::STRING, list.taint.clone()),
            other => {
                let message = format!(".{}() goes over a list, found {other}", kind.as_str());
                self.error(Code::Operator, of.span, message);
                Info::ERROR
            }
        };
        if ROOTS.contains(&variable) {
            let message = format!("`{variable}` is taken; give the variable another name");
            self.error(Code::BadExpression, node.span, message);
            return Info::ERROR;
        }
        let known = self.present.len();
        self.local = Some((variable.to_owned(), item));
        let result = self.value(body);
        self.local = None;
        self.present.truncate(known);
        match kind {
            Macro::Map => Info::new(list_of(result.ty), result.taint),
            Macro::All | Macro::Exists | Macro::Filter => {
                let why = format!("the condition of .{}() is a bool", kind.as_str());
                self.want(body, &result, &Ty::BOOL, &why);
                if kind == Macro::Filter {
                    Info::new(list.ty, list.taint)
                } else {
                    Info::new(Ty::BOOL, result.taint)
                }
            }
        }
    }

    /// Learns what is there when the condition holds (or does not).
    pub(crate) fn facts(&mut self, node: &Node, holds: bool) {
        match &node.kind {
            Kind::Has(of) if holds => {
                if let Some(path) = of.path() {
                    for length in 1..=path.len() {
                        self.present.push(path[..length].join("."));
                    }
                }
            }
            Kind::Not(of) => self.facts(of, !holds),
            Kind::Binary { op, left, right } if *op == if holds { BinaryOp::And } else { BinaryOp::Or } => {
                self.facts(left, holds);
                self.facts(right, holds);
            }
            _ => {}
        }
    }
}

fn is_list(ty: &Ty) -> bool {
    matches!(ty, Ty::EmptyList | Ty::Known(Type::List(_)))
}

pub(crate) fn list_of(item: Ty) -> Ty {
    match item {
        Ty::Error => Ty::Error,
        Ty::Known(ty) => Ty::Known(Type::list(ty)),
        Ty::Null | Ty::EmptyList | Ty::Space(_) => Ty::Known(Type::list(Type::Json)),
    }
}

/// The trust of a value as a whole: with json in it, it is none.
pub(crate) fn whole(info: &Info, at: Loc, name: &str) -> Taint {
    match &info.ty {
        Ty::Known(ty) if holds_json(ty) && info.taint.level < Level::Untrusted => {
            Taint::of(Trust::Untrusted, at, name, "json is never trusted")
        }
        _ => info.taint.clone(),
    }
}
