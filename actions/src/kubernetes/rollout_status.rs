//! `kubernetes/rollout-status`: how the rollout of a Deployment, StatefulSet or DaemonSet stands.

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};
use types::{Effect, Evidence, Finding, Level, Object, Signature, Trust, Type};

use super::{
    client::{self, Cluster},
    rollout::{self, Kind, State},
};
use crate::{
    Action, ActionContext, ActionError, ActionOutput,
    args::{self, gives, may_give, optional, output, read, required, signature},
};

pub(crate) struct RolloutStatus;

#[derive(Deserialize)]
struct Params {
    namespace: String,
    kind: String,
    name: String,
}

#[async_trait]
impl Action for RolloutStatus {
    fn signature(&self) -> Signature {
        Signature {
            effect: Effect::Reads,
            connection: Some("kubernetes".to_owned()),
            ..signature(
                "kubernetes/rollout-status",
                "Tells how a rollout stands, as `kubectl rollout status` decides it.",
                [
                    ("namespace", client::namespace_param()),
                    (
                        "kind",
                        optional(
                            Type::String,
                            Trust::Trusted,
                            Some(json!("deployment")),
                            "deployment, statefulset or daemonset.",
                        ),
                    ),
                    ("name", required(Type::String, Trust::Trusted, "Its name.")),
                ],
                [
                    (
                        "state",
                        gives(
                            Type::String,
                            Trust::Trusted,
                            "complete, progressing, failed, or unknown.",
                        ),
                    ),
                    (
                        "message",
                        gives(Type::String, Trust::Trusted, "Why, with the numbers."),
                    ),
                    (
                        "images",
                        gives(
                            Type::list(Type::String),
                            Trust::Untrusted,
                            "The images of its containers, as its spec has them.",
                        ),
                    ),
                    (
                        "revision",
                        may_give(Type::String, Trust::Untrusted, "A Deployment's revision."),
                    ),
                    (
                        "findings",
                        gives(
                            Type::list(Finding::ty()),
                            Trust::Untrusted,
                            "The same as one finding.",
                        ),
                    ),
                ],
            )
        }
    }

    async fn run(&self, context: &ActionContext, params: Object) -> Result<ActionOutput, ActionError> {
        let Params {
            namespace,
            kind,
            name,
        } = read(params)?;
        let kind = Kind::named(&kind)
            .ok_or_else(|| ActionError::action("kind: expected deployment, statefulset or daemonset"))?;
        let (namespace, name) = (client::namespace(&namespace)?, client::name(&name)?);
        let path = format!("/apis/apps/v1/namespaces/{namespace}/{}/{name}", kind.resource());
        let object = Cluster::of(context)?.get(&path).await?;
        let (state, message) = rollout::judge(kind, &object);
        let containers = object
            .pointer("/spec/template/spec/containers")
            .and_then(Value::as_array);
        let image = |container: &Value| container["image"].as_str().map(str::to_owned);
        let images: Vec<String> = containers
            .into_iter()
            .flatten()
            .filter_map(image)
            .take(50)
            .collect();
        let revision = object
            .pointer("/metadata/annotations/deployment.kubernetes.io~1revision")
            .and_then(Value::as_str);
        let now = context.clock.now().unix_ms();
        let finding = Finding {
            host: None,
            check: "rollout".to_owned(),
            level: match state {
                State::Complete => Level::Normal,
                State::Progressing => Level::Warning,
                State::Failed => Level::Critical,
                State::Unknown => Level::Unknown,
            },
            summary: format!(
                "{} {namespace}/{name}: {}: {message}",
                kind.resource(),
                state.as_str()
            ),
            evidence: Evidence::Query {
                source: "kubernetes".to_owned(),
                query: path,
                from_ms: now,
                to_ms: now,
                link: None,
            },
        };
        Ok(output(
            [
                ("state", json!(state.as_str())),
                ("message", json!(message)),
                ("images", json!(images)),
                ("revision", json!(revision)),
                ("findings", args::json(&[finding])?),
            ],
            Vec::new(),
        ))
    }
}
