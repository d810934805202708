//! `pagerduty/note`: a note on an incident, once. PagerDuty has no key for that, so each note of ours ends with its own,
//! which is looked for before it is written again.

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};
use types::{Effect, Object, Signature, Trust, Type};

use super::client::{self, PagerDuty, Refused};
use crate::{
    Action, ActionContext, ActionError, ActionOutput,
    args::{gives, may_give, output, read, required, signature},
};

/// Characters of a note that we write.
const CHARS: usize = 10_000;
/// Doubtful ends that are looked up and made again.
const DOUBTS: u32 = 4;

pub(crate) struct Note;

#[derive(Deserialize)]
struct Params {
    incident: String,
    text: String,
}

#[async_trait]
impl Action for Note {
    fn signature(&self) -> Signature {
        Signature {
            effect: Effect::Writes,
            connection: Some("pagerduty".to_owned()),
            timeout_ms: 60_000,
            ..signature(
                "pagerduty/note",
                "Adds a note to an incident, once a run and step, in the name of PAGERDUTY_FROM.",
                [
                    ("incident", client::incident_param(Trust::Trusted)),
                    (
                        "text",
                        required(
                            Type::String,
                            Trust::Untrusted,
                            "What it says; cut after 10,000 characters.",
                        ),
                    ),
                ],
                [
                    (
                        "id",
                        may_give(Type::String, Trust::Untrusted, "PagerDuty's id of the note."),
                    ),
                    (
                        "adopted",
                        gives(
                            Type::Bool,
                            Trust::Trusted,
                            "Whether an earlier try had written it.",
                        ),
                    ),
                ],
            )
        }
    }

    async fn run(&self, context: &ActionContext, params: Object) -> Result<ActionOutput, ActionError> {
        let Params { incident, text } = read(params)?;
        let path = format!("/incidents/{}/notes", client::id(&incident)?);
        let shown: String = text
            .chars()
            .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
            .take(CHARS)
            .collect();
        if shown.trim().is_empty() {
            return Err(ActionError::action("text: there is nothing to say"));
        }
        let index = context
            .index
            .map(|index| format!("[{index}]"))
            .unwrap_or_default();
        let mark = format!("(Firehall {}/{}{index})", context.run, context.step);
        let mut degraded = Vec::new();
        if text.chars().count() > CHARS {
            degraded.push(format!("the note was cut after {CHARS} characters"));
        }
        let content = format!("{}\n{mark}", shown.trim_end());
        let (id, adopted) = once(
            &PagerDuty::of(context)?,
            &path,
            &content,
            &mark,
            context.attempt > 1,
        )
        .await?;
        Ok(output([("id", json!(id)), ("adopted", json!(adopted))], degraded))
    }
}

async fn once(
    pagerduty: &PagerDuty<'_>,
    path: &str,
    content: &str,
    mark: &str,
    mut look: bool,
) -> Result<(Option<String>, bool), ActionError> {
    let body = json!({"note": {"content": content}});
    let mut doubts = 0;
    loop {
        if look && let Some(note) = find(pagerduty, path, mark).await? {
            return Ok((id(&note), true));
        }
        match pagerduty.post(path, &body).await {
            Ok(answer) => return Ok((id(&answer["note"]), false)),
            Err(Refused::Rest(error))
                if error.may_have_happened() && doubts < DOUBTS && pagerduty.pause(doubts).await =>
            {
                doubts += 1;
                look = true;
            }
            Err(refused) => return Err(refused.into()),
        }
    }
}

/// The incident's note with our mark.
async fn find(pagerduty: &PagerDuty<'_>, path: &str, mark: &str) -> Result<Option<Value>, ActionError> {
    let body = pagerduty.get(path).await?;
    let notes = body.get("notes").and_then(Value::as_array);
    let notes = notes.ok_or_else(|| ActionError::action("PagerDuty: an answer without `notes`"))?;
    let ours = |note: &&Value| {
        note["content"]
            .as_str()
            .is_some_and(|text| text.trim_end().ends_with(mark))
    };
    Ok(notes.iter().find(ours).cloned())
}

fn id(note: &Value) -> Option<String> {
    note["id"].as_str().map(str::to_owned)
}
