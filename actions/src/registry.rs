//! All actions by name, and the one way to run one: checked before and after.

use std::{collections::BTreeMap, sync::Arc};

use types::{Catalogue, FailureKind, Object, Signature, limits};

use crate::{
    Action, ActionContext, ActionError, ActionOutput, ConnectionError, Connections, datadog, desk, github,
    http, kubernetes, llm, loki, pagerduty, prometheus, slack,
};

/// The actions of an agent.
#[derive(Clone)]
pub struct Registry(BTreeMap<String, Arc<dyn Action>>);

impl Registry {
    /// The built-in ones.
    #[must_use]
    pub fn builtin() -> Self {
        Self::new([
            Arc::new(desk::Parse) as Arc<dyn Action>,
            Arc::new(desk::Findings),
            Arc::new(desk::Summary),
            Arc::new(slack::Connect),
            Arc::new(slack::ResolveUsers),
            Arc::new(slack::WarRoom),
            Arc::new(slack::Post),
            Arc::new(slack::UpdateMessage),
            Arc::new(slack::Bookmark),
            Arc::new(slack::Upload),
            Arc::new(slack::Archive),
            Arc::new(datadog::Query),
            Arc::new(datadog::Logs),
            Arc::new(datadog::Monitor),
            Arc::new(datadog::Events),
            Arc::new(github::Commits),
            Arc::new(github::Deployments),
            Arc::new(http::Request),
            Arc::new(loki::Query),
            Arc::new(prometheus::Query),
            Arc::new(kubernetes::Events),
            Arc::new(kubernetes::RolloutStatus),
            Arc::new(pagerduty::OnCall),
            Arc::new(pagerduty::Incident),
            Arc::new(pagerduty::Note),
            Arc::new(llm::Analyze),
        ])
    }

    /// From a list.
    pub fn new(actions: impl IntoIterator<Item = Arc<dyn Action>>) -> Self {
        Self(
            actions
                .into_iter()
                .map(|action| (action.signature().name, action))
                .collect(),
        )
    }

    /// Their signatures.
    #[must_use]
    pub fn catalogue(&self) -> Catalogue {
        Catalogue::new(self.0.values().map(|action| action.signature()))
    }

    /// One by its name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Action>> {
        self.0.get(name)
    }

    /// The connections that the environment describes; see [`Connections::from_env`].
    ///
    /// # Errors
    /// When a variable is there and wrong.
    pub fn connections_from_env(
        get: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Connections, ConnectionError> {
        Connections::from_env(get)
    }

    /// Runs one: parameters are checked and filled with defaults, outputs are checked, reasons are bounded. It
    /// ends when the context's token is cancelled or its deadline has come.
    ///
    /// # Errors
    /// An unknown action, parameters or outputs that do not fit, and what the action says.
    pub async fn run(
        &self,
        name: &str,
        context: &ActionContext,
        params: Object,
    ) -> Result<ActionOutput, ActionError> {
        let Some(action) = self.get(name) else {
            return Err(ActionError::new(
                FailureKind::Start,
                format!("this agent has no action {name:?}"),
            ));
        };
        let signature = action.signature();
        let params = check_params(&signature, params)?;
        let mut output = tokio::select! {
            biased;
            () = context.cancel.cancelled() => return Err(ActionError::action(format!("{name}: cancelled"))),
            () = tokio::time::sleep_until(context.deadline) => {
                return Err(ActionError::new(FailureKind::Timeout, format!("{name}: its time is over")));
            }
            result = action.run(context, params) => result?,
        };
        check_outputs(&signature, &output.outputs)?;
        let total = output.degraded.len();
        if total > limits::REASONS {
            output.degraded.truncate(limits::REASONS - 1);
            output
                .degraded
                .push(format!("and {} more", total - output.degraded.len()));
        }
        Ok(output)
    }
}

fn check_params(signature: &Signature, mut params: Object) -> Result<Object, ActionError> {
    let name = &signature.name;
    params.retain(|_, value| !value.is_null());
    if let Some(unknown) = params.keys().find(|key| !signature.params.contains_key(*key)) {
        return Err(ActionError::action(format!(
            "{name} has no parameter {unknown:?}"
        )));
    }
    for (key, param) in &signature.params {
        if !params.contains_key(key) {
            match &param.default {
                Some(default) => drop(params.insert(key.clone(), default.clone())),
                None if param.required => {
                    return Err(ActionError::action(format!(
                        "{name}: the parameter {key} is missing"
                    )));
                }
                None => continue,
            }
        }
        let checked = params.get(key).map_or(Ok(()), |value| param.ty.check(value));
        checked.map_err(|error| ActionError::action(format!("{name}: parameter {key}: {error}")))?;
    }
    Ok(params)
}

fn check_outputs(signature: &Signature, outputs: &Object) -> Result<(), ActionError> {
    let wrong = |text: String| ActionError::new(FailureKind::Output, format!("{}: {text}", signature.name));
    if let Some(unknown) = outputs.keys().find(|key| !signature.outputs.contains_key(*key)) {
        return Err(wrong(format!("undeclared output {unknown:?}")));
    }
    for (key, declared) in &signature.outputs {
        match outputs.get(key) {
            Some(value) => declared
                .ty
                .check(value)
                .map_err(|error| wrong(format!("output {key}: {error}")))?,
            None if declared.optional => {}
            None => return Err(wrong(format!("the output {key} is missing"))),
        }
    }
    Ok(())
}
