//! What goes wrong with a call, and what it means for the step.

use std::time::Duration;

use serde_json::Value;
use types::{FailureKind, Object};

use crate::ActionError;

/// A failed call.
#[derive(Debug, Clone)]
pub(crate) struct SlackError {
    pub(crate) method: &'static str,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// Slack answered `ok: false`.
    Api(Api),
    /// 429: the call was not carried out.
    RateLimited { after: Duration },
    /// No usable answer. `sent`: it may have been carried out all the same.
    Unavailable { what: String, sent: bool },
}

/// Slack's answer to a call that it refused.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    pub(crate) code: String,
    needed: Option<String>,
    messages: Vec<String>,
    pub(crate) body: Object,
}

impl Api {
    /// From the answer's body. The code is cut to what a code looks like: it goes into messages.
    pub(crate) fn from_body(body: Object) -> Self {
        let code = body
            .get("error")
            .and_then(Value::as_str)
            .unwrap_or("no_error_code");
        let word = |text: &str| -> String {
            text.chars()
                .filter(|c| c.is_ascii_alphanumeric() || "_-:.,".contains(*c))
                .take(80)
                .collect()
        };
        let messages = body
            .get("response_metadata")
            .and_then(|meta| meta.get("messages"))
            .and_then(Value::as_array);
        let messages = messages.into_iter().flatten().filter_map(Value::as_str);
        Self {
            code: word(code),
            needed: body.get("needed").and_then(Value::as_str).map(word),
            messages: messages
                .take(3)
                .map(|text| text.chars().filter(|c| !c.is_control()).take(200).collect())
                .collect(),
            body,
        }
    }
}

impl SlackError {
    pub(crate) fn new(method: &'static str, kind: Kind) -> Self {
        Self { method, kind }
    }

    /// The code of Slack's answer, where there was one.
    pub(crate) fn code(&self) -> Option<&str> {
        match &self.kind {
            Kind::Api(api) => Some(&api.code),
            Kind::RateLimited { .. } | Kind::Unavailable { .. } => None,
        }
    }

    /// Whether another try may help.
    pub(crate) fn may_pass(&self) -> bool {
        match &self.kind {
            Kind::Api(api) => {
                matches!(
                    api.code.as_str(),
                    "internal_error" | "fatal_error" | "service_unavailable" | "request_timeout"
                )
            }
            Kind::RateLimited { .. } | Kind::Unavailable { .. } => true,
        }
    }

    /// Whether the call may have been carried out although it failed: look before doing it again.
    pub(crate) fn may_have_happened(&self) -> bool {
        match &self.kind {
            Kind::Api(_) => self.may_pass(),
            Kind::RateLimited { .. } => false,
            Kind::Unavailable { sent, .. } => *sent,
        }
    }

    /// Whether this installation cannot do it: no scope, no such method. The rest goes on without.
    pub(crate) fn is_lacking(&self) -> bool {
        matches!(
            self.code(),
            Some(
                "missing_scope"
                    | "unknown_method"
                    | "method_deprecated"
                    | "deprecated_endpoint"
                    | "not_allowed_token_type"
                    | "enterprise_is_restricted"
                    | "plan_upgrade_required"
            )
        )
    }

    /// In one line, without the method: `missing_scope (needs pins:write)`.
    pub(crate) fn why(&self) -> String {
        match &self.kind {
            Kind::Api(api) => {
                let mut text = api.code.clone();
                if let Some(needed) = &api.needed {
                    text.push_str(&format!(" (needs {needed})"));
                }
                if !api.messages.is_empty() {
                    text.push_str(&format!(": {}", api.messages.join("; ")));
                }
                text
            }
            Kind::RateLimited { after } => format!("rate limited for {} s", after.as_secs()),
            Kind::Unavailable { what, .. } => what.clone(),
        }
    }

    fn hint(&self) -> &'static str {
        match self.code() {
            Some("invalid_auth" | "not_authed" | "token_revoked" | "token_expired" | "account_inactive") => {
                ": check SLACK_BOT_TOKEN on the agent"
            }
            Some("not_allowed_token_type") => ": SLACK_BOT_TOKEN must be a bot token (xoxb-…)",
            Some("missing_scope") => ": add the scope to the Slack app and install it again",
            Some("restricted_action") => ": the workspace's settings forbid it to this app",
            _ => "",
        }
    }
}

impl std::fmt::Display for SlackError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Slack {}: {}{}", self.method, self.why(), self.hint())
    }
}

impl From<SlackError> for ActionError {
    fn from(error: SlackError) -> Self {
        let kind = match &error.kind {
            Kind::RateLimited { .. } => FailureKind::RateLimited,
            _ if error.may_pass() => FailureKind::Transient,
            _ => FailureKind::Action,
        };
        let mut failure = Self::new(kind, error.to_string());
        if let Kind::RateLimited { after } = error.kind {
            failure.retry_after_ms = Some(u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
        }
        failure
    }
}
