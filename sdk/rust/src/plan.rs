//! What a run would do, before it does anything.

use proto::v1::{PlanRequest, plan_request};
use serde_json::Value;
use types::Object;

use crate::{Client, DiagnosticView, Error, What};

/// A run to look ahead at.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    /// Of what.
    pub what: What,
    /// Inputs by name; the others have their defaults.
    pub inputs: Object,
    /// An alert's body as a webhook would get it; empty for none.
    pub payload: Vec<u8>,
}

/// A definition's outlook, or what is wrong with it.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanView {
    /// The definition's errors; empty when there is an outlook.
    pub diagnostics: Vec<DiagnosticView>,
    /// `{name, steps, effects, …}`, as docs/plan.md says.
    pub outlook: Option<Value>,
}

impl Client {
    /// What a run would do, with the agents that the server knows. Nothing is started or kept.
    ///
    /// # Errors
    /// `Invalid` for inputs that do not fit and a payload that is no alert, `NotFound` for a workflow that is not kept.
    /// A definition's own errors are in the answer.
    pub async fn plan(&self, preview: Preview) -> Result<PlanView, Error> {
        let (what, file) = match preview.what {
            What::Source { source, file } => (plan_request::What::Source(source), file),
            What::Kept(name) => (plan_request::What::Workflow(name), String::new()),
        };
        let request = PlanRequest {
            what: Some(what),
            file,
            payload: preview.payload,
            inputs_json: Value::Object(preview.inputs).to_string(),
        };
        let answer = self.take(self.workflows().plan(self.unary(request)).await)?;
        let outlook = match answer.outlook_json.as_str() {
            "" => None,
            json => Some(
                serde_json::from_str(json).map_err(|error| Error::Answer(format!("the outlook: {error}")))?,
            ),
        };
        Ok(PlanView {
            diagnostics: answer
                .diagnostics
                .into_iter()
                .map(DiagnosticView::from_wire)
                .collect(),
            outlook,
        })
    }
}
