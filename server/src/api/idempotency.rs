//! Calls that may be sent twice: a key within (caller, method) is kept for 7 days with the request's hash and its answer.

use prost::Message;
use sha2::{Digest, Sha256};
use tonic::Status;
use types::limits;

use super::errors::{self, store_status};
use crate::{
    Core,
    access::Caller,
    store::{Claim, StoreError},
};

/// Bytes of an idempotency key.
const KEY_BYTES: usize = 256;

/// Keys of one caller do not meet those of another, nor those of another method.
pub(super) fn scope(caller: &Caller, method: &str) -> String {
    format!("{method}:{}", caller.id)
}

/// A used key as a claim; none without a key.
pub(super) fn claim(
    scope: &str,
    key: &str,
    request: &impl Message,
    answer: String,
    now: types::Timestamp,
) -> Vec<Claim> {
    if key.is_empty() {
        return Vec::new();
    }
    vec![Claim {
        scope: scope.to_owned(),
        key: key.to_owned(),
        request_hash: hash(request),
        answer,
        at: now,
        expires_at: now.plus(limits::IDEMPOTENCY_MS),
    }]
}

/// The answer that the same request got before.
pub(super) async fn answered(
    core: &Core,
    scope: &str,
    key: &str,
    request: &impl Message,
) -> Result<Option<String>, Status> {
    if key.is_empty() {
        return Ok(None);
    }
    if key.len() > KEY_BYTES {
        return Err(errors::invalid(
            "idempotency_key",
            format_args!("at most {KEY_BYTES} bytes"),
        ));
    }
    let (found, now) = (hash(request), core.clock.now());
    match core.store.claim(scope, key, now).await {
        Ok(Some(claim)) if claim.request_hash == found => Ok(Some(claim.answer)),
        Ok(Some(claim)) => Err(store_status(&StoreError::Claimed(Box::new(claim)))),
        Ok(None) => Ok(None),
        Err(error) => Err(store_status(&error)),
    }
}

fn hash(request: &impl Message) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(request.encode_to_vec()))
}
