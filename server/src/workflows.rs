//! Kept definitions: compiled when they come, bound to alerts by their `on`.

use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use types::{Object, Value, limits};
use workflow::{Plan, Scope, SourceFile};

use crate::{
    Core,
    store::{StoreError, WorkflowRow},
};

/// A plan's JSON. An answer holds it beside its source, and a run's first event beside an alert and inputs.
pub(crate) const PLAN_BYTES: usize = limits::ANSWER_BYTES / 8 * 5;

/// What became of a definition.
pub(crate) enum Put {
    /// It is the newest of its name.
    Kept {
        name: String,
        version: String,
        changed: bool,
    },
    /// It does not compile.
    Wrong(SourceFile, workflow::Compiled),
    /// Its plan, in bytes, is more than one message can hold beside inputs and an alert.
    TooLarge(usize),
}

/// Definitions compiled at once for others: a hostile one takes a second and its memory.
static COMPILING: Semaphore = Semaphore::const_new(4);

/// Compiles a definition for somebody who waits; the tasks that serve others go on meanwhile.
pub(crate) async fn compiled(core: &Core, file: &str, source: &str) -> (SourceFile, workflow::Compiled) {
    let turn = COMPILING.acquire().await;
    let (core, name, text) = (core.clone(), file.to_owned(), source.to_owned());
    let done = node::blocking::run(move || {
        let _turn = turn;
        compile(&core, &name, &text)
    });
    match done.await {
        Ok(compiled) => compiled,
        // The defect is the call's own, as if it had compiled here.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Compiles a definition with this server's catalogue.
pub(crate) fn compile(core: &Core, file: &str, source: &str) -> (SourceFile, workflow::Compiled) {
    let file = SourceFile {
        name: if file.is_empty() {
            "workflow".to_owned()
        } else {
            file.to_owned()
        },
        text: source.to_owned(),
    };
    let compiled = workflow::compile(&file, &core.config.catalogue);
    (file, compiled)
}

/// Compiles and keeps a definition.
pub(crate) async fn put(core: &Core, file: &str, source: &str) -> Result<Put, StoreError> {
    let (file, mut compiled) = compiled(core, file, source).await;
    let Some(plan) = compiled.plan.take() else {
        return Ok(Put::Wrong(file, compiled));
    };
    let json = serde_json::to_string(&plan).map_err(|error| StoreError::Invalid(error.to_string()))?;
    if json.len() > PLAN_BYTES {
        return Ok(Put::TooLarge(json.len()));
    }
    let version = data_encoding::HEXLOWER.encode(&Sha256::digest(source.as_bytes()));
    let row = WorkflowRow {
        name: plan.name.clone(),
        version: version.clone(),
        source: source.to_owned(),
        plan: json,
        stored_at: core.clock.now(),
    };
    let changed = core.store.put_workflow(row).await?;
    Ok(Put::Kept {
        name: plan.name,
        version,
        changed,
    })
}

/// The plan of a kept definition.
pub(crate) fn plan(row: &WorkflowRow) -> Result<Plan, StoreError> {
    read(&row.name, &row.plan)
}

/// A kept plan, from its JSON.
pub(crate) fn read(name: &str, json: &str) -> Result<Plan, StoreError> {
    let mut plan: Plan = serde_json::from_str(json)
        .map_err(|error| StoreError::Corrupt(format!("the plan of {name}: {error}")))?;
    if plan.format > Plan::FORMAT {
        return Err(StoreError::Corrupt(format!(
            "the plan of {name} has a newer form: update Firehall"
        )));
    }
    // An older form means the same; what a run pins of it is of today's.
    plan.format = Plan::FORMAT;
    Ok(plan)
}

/// Those of some inputs that a plan declares.
pub(crate) fn declared(plan: &Plan, inputs: &Object) -> Object {
    let of = inputs.iter().filter(|(name, _)| plan.inputs.contains_key(*name));
    of.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// The newest definitions that alerts may start. One that cannot be read is said and left out; it must not keep the others from
/// starting.
pub(crate) async fn with_on_alert(core: &Core) -> Result<Vec<Plan>, StoreError> {
    let rows = core.store.workflows().await?;
    let read = |row: WorkflowRow| match plan(&row) {
        Ok(plan) => plan.on_alert.is_some().then_some(plan),
        Err(error) => {
            tracing::error!(%error, "a kept workflow cannot be read");
            None
        }
    };
    Ok(rows.into_iter().filter_map(read).collect())
}

/// Of them those that this alert starts. One that cannot be asked is said and left out.
pub(crate) async fn bound_to(core: &Core, alert: &Value) -> Result<Vec<Plan>, StoreError> {
    let mut bound = Vec::new();
    for plan in with_on_alert(core).await? {
        let Some(on) = &plan.on_alert else { continue };
        let mut roots = Object::new();
        roots.insert("alert".to_owned(), alert.clone());
        let scope = Scope {
            roots,
            ..Scope::default()
        };
        match on.when.as_ref().map(|when| when.eval(&scope)) {
            None | Some(Ok(Value::Bool(true))) => bound.push(plan),
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                tracing::error!(workflow = plan.name, %error, "its `on.alert.when` has no value")
            }
        }
    }
    Ok(bound)
}
