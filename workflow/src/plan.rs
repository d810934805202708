//! The plan: a workflow compiled and checked. It is what a run pins and what the engine reads; it is stored in the
//! run's first event as JSON, so its form is versioned. Form 2 leaves out what a step does not say ([`lean`]); form 1
//! wrote all of it, and is read as it is.

mod lean;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use types::{
    ArtifactDecl, HostView, IfLost, Millis, Network, Object, OutputDecl, OutputFrom, Pull, Ready, Resources,
    Retry, RuntimeName, Type, Value,
};

use crate::eval::{Expr, Template};

/// A workflow compiled and checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The form of this plan, `Plan::FORMAT`.
    pub format: u32,
    /// The workflow's name.
    pub name: String,
    /// One line for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// SHA-256 of the definition's source, hex.
    pub source_digest: String,
    /// The alerts that start it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_alert: Option<OnAlert>,
    /// Its inputs, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, Input>,
    /// Its steps in the definition's order. Each need stands for a step of the plan; there is no cycle.
    pub steps: Vec<PlanStep>,
}

/// Binds a workflow to alerts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OnAlert {
    /// Reads `alert`; absent means each alert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Expr>,
}

/// A typed input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// Its type.
    #[serde(rename = "type")]
    pub ty: Type,
    /// Its value when none is given; without one it is required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// The allowed values, when not empty.
    #[serde(default, rename = "enum", skip_serializing_if = "Vec::is_empty")]
    pub one_of: Vec<Value>,
    /// One line for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanStep {
    /// `[a-z][a-z0-9_-]*`, unique also with `-` read as `_`.
    pub key: String,
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The steps it waits for: those named in `needs` and those whose outputs it reads.
    /// The steps that it follows are not among them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub needs: BTreeSet<String>,
    /// Its condition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Expr>,
    /// Whether `when` asks for `succeeded()`, `degraded()`, `failed()`, `always()` or `cancelled()`:
    /// then it replaces the default edge.
    #[serde(default, skip_serializing_if = "lean::is_false")]
    pub when_replaces_edge: bool,
    /// Its fan-out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fan_out: Option<FanOut>,
    /// Labels that the agent must have; the values are host labels or trusted text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub runs_on: BTreeMap<String, Template>,
    /// How long it may wait for an agent.
    #[serde(
        default = "lean::ms::<{ lean::PICKUP }>",
        skip_serializing_if = "lean::is_ms::<{ lean::PICKUP }>"
    )]
    pub pickup_ms: Millis,
    /// Each attempt's time.
    #[serde(
        default = "lean::ms::<{ lean::TIMEOUT }>",
        skip_serializing_if = "lean::is_ms::<{ lean::TIMEOUT }>"
    )]
    pub timeout_ms: Millis,
    /// Between TERM and KILL.
    #[serde(
        default = "lean::ms::<{ lean::GRACE }>",
        skip_serializing_if = "lean::is_ms::<{ lean::GRACE }>"
    )]
    pub grace_ms: Millis,
    /// How long an attempt goes on without the server.
    #[serde(
        default = "lean::ms::<{ lean::DISCONNECT }>",
        skip_serializing_if = "lean::is_ms::<{ lean::DISCONNECT }>"
    )]
    pub disconnect_ms: Millis,
    /// When it is tried again.
    #[serde(default = "lean::retry", skip_serializing_if = "lean::is_retry")]
    pub retry: Retry,
    /// Whether its failure only degrades the run.
    #[serde(default, skip_serializing_if = "lean::is_false")]
    pub allow_failure: bool,
    /// What happens when its agent is lost.
    #[serde(default = "lean::if_lost", skip_serializing_if = "lean::is_if_lost")]
    pub if_lost: IfLost,
    /// How long `if-lost: ask` waits for a person.
    #[serde(
        default = "lean::ms::<{ lean::ASK }>",
        skip_serializing_if = "lean::is_ms::<{ lean::ASK }>"
    )]
    pub ask_ms: Millis,
    /// Its declared outputs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<String, OutputDecl>,
    /// What it does.
    pub body: Body,
}

/// Several items of one step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FanOut {
    /// `foreach`: one item for each element of a list.
    Each {
        /// The list.
        items: Template,
        /// How many at once; absent means all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_parallel: Option<u32>,
    },
    /// `follow`: one item for each batch of items that other steps' fan-outs have finished since the last batch.
    /// `each.value` is the list of them. One item at a time; the step ends when they have ended and all is consumed.
    Follow {
        /// The fan-outs that are followed.
        steps: BTreeSet<String>,
        /// How long a batch waits for more before it starts, unless all have landed.
        gather_ms: Millis,
    },
}

/// What a step does.
#[expect(
    clippy::large_enum_variant,
    reason = "most steps are containers, and a plan has each once"
)]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Body {
    /// A built-in action.
    Action {
        /// `slack/war-room`.
        action: String,
        /// Its major version.
        major: u32,
        /// Its signature's digest.
        digest: String,
        /// The connection that the agent must hold.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        connection: Option<String>,
        /// Its parameters; those that are not given have their default already.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        with: BTreeMap<String, Template>,
    },
    /// A fresh container.
    Container {
        /// The action that it is, where it is one of a team's own; its inputs are in `FIREHALL_INPUTS` of `env`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        action: Option<LocalUse>,
        /// The image, a trusted text.
        image: Template,
        /// When it is fetched.
        #[serde(default, skip_serializing_if = "lean::is_least")]
        pull: Pull,
        /// The program and its arguments, each a trusted text.
        argv: Vec<Template>,
        /// Environment.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        env: BTreeMap<String, Template>,
        /// Environment names whose value is an agent's secret.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        secrets: BTreeMap<String, String>,
        /// Those of them that are files below `/run/secrets` and not in the environment.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        secret_files: BTreeSet<String>,
        /// Files that it gets, read-only, by their path.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        files: BTreeMap<String, PlanFile>,
        /// What is kept of it, by name.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        artifacts: BTreeMap<String, ArtifactDecl>,
        /// Limits.
        #[serde(default = "lean::resources", skip_serializing_if = "lean::is_resources")]
        resources: Resources,
        /// Network.
        #[serde(default, skip_serializing_if = "lean::is_least")]
        network: Network,
        /// Host trees.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        host_view: BTreeSet<HostView>,
        /// Working directory.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        workdir: Option<String>,
        /// Numeric user.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user: Option<u32>,
        /// Where outputs are read from.
        #[serde(default, skip_serializing_if = "lean::is_least")]
        output_from: OutputFrom,
        /// The runtime that it must run on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        runtime: Option<RuntimeName>,
        /// What runs beside it, by name.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        services: BTreeMap<String, PlanService>,
    },
}

/// A file of a container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanFile {
    /// What is in it.
    pub from: PlanFileFrom,
    /// Its permissions.
    #[serde(default = "lean::file_mode", skip_serializing_if = "lean::is_file_mode")]
    pub mode: u32,
}

/// Where a file's bytes come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanFileFrom {
    /// A value: text as it is, anything else as JSON.
    Content(Template),
    /// What an earlier step, which has no fan-out, keeps.
    Artifact {
        /// The step's key.
        step: String,
        /// The artifact's name there.
        name: String,
    },
}

/// A container beside a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanService {
    /// The image, a trusted text.
    pub image: Template,
    /// When it is fetched.
    #[serde(default, skip_serializing_if = "lean::is_least")]
    pub pull: Pull,
    /// The program and its arguments, each a trusted text; empty: what the image runs by itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub argv: Vec<Template>,
    /// Environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, Template>,
    /// Environment names whose value is an agent's secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, String>,
    /// Those of them that are files below `/run/secrets` and not in the environment.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub secret_files: BTreeSet<String>,
    /// Files that it gets, by their path.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, PlanFile>,
    /// Limits.
    #[serde(default = "lean::resources", skip_serializing_if = "lean::is_resources")]
    pub resources: Resources,
    /// Working directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workdir: Option<String>,
    /// Numeric user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<u32>,
    /// When the step may start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<Ready>,
}

impl PlanService {
    /// Its values that may hold expressions.
    pub fn templates(&self) -> impl Iterator<Item = &Template> {
        let contents = self.files.values().filter_map(|file| match &file.from {
            PlanFileFrom::Content(content) => Some(content),
            PlanFileFrom::Artifact { .. } => None,
        });
        std::iter::once(&self.image)
            .chain(&self.argv)
            .chain(self.env.values())
            .chain(contents)
    }
}

impl Body {
    /// What runs beside it, by name in order.
    #[must_use]
    pub fn services(&self) -> Option<&BTreeMap<String, PlanService>> {
        match self {
            Self::Action { .. } => None,
            Self::Container { services, .. } => Some(services),
        }
    }
}

/// An action of a team's own, pinned: the plan holds all that it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalUse {
    /// As the definition names it: `./actions/disk`.
    pub uses: String,
    /// SHA-256 of its definition with its code, hex.
    pub digest: String,
}

/// Why inputs do not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputError {
    /// The input's name.
    pub name: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl std::fmt::Display for InputError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "input {:?}: {}", self.name, self.message)
    }
}

impl Plan {
    /// The form that this build writes.
    pub const FORMAT: u32 = 2;

    /// A step by its key.
    #[must_use]
    pub fn step(&self, key: &str) -> Option<&PlanStep> {
        self.steps.iter().find(|step| step.key == key)
    }

    /// Fills in defaults and checks types and allowed values.
    ///
    /// # Errors
    /// Every input that is unknown, missing, mistyped or not allowed.
    pub fn bind_inputs(&self, given: &Object) -> Result<Object, Vec<InputError>> {
        let mut bound = Object::new();
        let mut errors = Vec::new();
        let mut wrong = |name: &str, message: String| {
            errors.push(InputError {
                name: name.to_owned(),
                message,
            })
        };
        for name in given.keys().filter(|name| !self.inputs.contains_key(*name)) {
            let known = self.inputs.keys().map(String::as_str);
            match crate::nearest(name, known) {
                Some(near) => wrong(
                    name,
                    format!("no such input of {}; did you mean {near:?}?", self.name),
                ),
                None => wrong(name, format!("no such input of {}", self.name)),
            }
        }
        for (name, input) in &self.inputs {
            match given.get(name).or(input.default.as_ref()) {
                None => wrong(name, format!("required ({}) and not given", input.ty)),
                Some(value) => match input.ty.check(value) {
                    Err(error) => wrong(name, error.to_string()),
                    Ok(()) if !input.one_of.is_empty() && !input.one_of.contains(value) => {
                        let allowed: Vec<String> = input.one_of.iter().map(ToString::to_string).collect();
                        wrong(name, format!("not one of {}", allowed.join(", ")));
                    }
                    Ok(()) => drop(bound.insert(name.clone(), value.clone())),
                },
            }
        }
        if errors.is_empty() { Ok(bound) } else { Err(errors) }
    }
}

impl PlanStep {
    /// The steps whose items it follows.
    pub fn followed(&self) -> impl Iterator<Item = &String> {
        let steps = match &self.fan_out {
            Some(FanOut::Follow { steps, .. }) => Some(steps),
            Some(FanOut::Each { .. }) | None => None,
        };
        steps.into_iter().flatten()
    }

    /// The steps before it: those that it needs, then those that it follows.
    pub fn before(&self) -> impl Iterator<Item = &String> {
        self.needs.iter().chain(self.followed())
    }

    /// Whether one of its expressions may read `run`. A false yes costs time only.
    #[must_use]
    pub fn reads_run(&self) -> bool {
        fn in_expr(expr: &Expr) -> bool {
            expr.0
                .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .any(|word| word == "run")
        }
        fn in_template(template: &Template) -> bool {
            match template {
                Template::Literal(_) => false,
                Template::Expr(expr) => in_expr(expr),
                Template::Concat(parts) | Template::List(parts) => parts.iter().any(in_template),
                Template::Map(parts) => parts.values().any(in_template),
            }
        }
        let body = match &self.body {
            Body::Action { with, .. } => with.values().any(in_template),
            Body::Container {
                image,
                argv,
                env,
                files,
                services,
                ..
            } => {
                let in_file = |file: &PlanFile| match &file.from {
                    PlanFileFrom::Content(content) => in_template(content),
                    PlanFileFrom::Artifact { .. } => false,
                };
                let beside = services.values().flat_map(PlanService::templates);
                let mut values = argv.iter().chain(env.values()).chain(beside);
                in_template(image) || values.any(in_template) || files.values().any(in_file)
            }
        };
        let items = matches!(&self.fan_out, Some(FanOut::Each { items, .. }) if in_template(items));
        body || items || self.when.as_ref().is_some_and(in_expr) || self.runs_on.values().any(in_template)
    }
}
