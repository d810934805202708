//! Faults a test injects: what goes wrong, in which method, how often.

use serde::{Deserialize, Serialize};

use super::catalogue::Method;

/// One fault: applies to the next `times` calls of `method`, after letting `skip` pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// A method's name, or `*` for any.
    pub method: String,
    /// How many calls it hits; 1 unless told.
    #[serde(default = "once")]
    pub times: u32,
    /// How many calls it lets pass first.
    #[serde(default)]
    pub skip: u32,
    /// What goes wrong.
    #[serde(flatten)]
    pub kind: FaultKind,
}

/// What goes wrong; in JSON the field `kind`, with its own fields beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FaultKind {
    /// HTTP 429 with `Retry-After: <retry_after>` (seconds); no effect.
    RateLimited {
        /// Seconds.
        retry_after: u64,
    },
    /// This HTTP status with a short HTML body; no effect.
    Http {
        /// 400 to 599.
        status: u16,
    },
    /// The effect takes place at once; the answer comes `ms` later (at most 60,000).
    Slow {
        /// Milliseconds.
        ms: u64,
    },
    /// The effect takes place; the connection closes without an answer.
    AcceptedThenDropped,
    /// HTTP 200 with `ok: false` and this code; `effect` says whether it took place all the same.
    Error {
        /// The code, such as `fatal_error`.
        code: String,
        /// Whether the effect takes place.
        #[serde(default)]
        effect: bool,
    },
    /// The connection closes without an answer; no effect.
    Drop,
    /// HTTP 200 with an HTML page, as from a proxy; no effect.
    Garbage,
}

fn once() -> u32 {
    1
}

impl FaultKind {
    /// The name, as in JSON.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::RateLimited { .. } => "rate_limited",
            Self::Http { .. } => "http",
            Self::Slow { .. } => "slow",
            Self::AcceptedThenDropped => "accepted_then_dropped",
            Self::Error { .. } => "error",
            Self::Drop => "drop",
            Self::Garbage => "garbage",
        }
    }

    /// Whether the method runs all the same.
    pub(crate) fn has_effect(&self) -> bool {
        matches!(
            self,
            Self::Slow { .. } | Self::AcceptedThenDropped | Self::Error { effect: true, .. }
        )
    }
}

impl Fault {
    /// A fault that hits the next call of `method`.
    pub fn once(method: &str, kind: FaultKind) -> Self {
        Self {
            method: method.to_owned(),
            times: 1,
            skip: 0,
            kind,
        }
    }

    /// Says what is wrong with the fault itself.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.method != "*" && Method::named(&self.method).is_none() {
            return Err(format!("no such method: {}", self.method));
        }
        if self.times == 0 {
            return Err("times must be at least 1".to_owned());
        }
        match &self.kind {
            FaultKind::Http { status } if !(400..600).contains(status) => {
                Err(format!("status must be 400 to 599, not {status}"))
            }
            FaultKind::Slow { ms } if *ms > 60_000 => Err(format!("ms must be at most 60000, not {ms}")),
            _ => Ok(()),
        }
    }
}

/// The faults still to come, in the order they were injected.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    /// Adds one.
    pub(crate) fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// What is still to come.
    pub(crate) fn all(&self) -> &[Fault] {
        &self.0
    }

    /// The fault for this call, if any; counts it down.
    pub(crate) fn take(&mut self, method: Method) -> Option<FaultKind> {
        let place = self
            .0
            .iter()
            .position(|fault| fault.method == "*" || fault.method == method.name())?;
        let fault = &mut self.0[place];
        if fault.skip > 0 {
            fault.skip -= 1;
            return None;
        }
        fault.times -= 1;
        let kind = fault.kind.clone();
        if fault.times == 0 {
            self.0.remove(place);
        }
        Some(kind)
    }
}
