//! The types of function calls.

use types::Type;

use super::{
    infer::{Infer, Place, whole},
    info::{Info, Level, Taint, Ty},
};
use crate::{
    code::Code,
    expr::{Function, Node},
};

impl Infer<'_> {
    pub(crate) fn call(&mut self, node: &Node, function: Function, args: &[Node]) -> Info {
        if function.is_status() {
            return self.status(node, function);
        }
        if let (Function::Default, [value, fallback]) = (function, args) {
            return self.default(value, fallback);
        }
        let infos: Vec<Info> = args.iter().map(|arg| self.value(arg)).collect();
        if infos.iter().any(|info| info.ty == Ty::Error) {
            return Info::ERROR;
        }
        let mut taint = Taint::TRUSTED;
        for (arg, info) in args.iter().zip(&infos) {
            taint = taint.with(whole(info, self.at(arg), &self.text(arg)));
        }
        match function {
            Function::Size => self.size(args, &infos),
            Function::OneOf => self.one_of(args, &infos),
            Function::Slug | Function::AgentHost => {
                self.texts(function, args, &infos);
                let level = taint.level.min(Level::Word);
                Info::new(Ty::STRING, Taint { level, ..taint })
            }
            Function::Join => {
                let list = matches!(&infos[0].ty, Ty::EmptyList)
                    || infos[0].ty.is_open()
                    || matches!(&infos[0].ty, Ty::Known(Type::List(item))
                        if !matches!(**item, Type::List(_) | Type::Map(_) | Type::Record { .. }));
                if !list {
                    let message = format!("join() takes a list of texts, found {}", infos[0].ty);
                    self.error(Code::Operator, args[0].span, message);
                }
                self.texts(function, &args[1..], &infos[1..]);
                Info::new(Ty::STRING, taint)
            }
            Function::Text => {
                self.scalar(function, &args[0], &infos[0], true);
                Info::new(Ty::STRING, taint)
            }
            Function::Int | Function::Float => {
                self.scalar(function, &args[0], &infos[0], false);
                let ty = if function == Function::Int {
                    Type::Int
                } else {
                    Type::Float
                };
                Info::new(Ty::Known(ty), taint)
            }
            Function::StartsWith | Function::EndsWith | Function::Contains => {
                self.texts(function, args, &infos);
                Info::trusted(Ty::BOOL)
            }
            Function::Split => {
                self.texts(function, args, &infos);
                Info::new(Ty::Known(Type::list(Type::String)), taint)
            }
            _ => {
                self.texts(function, args, &infos);
                Info::new(Ty::STRING, taint)
            }
        }
    }

    fn status(&mut self, node: &Node, function: Function) -> Info {
        if !matches!(self.place, Place::Step { when: true, .. }) {
            let message = format!("{}() stands in a step's `when` only", function.name());
            self.error(Code::StatusElsewhere, node.span, message)
                .help("read `steps.key.outcome` or `run.outcome` instead");
        }
        Info::trusted(Ty::BOOL)
    }

    fn default(&mut self, value: &Node, fallback: &Node) -> Info {
        let mut info = self.infer(value);
        if matches!(info.ty, Ty::Space(_)) {
            info = self.used(value, info);
        }
        let other = self.value(fallback);
        if info.ty == Ty::Error || other.ty == Ty::Error {
            return Info::ERROR;
        }
        let joined = info.ty.join(&other.ty);
        if joined == Ty::JSON && !info.ty.is_open() && !other.ty.is_open() && other.ty != Ty::Null {
            let message = format!(
                "default() takes two values of one type, found {} and {}",
                info.ty, other.ty
            );
            self.error(Code::Operator, fallback.span, message);
            return Info::ERROR;
        }
        // `default(json, "x")` is json still.
        let ty = if info.ty == Ty::JSON { Ty::JSON } else { joined };
        Info::new(ty, info.taint.with(other.taint))
    }

    fn size(&mut self, args: &[Node], infos: &[Info]) -> Info {
        let sized = infos[0].ty.is_open()
            || matches!(
                infos[0].ty,
                Ty::EmptyList | Ty::Known(Type::String | Type::List(_) | Type::Map(_) | Type::Record { .. })
            );
        if !sized {
            let message = format!("size() takes a text, a list or a map, found {}", infos[0].ty);
            self.error(Code::Operator, args[0].span, message);
        }
        Info::trusted(Ty::INT)
    }

    fn one_of(&mut self, args: &[Node], infos: &[Info]) -> Info {
        let allowed = whole(&infos[1], self.at(&args[1]), &self.text(&args[1]));
        let item = match &infos[1].ty {
            Ty::Known(Type::List(item)) => (**item).clone(),
            other => {
                let message = format!("one_of(x, list) takes a list of the allowed values, found {other}");
                self.error(Code::Operator, args[1].span, message);
                return Info::ERROR;
            }
        };
        if allowed.level > Level::Trusted {
            let origin = allowed.origin.clone();
            let draft = self.error(
                Code::UntrustedList,
                args[1].span,
                "the allowed values of one_of() are not trusted",
            );
            if let Some(origin) = origin {
                draft.also(origin.at, format!("untrusted: {}", origin.why));
            }
            draft.help("write the allowed values out: one_of(x, [\"a\", \"b\"])");
            return Info::ERROR;
        }
        if !infos[0].ty.comparable(&Ty::Known(item.clone())) {
            let message = format!("{} is never one of a list of {item}", infos[0].ty);
            self.error(Code::Operator, args[0].span, message);
        }
        Info::trusted(Ty::Known(item))
    }

    fn texts(&mut self, function: Function, args: &[Node], infos: &[Info]) {
        let why = format!("{}() takes texts", function.name());
        for (arg, info) in args.iter().zip(infos) {
            self.want(arg, info, &Ty::STRING, &why);
        }
    }

    fn scalar(&mut self, function: Function, arg: &Node, info: &Info, bools: bool) {
        let fits = info.ty.is_open()
            || info.ty.is_number()
            || info.ty == Ty::STRING
            || (bools && info.ty == Ty::BOOL);
        if !fits {
            let message = format!("{}() does not take {}", function.name(), info.ty);
            let draft = self.error(Code::Operator, arg.span, message);
            if bools {
                draft.help("join(list, \", \") makes text of a list");
            }
        }
    }
}
