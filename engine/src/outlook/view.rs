//! The outlook as data. Its JSON form is documented in docs/plan.md: fields are added, never changed.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use types::{HostView, IfLost, Millis, Network, Ready, RuntimeName, Value};

/// What a run would do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outlook {
    /// The workflow's name.
    pub name: String,
    /// One line for people.
    pub description: Option<String>,
    /// SHA-256 of the definition's source, hex.
    pub version: String,
    /// Its inputs, by name.
    pub inputs: Vec<InputOutlook>,
    /// Whether alerts start it, and whether this one would.
    pub triggers: Triggers,
    /// Its steps, in the definition's order.
    pub steps: Vec<StepOutlook>,
    /// The outside effects in the order in which they can happen; those of one level in any order.
    pub effects: Vec<EffectOutlook>,
    /// The scopes that it needs, by vendor.
    pub scopes: BTreeMap<String, Scopes>,
    /// Secrets that agents must hold.
    pub secrets: Vec<Needed>,
    /// Connections that agents must hold.
    pub connections: Vec<Needed>,
    /// What agents' operators must have granted: `host-view:proc`, `network:host`.
    pub grants: Vec<Needed>,
    /// The longest that a run can take when no agent is lost and no vendor asks for a longer wait.
    pub worst_case_ms: Millis,
    /// The steps that take that long, first to last.
    pub worst_case_path: Vec<String>,
    /// The same when agents are lost at the worst moments; a person's `resolve … --as rerun` may prolong it.
    pub worst_case_lost_ms: Millis,
    /// Where it could wait, in the steps' order.
    pub could_wait: Vec<Wait>,
    /// What only a run finds out, and which steps read it.
    pub unknown: Vec<Unknown>,
}

/// An input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InputOutlook {
    /// Its name.
    pub name: String,
    /// Its type: `list<string>`.
    #[serde(rename = "type")]
    pub ty: String,
    /// One line for people.
    pub description: Option<String>,
    /// Its value; absent when it is required and was not given.
    pub value: Option<Value>,
    /// Where the value is from.
    pub from: InputFrom,
}

/// Where an input's value is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputFrom {
    /// The caller.
    Given,
    /// The definition.
    Default,
    /// Nowhere: a run is refused without it.
    Missing,
}

/// What starts it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Triggers {
    /// Whether alerts start it at all.
    pub by_alert: bool,
    /// Its `on.alert.when`.
    pub when: Option<String>,
    /// Whether this alert would start it; absent when there is none to ask about.
    pub starts: Option<bool>,
    /// Why, or why not.
    pub why: String,
    /// The alert, in brief.
    pub alert: Option<AlertBrief>,
}

/// What an alert says, as it was understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertBrief {
    /// `datadog`, `generic`, `manual`.
    pub source: String,
    /// The vendor's own id.
    pub id: String,
    /// The source's words.
    pub title: String,
    /// `critical` … `unknown`.
    pub severity: String,
    /// `firing`, `no_data`, `resolved`, `unknown`.
    pub state: String,
    /// Affected hosts.
    pub hosts: Vec<String>,
}

/// A value as far as it is known before a run: exactly one of these.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Foreseen {
    /// Known.
    Value(Value),
    /// Known, and too large to be shown: its bytes of JSON.
    Large(usize),
    /// It has no value, and the step or item will fail for it: the evaluator's words.
    Wrong(String),
    /// Known at run time only.
    Later {
        /// What is evaluated then.
        expression: String,
        /// What it waits for: `steps.parse.outputs.incident`, `trigger.alert`, `each.value`, `run`, `needs`.
        waits_for: BTreeSet<String>,
    },
}

/// A step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepOutlook {
    /// Its key.
    pub name: String,
    /// A name for people.
    pub title: Option<String>,
    /// 0 for those that wait for no step; else one more than the highest of those it waits for.
    pub level: usize,
    /// The steps it waits for, those it follows among them.
    pub depends: BTreeSet<String>,
    /// What it does.
    pub does: Does,
    /// Where.
    #[serde(rename = "where")]
    pub place: Where,
    /// Its condition.
    pub when: Option<Condition>,
    /// Its items, when it has several.
    pub fan_out: Option<FanOutlook>,
    /// What it does outside.
    pub effect: EffectKind,
    /// How long each try waits for an agent.
    pub pickup_ms: Millis,
    /// Each try's time.
    pub timeout_ms: Millis,
    /// Tries at most, lost agents aside.
    pub attempts: u32,
    /// The longest that it can take once it is ready, all its items together.
    pub worst_case_ms: Millis,
    /// Whether its failure only degrades the run.
    pub may_fail: bool,
    /// What happens when its agent is lost.
    pub if_lost: IfLost,
    /// Certainly skipped: its condition is known to be false.
    pub skipped: bool,
    /// What its values and conditions wait for.
    pub waits_for: BTreeSet<String>,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Does {
    /// A built-in action.
    Action {
        /// `slack/war-room`.
        action: String,
        /// One line for people; absent when this build does not know the action.
        doc: Option<String>,
        /// Its parameters.
        with: BTreeMap<String, Foreseen>,
    },
    /// A fresh container.
    Container {
        /// The action of the team's own that it is: `./actions/disk`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        action: Option<String>,
        /// The image; `host` is the agent's own system, read-only.
        image: Foreseen,
        /// The program and its arguments.
        argv: Vec<Foreseen>,
        /// Its environment, secrets aside.
        env: BTreeMap<String, Foreseen>,
        /// What it may reach.
        reach: Reach,
        /// Memory and swap together.
        memory_bytes: u64,
        /// Processes and threads.
        pids: u32,
        /// Thousandths of a core.
        cpu_millis: Option<u32>,
        /// What runs beside it, in its network, by name.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        services: BTreeMap<String, Beside>,
    },
}

/// A service of a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Beside {
    /// The image.
    pub image: Foreseen,
    /// The program and its arguments; empty: what the image runs by itself.
    pub argv: Vec<Foreseen>,
    /// Its environment, secrets aside.
    pub env: BTreeMap<String, Foreseen>,
    /// When the step may start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<Ready>,
    /// Memory and swap together.
    pub memory_bytes: u64,
    /// Processes and threads.
    pub pids: u32,
    /// Thousandths of a core.
    pub cpu_millis: Option<u32>,
}

/// What a container may reach outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// Its network.
    pub network: Network,
    /// The host's own trees, read-only.
    pub host_view: BTreeSet<HostView>,
}

/// Where a step runs: an agent that has all of this.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Where {
    /// Labels.
    pub runs_on: BTreeMap<String, Foreseen>,
    /// An action with this very signature.
    pub action: Option<String>,
    /// A usable container runtime.
    pub runtime: bool,
    /// Which one it must be; absent for any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime_named: Option<RuntimeName>,
    /// A connection.
    pub connection: Option<String>,
    /// Secrets by their names on the agent.
    pub secrets: BTreeSet<String>,
    /// Grants of its operator.
    pub grants: BTreeSet<String>,
    /// The agents of now; absent when they were not asked.
    pub agents: Option<Agents>,
}

/// Which agents fit, as of now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agents {
    /// All that have what is known to be wanted, connected or not.
    pub fit: Vec<String>,
    /// The one that would take it now.
    pub takes: Option<String>,
    /// Why none would take it now.
    pub why_none: Option<String>,
    /// Labels that only a run finds out: the agents must have them too.
    pub open_labels: Vec<String>,
}

/// A condition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    /// The expression.
    pub expression: String,
    /// What it comes to.
    pub value: Foreseen,
    /// Whether it is asked although a need failed.
    pub replaces_edge: bool,
}

/// Several items of one step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FanOutlook {
    /// `foreach`.
    Each {
        /// How many; absent when only a run finds out.
        count: Option<usize>,
        /// At most so many.
        most: usize,
        /// How many at once; absent means all.
        max_parallel: Option<u32>,
        /// The list, as far as it is known.
        from: Foreseen,
        /// The first items, when they are known.
        items: Vec<Item>,
    },
    /// `follow`: a batch at a time of what other fan-outs have finished.
    Follow {
        /// Whose items.
        steps: BTreeSet<String>,
        /// How long a batch waits for more.
        gather_ms: Millis,
    },
}

/// An item of a fan-out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// Its place in the list.
    pub index: usize,
    /// Its value.
    pub value: Foreseen,
    /// The labels that its agent must have.
    pub runs_on: BTreeMap<String, Foreseen>,
    /// Why it would be refused, when it is known that it would be.
    pub refused: Option<String>,
    /// The agents of now.
    pub agents: Option<Agents>,
}

/// What a step does outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EffectKind {
    /// Computes only.
    None,
    /// Reads from a vendor.
    Reads,
    /// Changes something at a vendor.
    Writes,
    /// Runs a program on the agent's host; what it does is up to the program, within what it may reach.
    Program,
    /// An action that this build does not know.
    Unknown,
}

/// An outside effect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EffectOutlook {
    /// The step.
    pub step: String,
    /// Its level in the graph.
    pub level: usize,
    /// What kind of effect.
    pub effect: EffectKind,
    /// The action's name, or the image.
    pub by: String,
    /// Whose API: `slack`, `datadog`; absent for programs.
    pub vendor: Option<String>,
    /// What it does, in the action's words; absent for programs.
    pub doc: Option<String>,
    /// What a program may reach.
    pub reach: Option<Reach>,
    /// How often without retries: exactly so often, when `times_known`, else at most. Absent: once a batch.
    pub times: Option<usize>,
    /// Whether `times` is exact.
    pub times_known: bool,
    /// Only when this holds.
    pub only_if: Option<String>,
}

/// Scopes at one vendor. `a|b` means that either will do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scopes {
    /// Without these an action fails.
    pub required: BTreeSet<String>,
    /// Without these an action degrades.
    pub optional: BTreeSet<String>,
}

/// Something that agents must have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Needed {
    /// Its name.
    pub name: String,
    /// The steps that need it.
    pub steps: Vec<String>,
}

/// A place where a run could wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// The step.
    pub step: String,
    /// For what.
    pub what: WaitKind,
    /// At most, for all tries of one item together.
    pub most_ms: Millis,
}

/// What a step can wait for, its needs aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitKind {
    /// An agent that fits and is free.
    Agent,
    /// The delay before another try.
    Retry,
    /// The delay that a vendor asks for when it limits us.
    RateLimit,
    /// Its turn among the items of its fan-out.
    Turn,
    /// More items for a batch.
    Batch,
    /// A lost agent's lease, before its attempt is in doubt.
    Lease,
    /// A person's verdict on an attempt in doubt.
    Verdict,
}

/// What only a run finds out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unknown {
    /// `steps.parse.outputs.incident`, `trigger.alert`, `run`, `needs` (how a step's needs end), `action slack/x`.
    pub what: String,
    /// The steps that read it.
    pub read_by: Vec<String>,
}
