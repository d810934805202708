//! Values against the places that take them: types, absence, trust; and the templates of the plan.

use types::{Trust, Type};

use super::{
    infer::{Infer, Place, whole},
    info::{Info, Level, Taint, Ty},
    world::World,
};
use crate::{
    Expr, Template,
    code::Code,
    diagnostic::{Loc, Sink},
    template::{ExprSpec, Part, Tpl, TplKind},
};

/// A place that takes a value.
pub(crate) struct Wanted<'a> {
    /// Its name in messages: `image`.
    pub(crate) what: &'a str,
    /// How untrusted it may be.
    pub(crate) level: Level,
    pub(crate) ty: &'a Type,
    /// Whether a scalar of another type becomes text, as in `env`.
    pub(crate) to_text: bool,
}

/// The step's or the alert condition's checker.
pub(crate) struct Checker<'a> {
    pub(crate) world: &'a World<'a>,
    pub(crate) sink: &'a mut Sink,
    pub(crate) place: Place,
    /// What the step's own `when` has made sure of.
    pub(crate) present: Vec<String>,
}

impl Checker<'_> {
    fn infer<'b>(&'b mut self, expr: &'b ExprSpec) -> Infer<'b> {
        Infer {
            world: self.world,
            sink: self.sink,
            expr,
            place: &self.place,
            present: self.present.clone(),
            local: None,
        }
    }

    /// The type and the trust of an expression.
    pub(crate) fn expr(&mut self, expr: &ExprSpec) -> Info {
        let Some(node) = &expr.node else {
            return Info::ERROR;
        };
        if self.hyphens(expr) {
            return Info::ERROR;
        }
        self.infer(expr).value(node)
    }

    /// A condition; what it makes sure of holds for the rest of the step.
    pub(crate) fn condition(&mut self, expr: &ExprSpec) {
        let info = self.expr(expr);
        if !info.ty.is_open() && info.ty != Ty::BOOL {
            let message = format!("a condition is a bool, found {}", info.ty);
            let draft = self.sink.error(Code::Mismatch, expr.at, message);
            if info.ty == Ty::STRING {
                draft.help("compare it with something: x == \"text\"");
            }
        }
        if let Some(node) = &expr.node {
            let mut infer = self.infer(expr);
            infer.facts(node, true);
            self.present = infer.present;
        }
    }

    /// `steps.create-war-room`, which reads as a subtraction.
    fn hyphens(&mut self, expr: &ExprSpec) -> bool {
        let mut found = false;
        for (start, _) in expr.source.match_indices("steps.") {
            let from = start + "steps.".len();
            let rest = &expr.source[from..];
            let end = rest
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-')
                .unwrap_or(rest.len());
            let key = &rest[..end];
            if key.contains('-') && self.world.step_key(key).is_some() {
                let fixed = key.replace('-', "_");
                let at = expr.loc(crate::expr::Span {
                    start: from,
                    end: from + end,
                });
                self.sink
                    .error(Code::Hyphen, at, format!("`steps.{key}` reads as a subtraction"))
                    .help(format!("write `steps.{fixed}`"))
                    .suggest(at, fixed);
                found = true;
            }
        }
        found
    }

    /// Checks a value and makes its template.
    pub(crate) fn template(&mut self, tpl: &Tpl, wanted: &Wanted<'_>) -> Template {
        if let Some(value) = tpl.constant() {
            return self.constant(tpl, value, wanted);
        }
        match &tpl.kind {
            TplKind::Literal(value) => Template::Literal(value.clone()),
            TplKind::Wrong => Template::Literal(types::Value::Null),
            TplKind::Expr(expr) => self.whole_value(expr, wanted),
            TplKind::Concat(parts) => {
                if !wanted.to_text && !wanted.ty.accepts(&Type::String) {
                    self.mismatch(tpl.at, wanted, "a text with expressions in it");
                }
                Template::Concat(parts.iter().map(|part| self.part(part, wanted)).collect())
            }
            TplKind::List(items) => {
                let item = match wanted.ty {
                    Type::List(item) => (**item).clone(),
                    Type::Json => Type::Json,
                    _ => {
                        self.mismatch(tpl.at, wanted, "a list");
                        Type::Json
                    }
                };
                let wanted = Wanted { ty: &item, ..*wanted };
                Template::List(items.iter().map(|item| self.template(item, &wanted)).collect())
            }
            TplKind::Map(entries) => self.map(tpl, entries, wanted),
        }
    }

    fn map(&mut self, tpl: &Tpl, entries: &[(String, Loc, Tpl)], wanted: &Wanted<'_>) -> Template {
        if let Type::Record { fields, name } = wanted.ty {
            for (field, known) in fields {
                if !known.optional && !entries.iter().any(|(key, _, _)| key == field) {
                    let message = format!("{} takes `{name}`, which needs `{field}`", wanted.what);
                    self.sink.error(Code::Mismatch, tpl.at, message);
                }
            }
        } else if !matches!(wanted.ty, Type::Map(_) | Type::Json) {
            self.mismatch(tpl.at, wanted, "a map");
        }
        let mut map = std::collections::BTreeMap::new();
        for (key, key_at, item) in entries {
            let ty = match wanted.ty {
                Type::Map(item) => (**item).clone(),
                Type::Record { fields, name } => match fields.get(key) {
                    Some(field) => field.ty.clone(),
                    None => {
                        self.sink
                            .error(
                                Code::UnknownField,
                                *key_at,
                                format!("`{name}` has no field `{key}`"),
                            )
                            .nearest(*key_at, key, fields.keys().map(String::as_str));
                        Type::Json
                    }
                },
                _ => Type::Json,
            };
            let wanted = Wanted { ty: &ty, ..*wanted };
            map.insert(key.clone(), self.template(item, &wanted));
        }
        Template::Map(map)
    }

    fn constant(&mut self, tpl: &Tpl, value: types::Value, wanted: &Wanted<'_>) -> Template {
        if wanted.to_text {
            return match crate::expr::text_of(&value) {
                Some(text) => Template::Literal(text.into()),
                None => {
                    self.mismatch(tpl.at, wanted, crate::expr::kind_of(&value));
                    Template::Literal(value)
                }
            };
        }
        if let Err(error) = wanted.ty.check(&value) {
            let message = format!("{} does not take this: {error}", wanted.what);
            let draft = self.sink.error(Code::Mismatch, tpl.at, message);
            if error.expected == "string" && matches!(error.found, "int" | "float" | "bool") {
                draft.help("quote it to make it text");
            }
        }
        Template::Literal(value)
    }

    fn mismatch(&mut self, at: Loc, wanted: &Wanted<'_>, found: &str) {
        let ty = if wanted.to_text {
            "text".to_owned()
        } else {
            wanted.ty.to_string()
        };
        let message = format!("{} takes {ty}, found {found}", wanted.what);
        self.sink.error(Code::Mismatch, at, message);
    }

    fn whole_value(&mut self, expr: &ExprSpec, wanted: &Wanted<'_>) -> Template {
        let info = self.expr(expr);
        let template = Template::Expr(Expr(expr.source.clone()));
        if wanted.to_text {
            self.text_part(expr, &info, wanted);
            // Text stays text whatever the value's type is.
            return if info.ty == Ty::STRING {
                template
            } else {
                Template::Concat(vec![template])
            };
        }
        if !info.ty.fits(wanted.ty) {
            let message = format!("{} takes {}, found {}", wanted.what, wanted.ty, info.ty);
            let draft = self.sink.error(Code::Mismatch, expr.at, message);
            if matches!(wanted.ty, Type::String | Type::Int | Type::Float) && info.ty.is_open() {
                draft.help(format!(
                    "json has no type yet; convert it: `{}({})`",
                    converter(wanted.ty),
                    expr.source
                ));
            } else if *wanted.ty == Type::String && info.ty.is_number() {
                draft.help(format!("write `string({})`", expr.source));
            } else if *wanted.ty == Type::String && matches!(info.ty, Ty::Known(Type::List(_))) {
                draft.help(format!("write `join({}, \", \")`", expr.source));
            }
        }
        self.trust(expr, &info, wanted);
        template
    }

    fn part(&mut self, part: &Part, wanted: &Wanted<'_>) -> Template {
        match part {
            Part::Text(text) => Template::Literal(text.clone().into()),
            Part::Expr(expr) => {
                let info = self.expr(expr);
                self.text_part(expr, &info, wanted);
                Template::Expr(Expr(expr.source.clone()))
            }
        }
    }

    fn text_part(&mut self, expr: &ExprSpec, info: &Info, wanted: &Wanted<'_>) {
        let scalar = info.ty.is_open()
            || matches!(
                info.ty,
                Ty::Known(Type::Bool | Type::Int | Type::Float | Type::String)
            );
        if !scalar {
            let message = format!(
                "{} is put into text, which takes a bool, a number or a text",
                info.ty
            );
            let draft = self.sink.error(Code::Mismatch, expr.at, message);
            if matches!(info.ty, Ty::Known(Type::List(_)) | Ty::EmptyList) {
                draft.help(format!("write `join({}, \", \")`", expr.source));
            }
        }
        self.trust(expr, info, wanted);
    }

    fn trust(&mut self, expr: &ExprSpec, info: &Info, wanted: &Wanted<'_>) {
        let taint = whole(info, expr.at, &expr.source);
        if info.ty == Ty::Error || taint.level <= wanted.level {
            return;
        }
        let origin = taint.origin.clone();
        let cleaned = taint.level == Level::Word;
        let message = if cleaned {
            format!(
                "{} takes trusted values only, and a cleaned word is still an outsider's choice",
                wanted.what
            )
        } else {
            format!(
                "an untrusted value reaches {}, which takes trusted values only",
                wanted.what
            )
        };
        let draft = self.sink.error(Code::Untrusted, expr.at, message);
        draft.label(format!("reaches {}", wanted.what));
        let mut help = match (wanted.level, wanted.what) {
            (Level::Trusted, _) => format!(
                "choose among values of yours: `one_of({}, [\"a\", \"b\"])`",
                expr.source
            ),
            (_, what) if what.contains("runs-on") => format!("write `agent_host({})`", expr.source),
            (_, what) if what.contains("`command`") => format!(
                "clean it: `slug({0})` or `one_of({0}, [\"a\", \"b\"])`; or pass it by `env`, where it is data",
                expr.source
            ),
            _ => format!(
                "clean it: `slug({0})`, `one_of({0}, [\"a\", \"b\"])` or `agent_host({0})`",
                expr.source
            ),
        };
        if let Some(origin) = origin {
            let path = origin.path();
            for hop in &path {
                if hop.at != expr.at {
                    draft.also(hop.at, hop.why.clone());
                } else {
                    draft.label(format!("untrusted: {}", hop.why));
                }
            }
            let mut names: Vec<&str> = path.iter().map(|hop| hop.name.as_str()).collect();
            names.push(wanted.what);
            help = format!("it comes this way: {}; {help}", names.join(" -> "));
        }
        draft.help(help);
    }

    /// What a template's items are, for `foreach`.
    pub(crate) fn list_item(&mut self, tpl: &Tpl) -> (Info, Template) {
        let json = Type::Json;
        let anything = Wanted {
            what: "`foreach`",
            level: Level::Untrusted,
            ty: &json,
            to_text: false,
        };
        match &tpl.kind {
            TplKind::Expr(expr) => {
                let info = self.expr(expr);
                let item = match &info.ty {
                    Ty::Error => Ty::Error,
                    Ty::EmptyList | Ty::Known(Type::Json) => Ty::JSON,
                    Ty::Known(Type::List(item)) => Ty::Known((**item).clone()),
                    other => {
                        let message = format!("`foreach` takes a list, found {other}");
                        self.sink.error(Code::Mismatch, expr.at, message);
                        Ty::Error
                    }
                };
                (
                    Info::new(item, info.taint),
                    Template::Expr(Expr(expr.source.clone())),
                )
            }
            TplKind::List(items) => {
                let mut whole: Option<(Ty, Taint)> = None;
                for item in items {
                    let (ty, taint) = self.element(item);
                    whole = Some(match whole {
                        None => (ty, taint),
                        Some((before, trust)) => (before.join(&ty), trust.with(taint)),
                    });
                }
                // The second walk makes the templates; it says nothing twice, for each error silences.
                let templates =
                    self.quietly(|this| items.iter().map(|item| this.template(item, &anything)).collect());
                let (ty, taint) = whole.unwrap_or((Ty::JSON, Taint::TRUSTED));
                (Info::new(ty, taint), Template::List(templates))
            }
            TplKind::Wrong => (Info::ERROR, Template::Literal(types::Value::Null)),
            _ => {
                self.sink.error(Code::Mismatch, tpl.at, "`foreach` takes a list");
                (Info::ERROR, Template::Literal(types::Value::Null))
            }
        }
    }

    fn element(&mut self, item: &Tpl) -> (Ty, Taint) {
        match &item.kind {
            TplKind::Expr(expr) => {
                let info = self.expr(expr);
                let taint = whole(&info, expr.at, &expr.source);
                (info.ty, taint)
            }
            TplKind::Concat(parts) => {
                let mut taint = Taint::TRUSTED;
                for part in parts {
                    if let Part::Expr(expr) = part {
                        let info = self.expr(expr);
                        taint = taint.with(whole(&info, expr.at, &expr.source));
                    }
                }
                (Ty::STRING, taint)
            }
            TplKind::Wrong => (Ty::Error, Taint::TRUSTED),
            _ => match item.constant() {
                Some(value) => (type_of(&value), Taint::TRUSTED),
                None => (
                    Ty::JSON,
                    Taint::of(Trust::Untrusted, item.at, "foreach", "json is never trusted"),
                ),
            },
        }
    }

    fn quietly<T>(&mut self, run: impl FnOnce(&mut Checker<'_>) -> T) -> T {
        let mut sink = Sink::default();
        let mut quiet = Checker {
            world: self.world,
            sink: &mut sink,
            place: self.place.clone(),
            present: self.present.clone(),
        };
        run(&mut quiet)
    }
}

fn converter(ty: &Type) -> &'static str {
    match ty {
        Type::Int => "int",
        Type::Float => "double",
        _ => "string",
    }
}

/// The type of a plain value.
fn type_of(value: &types::Value) -> Ty {
    use types::Value;
    match value {
        Value::Null => Ty::Null,
        Value::Bool(_) => Ty::BOOL,
        Value::Number(n) if n.is_f64() => Ty::Known(Type::Float),
        Value::Number(_) => Ty::INT,
        Value::String(_) => Ty::STRING,
        Value::Array(items) => {
            let item = items.iter().map(type_of).reduce(|a, b| a.join(&b));
            item.map_or(Ty::EmptyList, super::infer::list_of)
        }
        Value::Object(map) => {
            let fields = map.iter().map(|(key, value)| {
                let ty = match type_of(value) {
                    Ty::Known(ty) => ty,
                    _ => Type::Json,
                };
                (key.clone(), types::Field { ty, optional: false })
            });
            Ty::Known(Type::Record {
                name: "map".to_owned(),
                fields: fields.collect(),
            })
        }
    }
}
