//! `GET /runs/{id}/steps/{key}`.

use axum::response::Response;
use engine::{Run, placement::Snapshot};
use tonic::Status;
use types::Object;
use workflow::PlanStep;

use super::{Asked, Pairs, Path, Refusal, Room, State, answer, artifacts, facts, view};
use crate::api::{artifacts_removed, convert, errors, runs_view};
use ::pages::run::{Item, Output, Row, StepPage, pretty};

/// Characters of an item's value in the list.
const VALUE_CHARS: usize = 120;
/// Bytes of one output that are shown; the API has all of it.
const OUTPUT_BYTES: usize = 512 * 1024;
/// Artifacts that are listed; the API has all of them.
const ARTIFACTS: usize = 200;

pub(super) async fn page(
    State(room): State<Room>,
    Path((id, key)): Path<(String, String)>,
    pairs: Pairs,
) -> Result<Response, Refusal> {
    let page = load(&room, &id, &key, pairs).await;
    page.map(|page| answer(&page))
        .map_err(|status| room.refuse(status))
}

/// What is asked of the step.
struct Wanted {
    item: Option<u32>,
    state: String,
    page: usize,
}

async fn load(room: &Room, id: &str, key: &str, pairs: Pairs) -> Result<StepPage, Status> {
    let asked = room.asked(id, pairs)?;
    let wanted = wanted(&asked)?;
    let agents = room.core.agents.snapshot();
    let look = |run: &Run| found(room, run, key, wanted, &agents);
    let mut page = room.look(&asked.id, look).await??;
    let sums = page.artifacts.iter().map(|one| one.sha256.clone()).collect();
    let removed = artifacts_removed(&room.core, sums).await?;
    for one in &mut page.artifacts {
        one.removed_at_ms = removed.get(&one.sha256).map(|at| at.unix_ms());
    }
    Ok(page)
}

fn wanted(asked: &Asked) -> Result<Wanted, Status> {
    Ok(Wanted {
        item: asked.params.number("item")?,
        state: asked.params.text("state")?.to_owned(),
        page: asked.params.page()?,
    })
}

fn found(room: &Room, run: &Run, key: &str, wanted: Wanted, agents: &Snapshot) -> Result<StepPage, Status> {
    let i = run.position(key).ok_or_else(|| no_step(run, key))?;
    let (plan, step) = (&run.plan.steps[i], &run.steps[i]);
    let head = view::head(run);
    let mut row = view::row(run, i, agents);
    let fans_out = plan.fan_out.is_some();
    let mut shown = StepPage {
        shell: room.shell(&head, key),
        needs: plan.before().filter_map(|key| state(run, key)).collect(),
        dependents: dependents(run, key),
        facts: facts::facts(plan),
        item: wanted.item,
        items: Vec::new(),
        page: 1,
        pages: 1,
        state: wanted.state,
        counts: Vec::new(),
        attempts: Vec::new(),
        outputs: Vec::new(),
        artifacts: artifacts::listed(run, key, wanted.item),
        more_artifacts: 0,
        head,
        step: Row::default(),
    };
    match wanted.item {
        None if fans_out => page_of_items(run, i, wanted.page, &mut shown),
        None => {
            shown.attempts = runs_view::attempts_of(run, i, 0);
            shown.outputs = step
                .outputs()
                .map(|outputs| self::outputs(plan, outputs))
                .unwrap_or_default();
        }
        Some(index) => {
            let item = step.items.get(index as usize).filter(|_| fans_out);
            let item = item.ok_or_else(|| no_item(run, i, index))?;
            shown.attempts = runs_view::attempts_of(run, i, index);
            shown.outputs = item
                .outputs()
                .map(|outputs| self::outputs(plan, outputs))
                .unwrap_or_default();
            let listed = self::item(run, i, index);
            let value = item.value.as_ref().map(|value| Output {
                name: "value".to_owned(),
                ty: "this item".to_owned(),
                json: pretty(&value.to_string()),
            });
            shown.outputs.splice(0..0, value);
            row = Row {
                state: listed.state,
                reasons: listed.reasons,
                started_at_ms: listed.started_at_ms,
                finished_at_ms: listed.finished_at_ms,
                items: row.items,
                ..row
            };
        }
    }
    shown.more_artifacts = shown.artifacts.len().saturating_sub(ARTIFACTS);
    shown.artifacts.truncate(ARTIFACTS);
    shown.step = row;
    Ok(shown)
}

fn state(run: &Run, key: &str) -> Option<(String, String)> {
    run.step(key)
        .map(|(plan, step)| (plan.key.clone(), step.word().to_owned()))
}

/// Steps behind it that are named.
const DEPENDENTS: usize = 50;

fn dependents(run: &Run, key: &str) -> Vec<(String, String)> {
    let behind = run
        .plan
        .steps
        .iter()
        .zip(&run.steps)
        .filter(|(plan, _)| plan.before().any(|need| need == key));
    behind
        .take(DEPENDENTS)
        .map(|(plan, step)| (plan.key.clone(), step.word().to_owned()))
        .collect()
}

fn page_of_items(run: &Run, i: usize, page: usize, shown: &mut StepPage) {
    let count = u32::try_from(run.steps[i].items.len()).unwrap_or(u32::MAX);
    let mut places = Vec::new();
    for index in 0..count {
        let word = runs_view::item_word(&run.steps[i].items[index as usize]);
        match shown.counts.iter_mut().find(|(counted, _)| counted == word) {
            Some((_, count)) => *count += 1,
            None => shown.counts.push((word.to_owned(), 1)),
        }
        if shown.state.is_empty() || shown.state == word {
            places.push(index);
        }
    }
    shown.pages = places.len().div_ceil(StepPage::PAGE).max(1);
    shown.page = page.min(shown.pages);
    let places = places
        .chunks(StepPage::PAGE)
        .nth(shown.page - 1)
        .unwrap_or_default();
    shown.items = places.iter().map(|index| item(run, i, *index)).collect();
}

fn item(run: &Run, i: usize, index: u32) -> Item {
    let item = &run.steps[i].items[index as usize];
    let attempts = runs_view::attempts_of(run, i, index);
    let last = attempts.last();
    let mut reasons = item
        .ended
        .as_ref()
        .map(|end| end.reasons.clone())
        .unwrap_or_default();
    if reasons.is_empty() {
        reasons.extend(
            last.map(|a| a.message.clone())
                .filter(|message| !message.is_empty()),
        );
    }
    Item {
        index,
        state: runs_view::item_word(item).to_owned(),
        value: brief(item.value.as_ref()),
        reasons,
        attempts: u32::try_from(attempts.len()).unwrap_or(u32::MAX),
        agent: last.map(|a| a.agent_name.clone()).unwrap_or_default(),
        duration_ms: match attempts.as_slice() {
            [only] if item.ended.is_some() => only.duration_ms,
            _ => 0,
        },
        started_at_ms: attempts.first().map_or(0, |a| a.started_at_ms),
        finished_at_ms: convert::ms(item.ended.as_ref().map(|end| end.at)),
    }
}

fn brief(value: Option<&types::Value>) -> String {
    let Some(value) = value else { return String::new() };
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    if text.chars().count() <= VALUE_CHARS {
        return text;
    }
    text.chars().take(VALUE_CHARS - 1).chain(['…']).collect()
}

fn outputs(plan: &PlanStep, outputs: &Object) -> Vec<Output> {
    let output = |(name, value): (&String, &types::Value)| {
        let mut json = pretty(&value.to_string());
        if json.len() > OUTPUT_BYTES {
            let end = json.floor_char_boundary(OUTPUT_BYTES);
            let left = json.len() - end;
            json.truncate(end);
            json.push_str(&format!("\n… {left} bytes more: `firehall show` has them"));
        }
        Output {
            name: name.clone(),
            ty: plan
                .outputs
                .get(name)
                .map(|decl| decl.ty.to_string())
                .unwrap_or_default(),
            json,
        }
    };
    outputs.iter().map(output).collect()
}

fn no_step(run: &Run, key: &str) -> Status {
    errors::not_found(
        "step",
        key,
        format_args!("there is no step {:?} in run {}", errors::brief(key), run.id),
    )
}

fn no_item(run: &Run, i: usize, index: u32) -> Status {
    let (plan, step) = (&run.plan.steps[i], &run.steps[i]);
    let why = match (&plan.fan_out, step.items.len()) {
        (None, _) => "it has no items: it does not fan out".to_owned(),
        (Some(_), 0) => "it has no items yet".to_owned(),
        (Some(_), count) => format!("its items are 0 to {}", count - 1),
    };
    errors::not_found(
        "item",
        &format!("{}[{index}]", plan.key),
        format_args!("there is no item {index} of {}: {why}", plan.key),
    )
}
