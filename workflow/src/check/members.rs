//! What stands behind `inputs.`, `trigger.`, `steps.`, `each.`.

use std::rc::Rc;

use types::Trust;

use super::{
    infer::{Infer, Place, list_of},
    info::{Absence, Info, Space, Taint, Ty},
};
use crate::{
    code::Code,
    expr::{Node, Span},
};

impl Infer<'_> {
    pub(crate) fn member(&mut self, space: Space, name: &str, name_span: Span, node: &Node) -> Info {
        match space {
            Space::Inputs => self.input(name, name_span),
            Space::Trigger => self.trigger(name, name_span, node),
            Space::Steps => self.step(name, name_span),
            Space::Step(index) => self.of_step(index, name, name_span, node),
            Space::Outputs(index) => self.output(index, name, name_span, node),
            Space::Each => self.each(name, name_span, node),
        }
    }

    fn unknown<'n>(
        &mut self,
        code: Code,
        span: Span,
        message: String,
        name: &str,
        known: impl IntoIterator<Item = &'n str> + Clone,
    ) -> Info {
        let at = self.expr.loc(span);
        self.sink.error(code, at, message).nearest(at, name, known);
        Info::ERROR
    }

    fn input(&mut self, name: &str, span: Span) -> Info {
        let world = self.world;
        match world.inputs.get(name) {
            Some(index) => world.input(*index),
            None => {
                let message = format!("the workflow has no input `{name}`");
                let at = self.expr.loc(span);
                let draft = self.sink.error(Code::UnknownInput, at, message);
                draft.nearest(at, name, world.inputs.keys().copied());
                if world.inputs.is_empty() {
                    draft.help(format!("declare it at the top: `inputs: {{ {name}: string }}`"));
                }
                Info::ERROR
            }
        }
    }

    fn trigger(&mut self, name: &str, span: Span, node: &Node) -> Info {
        match name {
            "alert" => self.world.alert(self.at(node)),
            "incident_id" => {
                let mut info = Info::trusted(Ty::STRING);
                info.absent = Some(Rc::new(Absence {
                    path: "trigger.incident_id".to_owned(),
                    why: "a run may have been started without an incident".to_owned(),
                    at: None,
                }));
                info
            }
            _ => {
                let message = format!("`trigger` has no `{name}`");
                self.unknown(Code::UnknownField, span, message, name, ["alert", "incident_id"])
            }
        }
    }

    fn step(&mut self, name: &str, span: Span) -> Info {
        let world = self.world;
        if let Some(index) = world.by_name.get(name) {
            if matches!(self.place, Place::Step { index: own, .. } if own == index) {
                // Said where the graph is made.
                return Info::ERROR;
            }
            return Info::trusted(Ty::Space(Space::Step(*index)));
        }
        let names = world.by_name.keys().map(String::as_str);
        let message = format!("there is no step `{name}`");
        self.unknown(Code::UnknownStep, span, message, name, names)
    }

    fn followed(&self, index: usize) -> bool {
        let Place::Step { index: own, .. } = self.place else {
            return false;
        };
        let steps = &self.world.spec.steps;
        matches!(&steps[*own].fan, Some(crate::spec::FanSpec::Follow { steps: followed, .. })
            if followed.iter().any(|key| key.value == steps[index].key.value))
    }

    /// Why what a step put out may not be there for the step at hand.
    fn step_absence(&self, index: usize, path: &str) -> Option<Rc<Absence>> {
        let any_end = matches!(self.place, Place::Step { any_end: true, .. });
        let (why, at) = if self.followed(index) {
            ("the step is followed and may not have ended", None)
        } else if let Some((at, why)) = self.world.facts[index].absent {
            (why, Some(at))
        } else if any_end {
            ("this step's `when` lets it start though that step failed", None)
        } else {
            return None;
        };
        Some(Rc::new(Absence {
            path: path.to_owned(),
            why: why.to_owned(),
            at,
        }))
    }

    fn of_step(&mut self, index: usize, name: &str, span: Span, node: &Node) -> Info {
        let facts = &self.world.facts[index];
        let key = &self.world.spec.steps[index].key;
        let path = node.path().map_or_else(|| self.text(node), |path| path.join("."));
        let absent = self.step_absence(index, &path);
        let mut info = match name {
            "outcome" => {
                let mut info = Info::trusted(Ty::STRING);
                info.absent = if self.followed(index) { absent } else { None };
                return info;
            }
            "items" if facts.fan => {
                let item = self.world.item(index);
                Info::new(list_of(item.ty), item.taint)
            }
            "outputs" if !facts.fan => Info::trusted(Ty::Space(Space::Outputs(index))),
            "outputs" | "items" => {
                let (has, other) = if facts.fan {
                    ("items", "outputs")
                } else {
                    ("outputs", "items")
                };
                let why = if facts.fan {
                    "is a fan-out"
                } else {
                    "is no fan-out"
                };
                let message = format!("`{}` {why}: it has `{has}`, not `{other}`", key.value);
                let (at, key_at) = (self.expr.loc(span), key.at);
                let draft = self.sink.error(Code::ItemsOrOutputs, at, message);
                draft.also(key_at, "the step");
                if facts.fan {
                    draft.help(format!(
                        "read them all: `{}.items.map(i, i.outcome)`",
                        path.trim_end_matches(".outputs")
                    ));
                } else {
                    draft.help(
                        "only a step with `foreach` or `follow` has `items`; read one of its `outputs`",
                    );
                }
                return Info::ERROR;
            }
            _ => {
                let known = if facts.fan {
                    ["items", "outcome"]
                } else {
                    ["outputs", "outcome"]
                };
                let message = format!("a step has no `{name}`");
                if facts.outputs.contains_key(name) && !facts.fan {
                    let at = self.expr.loc(span);
                    self.sink
                        .error(Code::UnknownField, at, message)
                        .help("an output is read through `outputs`")
                        .suggest(at, format!("outputs.{name}"));
                    return Info::ERROR;
                }
                return self.unknown(Code::UnknownField, span, message, name, known);
            }
        };
        info.absent = absent;
        info
    }

    fn output(&mut self, index: usize, name: &str, span: Span, node: &Node) -> Info {
        let facts = &self.world.facts[index];
        let step = &self.world.spec.steps[index];
        let Some(output) = facts.outputs.get(name) else {
            if !facts.known {
                return Info::ERROR;
            }
            let known: Vec<&str> = facts.outputs.keys().map(String::as_str).collect();
            let message = format!("the step `{}` has no output `{name}`", step.key.value);
            let (at, key_at) = (self.expr.loc(span), step.key.at);
            let action = self.world.signature(step).is_some();
            let draft = self.sink.error(Code::UnknownOutput, at, message);
            draft
                .also(key_at, "the step")
                .nearest(at, name, known.iter().copied());
            if known.is_empty() && !action {
                draft.help(format!("declare it there: `outputs: {{ {name}: string }}`"));
            }
            return Info::ERROR;
        };
        let Some(ty) = output.ty.clone() else {
            return Info::ERROR;
        };
        let taint = match output.trust {
            Trust::Trusted => Taint::TRUSTED,
            Trust::Untrusted => Taint::of(
                Trust::Untrusted,
                self.at(node),
                self.text(node),
                output.why.clone(),
            ),
        };
        let mut info = Info::new(Ty::Known(ty), taint);
        if output.optional {
            info.absent = Some(Rc::new(Absence {
                path: node.path().map_or_else(|| self.text(node), |path| path.join(".")),
                why: "the output is optional".to_owned(),
                at: Some(output.at),
            }));
        }
        info
    }

    fn each(&mut self, name: &str, span: Span, node: &Node) -> Info {
        let Place::Step { each: Some(each), .. } = self.place else {
            return Info::ERROR;
        };
        match name {
            "value" => {
                let mut info = each.clone();
                info.taint = info
                    .taint
                    .via(self.at(node), "each.value", "an item of the fan-out");
                info
            }
            "index" => Info::trusted(Ty::INT),
            _ => {
                let message = format!("`each` has no `{name}`");
                self.unknown(Code::UnknownField, span, message, name, ["value", "index"])
            }
        }
    }
}
