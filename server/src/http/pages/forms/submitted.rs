//! A form as it was sent.

use axum::{
    Form,
    extract::{FromRef, FromRequest, Request},
    http::StatusCode,
};
use tonic::Status;
use types::limits;

use super::super::refusal::Refusal;
use crate::{Core, http::body::PATIENCE};

/// A form's bytes: an alert's body in it may be as large as a webhook's, and each of its bytes takes three at most.
pub(super) const BYTES: usize = 3 * limits::WEBHOOK_BODY_BYTES + 64 * 1024;
/// Fields of one form: a rerun may choose many steps.
const FIELDS: usize = 10_100;

/// Names and values, in the form's order.
pub(super) struct Submitted(Vec<(String, String)>);

impl Submitted {
    /// The first value of a name, empty without one.
    pub(super) fn one(&self, name: &str) -> &str {
        self.all(name).first().copied().unwrap_or_default()
    }

    /// All values of a name.
    pub(super) fn all(&self, name: &str) -> Vec<&str> {
        let named = self.0.iter().filter(|(known, _)| known == name);
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// The lines of a value that say something.
    pub(super) fn lines(&self, name: &str) -> Vec<String> {
        let lines = self.one(name).lines().map(str::trim);
        lines.filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }

    /// Whether it was ticked.
    pub(super) fn ticked(&self, name: &str) -> bool {
        !self.one(name).is_empty()
    }
}

impl<S> FromRequest<S> for Submitted
where
    S: Send + Sync,
    Core: FromRef<S>,
{
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let core = Core::from_ref(state);
        let refuse = |code, why: String| Refusal::with(&core, code, Status::invalid_argument(why));
        let read = Form::<Vec<(String, String)>>::from_request(request, state);
        let read = tokio::time::timeout(PATIENCE, read).await.map_err(|_| {
            let why = format!("the form did not come within {} seconds", PATIENCE.as_secs());
            refuse(StatusCode::REQUEST_TIMEOUT, why)
        })?;
        let Form(pairs) = read.map_err(|rejected| refuse(rejected.status(), rejected.body_text()))?;
        if pairs.len() > FIELDS {
            let why = format!("the form has {} fields, at most {FIELDS}", pairs.len());
            return Err(refuse(StatusCode::BAD_REQUEST, why));
        }
        Ok(Self(pairs))
    }
}
