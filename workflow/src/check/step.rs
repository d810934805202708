//! A step checked and turned into the plan's.

use std::collections::{BTreeMap, BTreeSet};

use types::{IfLost, Millis, OutputDecl, Signature, Trust, Type, limits};

use super::{
    edges::Edges,
    files,
    infer::Place,
    info::{Info, Level},
    sinks::{Checker, Wanted},
    world::World,
};
use crate::{
    Body, Expr, FanOut, LocalUse, PlanService, PlanStep, Template,
    code::Code,
    diagnostic::{Loc, Sink},
    expr::{BinaryOp, Function, Kind, Node},
    spec::{ActionDef, At, BodySpec, ContainerSpec, FanSpec, ServiceSpec, StepSpec, short},
    template::Tpl,
};

/// How long `if-lost: ask` waits for a person by default.
const ASK_MS: Millis = 600_000;
/// How long a batch of `follow` waits for more by default.
const GATHER_MS: Millis = 100;
/// Where an action of a team's own finds its inputs, as one JSON object.
const INPUTS: &str = "FIREHALL_INPUTS";

/// Checks a step; also gives what an item of its fan-out is.
pub(crate) fn check(world: &World<'_>, sink: &mut Sink, edges: &Edges, index: usize) -> (PlanStep, Info) {
    let step = &world.spec.steps[index];
    let status = step.when.as_ref().and_then(|when| when.node.as_ref());
    let replaces = status.is_some_and(reads_status);
    let any_end = replaces && !status.is_some_and(implies_success);
    let place = |when, each| Place::Step {
        index,
        each,
        when,
        any_end,
    };
    let mut checker = Checker {
        world,
        sink,
        place: place(true, None),
        present: Vec::new(),
    };
    if let Some(when) = &step.when {
        checker.condition(when);
    }
    checker.place = place(false, None);
    let (item, fan_out) = fan(&mut checker, step, index);
    checker.place = place(false, step.fan.is_some().then(|| item.clone()));
    let runs_on = runs_on(&mut checker, step);
    let signature = world.signature(step);
    let body = body(&mut checker, step, signature);
    let plan = assemble(step, edges, index, signature, (runs_on, fan_out, body, replaces));
    (plan, item)
}

fn assemble(
    step: &StepSpec,
    edges: &Edges,
    index: usize,
    signature: Option<&Signature>,
    parts: (BTreeMap<String, Template>, Option<FanOut>, Body, bool),
) -> PlanStep {
    let (runs_on, fan_out, body, when_replaces_edge) = parts;
    let timeout_ms = step
        .timeout
        .or(signature.map(|signature| signature.timeout_ms))
        .unwrap_or(limits::TIMEOUT_MS);
    let (if_lost, ask) = step.if_lost.unwrap_or((
        signature.map_or(IfLost::Fail, |signature| signature.if_lost),
        None,
    ));
    let disconnect_ms = step.disconnect.unwrap_or(match if_lost {
        IfLost::Rerun => limits::DISCONNECT_RERUN_MS,
        IfLost::Fail | IfLost::Ask => timeout_ms.min(limits::DISCONNECT_MAX_MS),
    });
    let declared = |ty: &Type, optional| OutputDecl {
        ty: ty.clone(),
        optional,
    };
    let outputs = match signature {
        Some(signature) => signature
            .outputs
            .iter()
            .map(|(name, output)| (name.clone(), declared(&output.ty, output.optional)))
            .collect(),
        None => step
            .outputs
            .iter()
            .filter_map(|output| {
                let ty = output.ty.as_ref()?;
                Some((output.name.value.clone(), declared(ty, output.optional)))
            })
            .collect(),
    };
    PlanStep {
        key: step.key.value.clone(),
        name: step.name.clone(),
        needs: edges.needs[index].clone(),
        when: step.when.as_ref().map(|when| Expr(when.source.clone())),
        when_replaces_edge,
        fan_out,
        runs_on,
        pickup_ms: step.pickup.unwrap_or(limits::PICKUP_MS),
        timeout_ms,
        grace_ms: step.grace.unwrap_or(limits::GRACE_MS),
        disconnect_ms,
        retry: step.retry.clone(),
        allow_failure: step.allow_failure.is_some(),
        if_lost,
        ask_ms: ask.unwrap_or(ASK_MS),
        outputs,
        body,
    }
}

fn reads_status(node: &Node) -> bool {
    matches!(&node.kind, Kind::Call { function, .. } if function.is_status())
        || node.children().into_iter().any(reads_status)
}

/// Whether it holds only when all needs' edges hold.
fn implies_success(node: &Node) -> bool {
    match &node.kind {
        Kind::Call { function, .. } => *function == Function::Succeeded,
        Kind::Binary {
            op: BinaryOp::And,
            left,
            right,
        } => implies_success(left) || implies_success(right),
        _ => false,
    }
}

fn fan(checker: &mut Checker<'_>, step: &StepSpec, index: usize) -> (Info, Option<FanOut>) {
    match &step.fan {
        None => (Info::ERROR, None),
        Some(FanSpec::Each { items, max_parallel }) => {
            let (item, template) = checker.list_item(items);
            let fan = FanOut::Each {
                items: template,
                max_parallel: *max_parallel,
            };
            (item, Some(fan))
        }
        Some(FanSpec::Follow { steps, gather }) => {
            let item = batch(checker, steps, index);
            let fan = FanOut::Follow {
                steps: steps.iter().map(|key| key.value.clone()).collect(),
                gather_ms: gather.unwrap_or(GATHER_MS),
            };
            (item, Some(fan))
        }
    }
}

/// What `each.value` of a follower is: a list of the followed steps' items.
fn batch(checker: &mut Checker<'_>, steps: &[At<String>], own: usize) -> Info {
    let mut whole: Option<Info> = None;
    for key in steps {
        let Some(index) = checker.world.step_key(&key.value).filter(|index| *index != own) else {
            return Info::ERROR;
        };
        if !matches!(checker.world.spec.steps[index].fan, Some(FanSpec::Each { .. })) {
            return Info::ERROR;
        }
        let item = checker.world.item(index);
        whole = Some(match whole {
            None => item,
            Some(before) if before.ty == item.ty => Info::new(before.ty, before.taint.with(item.taint)),
            Some(before) => {
                // Several kinds of items: what all have in common, with values and outputs as json.
                let common = types::CheckItem::ty(Type::Json, Type::Json);
                Info::new(super::info::Ty::Known(common), before.taint.with(item.taint))
            }
        });
    }
    match whole {
        Some(item) => Info::new(super::infer::list_of(item.ty), item.taint),
        None => Info::ERROR,
    }
}

fn runs_on(checker: &mut Checker<'_>, step: &StepSpec) -> BTreeMap<String, Template> {
    let mut labels = BTreeMap::new();
    for (key, _, value) in &step.runs_on {
        let what = format!("the label `{key}` of `runs-on`");
        labels.insert(key.clone(), checker.template(value, &text(&what, Level::Word)));
    }
    labels
}

fn text(what: &str, level: Level) -> Wanted<'_> {
    Wanted {
        what,
        level,
        ty: &Type::String,
        to_text: true,
    }
}

fn body(checker: &mut Checker<'_>, step: &StepSpec, signature: Option<&Signature>) -> Body {
    match &step.body {
        BodySpec::Action { uses, with } => action(checker, uses, with, signature),
        BodySpec::Container(container) => container_body(checker, container),
        // There is an error, so there will be no plan.
        BodySpec::Wrong => Body::Action {
            action: String::new(),
            major: 0,
            digest: String::new(),
            connection: None,
            with: BTreeMap::new(),
        },
    }
}

fn action(
    checker: &mut Checker<'_>,
    uses: &At<String>,
    with: &[(String, Loc, Tpl)],
    signature: Option<&Signature>,
) -> Body {
    let mut given = BTreeMap::new();
    let Some(signature) = signature else {
        unknown_action(checker, uses);
        // The values' own errors are still worth saying.
        for (_, _, value) in with {
            checker.template(
                value,
                &Wanted {
                    what: "`with`",
                    level: Level::Untrusted,
                    ty: &Type::Json,
                    to_text: false,
                },
            );
        }
        return Body::Action {
            action: uses.value.clone(),
            major: 0,
            digest: String::new(),
            connection: None,
            with: given,
        };
    };
    let mut misspelt = BTreeSet::new();
    for (name, at, value) in with {
        let Some(param) = signature.params.get(name) else {
            let known = signature.params.keys().map(String::as_str);
            let draft = checker
                .sink
                .error(
                    Code::UnknownParam,
                    *at,
                    format!("`{}` has no parameter `{}`", signature.name, short(name)),
                )
                .nearest(*at, name, known);
            misspelt.extend(draft.suggestion.as_ref().map(|(_, meant)| meant.clone()));
            continue;
        };
        let what = format!("the parameter `{name}` of `{}`", signature.name);
        let level = match param.takes {
            Trust::Trusted => Level::Word,
            Trust::Untrusted => Level::Untrusted,
        };
        let wanted = Wanted {
            what: &what,
            level,
            ty: &param.ty,
            to_text: false,
        };
        given.insert(name.clone(), checker.template(value, &wanted));
    }
    for (name, param) in &signature.params {
        if misspelt.contains(name) || with.iter().any(|(given, _, _)| given == name) {
            continue;
        }
        if let Some(default) = &param.default {
            given.insert(name.clone(), Template::Literal(default.clone()));
        } else if param.required {
            checker
                .sink
                .error(
                    Code::MissingParam,
                    uses.at,
                    format!("`{}` needs the parameter `{name}` ({})", signature.name, param.ty),
                )
                .help(format!("add `{name}: …` to `with`: {}", param.doc));
        }
    }
    if let Some(def) = checker.world.spec.actions.defs.get(&uses.value) {
        return own_action(def, given);
    }
    Body::Action {
        action: signature.name.clone(),
        major: signature.major,
        digest: signature.digest(),
        connection: connection(checker, signature, with, &given),
        with: given,
    }
}

/// A container whose inputs are one JSON object in its environment.
fn own_action(def: &ActionDef, given: BTreeMap<String, Template>) -> Body {
    let container = &def.container;
    // It has been lowered to plain texts.
    let literal = |value: &Tpl| Template::Literal(value.constant().unwrap_or_default());
    let mut env: BTreeMap<String, Template> = container
        .env
        .iter()
        .map(|(name, _, value)| (name.clone(), literal(value)))
        .collect();
    env.insert(INPUTS.to_owned(), Template::Map(given));
    Body::Container {
        action: Some(LocalUse {
            uses: def.signature.name.clone(),
            digest: def.digest.clone(),
        }),
        image: literal(&container.image),
        pull: container.pull,
        argv: container.argv.iter().map(literal).collect(),
        env,
        secrets: container.secrets.iter().cloned().collect(),
        secret_files: container.secret_files.clone(),
        files: BTreeMap::new(),
        artifacts: BTreeMap::new(),
        resources: container.resources,
        network: container.network,
        host_view: container.host_view.clone(),
        workdir: container.workdir.clone(),
        user: container.user,
        output_from: container.output_from,
        runtime: container.runtime,
        services: BTreeMap::new(),
    }
}

/// What an agent must hold. A connection that a parameter names is known before anything runs, or no agent could be
/// chosen for it.
fn connection(
    checker: &mut Checker<'_>,
    signature: &Signature,
    with: &[(String, Loc, Tpl)],
    given: &BTreeMap<String, Template>,
) -> Option<String> {
    let Some(by) = &signature.connection_by else {
        return signature.connection.clone();
    };
    match given.get(by)? {
        Template::Literal(types::Value::String(name)) => Some(signature.connection_named(name)),
        Template::Literal(_) => None,
        _ => {
            let at = with.iter().find(|(name, _, _)| name == by)?.2.at;
            let message = format!("the parameter `{by}` of `{}` takes no expression", signature.name);
            checker.sink.error(Code::BadValue, at, message).help(
                "write the connection's name: an agent that holds it is looked for before the step runs",
            );
            None
        }
    }
}

fn unknown_action(checker: &mut Checker<'_>, uses: &At<String>) {
    let local = &checker.world.spec.actions;
    if local.wrong.contains(&uses.value) {
        return;
    }
    if let Some(why) = local.absent.get(&uses.value) {
        let message = format!("the action `{}` cannot be read: {why}", short(&uses.value));
        checker
            .sink
            .error(Code::UnknownAction, uses.at, message)
            .help("`uses` names a folder beside the definition that has an action.yaml");
        return;
    }
    let catalogue = &checker.world.catalogue.0;
    let message = format!("there is no action `{}`", short(&uses.value));
    let draft = checker.sink.error(Code::UnknownAction, uses.at, message);
    let plain = uses.value.split('@').next().unwrap_or_default();
    if plain != uses.value && catalogue.contains_key(plain) {
        draft
            .help("an action is named without a version; a run pins the one that it was compiled with")
            .suggest(uses.at, plain);
        return;
    }
    if crate::is_local(&uses.value) {
        draft.help(
            "its folder comes along when `firehall` reads the definition from a file; elsewhere it stands under `actions`",
        );
        return;
    }
    if uses.value.starts_with("docker://") || uses.value.contains(".io/") {
        draft.help("`uses` names a built-in action; a container's image stands in `image`");
        return;
    }
    draft.nearest(uses.at, &uses.value, catalogue.keys().map(String::as_str));
    if draft.suggestion.is_none() {
        draft.help(
            "`firehall actions` lists them; what none of them does, a container does: `image` with `run`",
        );
    }
}

fn container_body(checker: &mut Checker<'_>, container: &ContainerSpec) -> Body {
    let (image, argv, env) = contents(checker, container, "");
    let mut bytes = 0;
    let files = files::check(checker, container, &image, &mut bytes);
    let services = container.services.iter().map(|service| {
        let name = &service.name.value;
        (name.clone(), self::service(checker, service, &mut bytes))
    });
    let services = services.collect();
    Body::Container {
        action: None,
        image,
        pull: container.pull,
        argv,
        env,
        services,
        secrets: container.secrets.iter().cloned().collect(),
        secret_files: container.secret_files.clone(),
        files,
        artifacts: container
            .artifacts
            .iter()
            .map(|artifact| (artifact.name.value.clone(), artifact.decl.clone()))
            .collect(),
        resources: container.resources,
        network: container.network,
        host_view: container.host_view.clone(),
        workdir: container.workdir.clone(),
        user: container.user,
        output_from: container.output_from,
        runtime: container.runtime,
    }
}

fn service(checker: &mut Checker<'_>, service: &ServiceSpec, bytes: &mut usize) -> PlanService {
    let container = &service.container;
    let (image, argv, env) = contents(
        checker,
        container,
        &format!(" of the service `{}`", service.name.value),
    );
    let files = files::check(checker, container, &image, bytes);
    PlanService {
        image,
        pull: container.pull,
        argv,
        env,
        secrets: container.secrets.iter().cloned().collect(),
        secret_files: container.secret_files.clone(),
        files,
        resources: container.resources,
        workdir: container.workdir.clone(),
        user: container.user,
        ready: service.ready.clone(),
    }
}

/// Image, program and environment, of the step itself or `of` another.
fn contents(
    checker: &mut Checker<'_>,
    container: &ContainerSpec,
    of: &str,
) -> (Template, Vec<Template>, BTreeMap<String, Template>) {
    let image = checker.template(&container.image, &text(&format!("`image`{of}"), Level::Trusted));
    if matches!(&image, Template::Literal(types::Value::String(name)) if name.trim().is_empty()) {
        checker
            .sink
            .error(
                Code::BadValue,
                container.image.at,
                format!("`image`{of} is empty"),
            )
            .help("write `image: alpine:3.22`, or `image: host` for the agent's own system");
    }
    let mut argv = Vec::with_capacity(container.argv.len());
    for (position, value) in container.argv.iter().enumerate() {
        // A cleaned word is harmless as an argument; as a program it would be an outsider's choice.
        let (what, level) = match position {
            0 => ("the program of `command`", Level::Trusted),
            _ => ("an argument of `command`", Level::Word),
        };
        argv.push(checker.template(value, &text(&format!("{what}{of}"), level)));
    }
    let mut env = BTreeMap::new();
    for (name, _, value) in &container.env {
        let what = format!("`{name}` of `env`{of}");
        env.insert(
            name.clone(),
            checker.template(value, &text(&what, Level::Untrusted)),
        );
    }
    (image, argv, env)
}

/// The needs that a step has no right to name twice over.
pub(crate) fn followed(step: &StepSpec) -> BTreeSet<&str> {
    match &step.fan {
        Some(FanSpec::Follow { steps, .. }) => steps.iter().map(|key| key.value.as_str()).collect(),
        _ => BTreeSet::new(),
    }
}
