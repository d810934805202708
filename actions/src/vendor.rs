//! One answer of a vendor's JSON API, read within its limits.

use node::egress::{self, EgressError};
use reqwest::{RequestBuilder, StatusCode, header::HeaderMap};
use serde_json::Value;
use types::FailureKind;

use crate::{
    ActionContext, ActionError,
    tries::{Failed, retry_after},
};

/// One answer of a vendor, in bytes.
const ANSWER_BYTES: usize = 8 * 1024 * 1024;
/// Characters of what a vendor says that stand in an error.
const SAID: usize = 300;

/// An answer of any status.
pub(crate) struct Reply {
    vendor: &'static str,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// Sends a request that may be repeated, and reads the answer.
pub(crate) async fn fetch(vendor: &'static str, request: RequestBuilder) -> Result<Reply, Failed> {
    let (client, request) = request.build_split();
    let request = request.map_err(|error| {
        Failed::Final(ActionError::internal(format!(
            "{vendor}: {}",
            egress::chain(&error)
        )))
    })?;
    // The operator's own address, which holds no secret; the rest of the URL may.
    let place = request.url().origin().ascii_serialization();
    let broken = |why: String| {
        let error = ActionError::new(FailureKind::Transient, format!("{vendor} at {place}: {why}"));
        Failed::Passing(error, None)
    };
    let response = client
        .execute(request)
        .await
        .map_err(|error| broken(egress::chain(&error)))?;
    let (status, headers) = (response.status(), response.headers().clone());
    let body = egress::read(response, ANSWER_BYTES)
        .await
        .map_err(|error| match error {
            EgressError::TooLarge(limit) => Failed::Final(ActionError::action(format!(
                "{vendor}: the answer is larger than {limit} bytes: ask for less"
            ))),
            EgressError::NoAuthority | EgressError::Client(_) | EgressError::Read(_) => {
                broken(error.to_string())
            }
        })?;
    Ok(Reply {
        vendor,
        status,
        headers,
        body,
    })
}

impl Reply {
    /// A header's text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body, where it is JSON.
    pub(crate) fn value(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The body, which must be JSON; a page of a proxy in between is none.
    pub(crate) fn json(&self) -> Result<Value, Failed> {
        self.value().ok_or_else(|| {
            let kind = self.header("content-type").unwrap_or("of no type");
            let kind: String = types::text::line(kind).chars().take(60).collect();
            let why = format!(
                "{}: HTTP {} with an answer that is no JSON ({kind}): is a proxy or a login page in between?",
                self.vendor,
                self.status.as_u16()
            );
            Failed::Passing(ActionError::new(FailureKind::Transient, why), None)
        })
    }

    /// What is the same for all vendors: limits, and troubles of their own. None when it is for the vendor to judge.
    pub(crate) fn trouble(&self, context: &ActionContext, said: &str) -> Option<Failed> {
        let status = self.status.as_u16();
        let wait = self
            .header("retry-after")
            .and_then(|text| retry_after(context, text));
        let passing = |kind, text: String| {
            let mut error = ActionError::new(kind, text);
            error.retry_after_ms = wait.and_then(|wait| u64::try_from(wait.as_millis()).ok());
            Some(Failed::Passing(error, wait))
        };
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            return passing(
                FailureKind::RateLimited,
                format!("{} limits us (HTTP 429){said}", self.vendor),
            );
        }
        if self.status.is_server_error() {
            return passing(
                FailureKind::Transient,
                format!("{}: HTTP {status}{said}", self.vendor),
            );
        }
        None
    }
}

/// What a vendor says, as the end of an error's line; empty when it says nothing.
pub(crate) fn said(text: &str) -> String {
    let text: String = text.chars().take(SAID * 4).collect();
    match types::text::line(text.trim())
        .chars()
        .take(SAID)
        .collect::<String>()
    {
        line if line.is_empty() => String::new(),
        line => format!(": {line}"),
    }
}
