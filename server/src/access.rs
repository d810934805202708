//! Who calls and what they may do: the one place for it. Until identities come, a server listens on loopback only (or
//! is told `--insecure`), and every caller there is the operator.

use tonic::Request;

/// Somebody who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    /// Who it is, from wherever it calls: idempotency keys belong to it.
    pub(crate) id: String,
    /// For the history.
    pub(crate) name: String,
}

/// What a call does, for the layer that will decide by role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Permission {
    /// Reads.
    View,
    /// Starts, cancels, resolves.
    Respond,
    /// Keeps definitions.
    Author,
    /// Is an agent.
    Agent,
}

/// Names the caller and checks what it may do.
///
/// # Errors
/// None today: whoever reaches the port is trusted, which is why it is loopback only.
pub(crate) fn authorize<T>(request: &Request<T>, permission: Permission) -> Result<Caller, tonic::Status> {
    let peer = request
        .remote_addr()
        .map_or_else(|| "local".to_owned(), |addr| addr.ip().to_string());
    tracing::trace!(%peer, ?permission, "call");
    Ok(Caller {
        id: "operator".to_owned(),
        name: format!("operator@{peer}"),
    })
}
