//! Between JSON and Rust, and short ways to write a signature.

use std::collections::BTreeMap;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use types::{Effect, IfLost, Object, Output, Param, Signature, Trust, Type};

use crate::{ActionError, ActionOutput};

/// The parameters as a struct.
pub(crate) fn read<T: DeserializeOwned>(params: Object) -> Result<T, ActionError> {
    serde_json::from_value(Value::Object(params))
        .map_err(|error| ActionError::action(format!("parameters: {error}")))
}

/// A value as JSON.
pub(crate) fn json<T: Serialize>(value: &T) -> Result<Value, ActionError> {
    serde_json::to_value(value)
        .map_err(|error| ActionError::internal(format!("an output has no JSON form: {error}")))
}

/// Outputs by name.
pub(crate) fn output<const N: usize>(outputs: [(&str, Value); N], degraded: Vec<String>) -> ActionOutput {
    let outputs = outputs.into_iter().filter(|(_, value)| !value.is_null());
    ActionOutput {
        outputs: outputs.map(|(name, value)| (name.to_owned(), value)).collect(),
        degraded,
    }
}

/// A parameter that must be given.
pub(crate) fn required(ty: Type, takes: Trust, doc: &str) -> Param {
    Param {
        ty,
        required: true,
        default: None,
        takes,
        doc: doc.to_owned(),
    }
}

/// A parameter that may be absent, with its default.
pub(crate) fn optional(ty: Type, takes: Trust, default: Option<Value>, doc: &str) -> Param {
    Param {
        ty,
        required: false,
        default,
        takes,
        doc: doc.to_owned(),
    }
}

/// An output that is always there.
pub(crate) fn gives(ty: Type, gives: Trust, doc: &str) -> Output {
    Output {
        ty,
        optional: false,
        gives,
        doc: doc.to_owned(),
    }
}

/// An output that may be absent.
pub(crate) fn may_give(ty: Type, gives: Trust, doc: &str) -> Output {
    Output {
        ty,
        optional: true,
        gives,
        doc: doc.to_owned(),
    }
}

/// A signature of major version 1 that computes only and may be run again.
pub(crate) fn signature<const P: usize, const O: usize>(
    name: &str,
    doc: &str,
    params: [(&str, Param); P],
    outputs: [(&str, Output); O],
) -> Signature {
    fn named<T, const N: usize>(list: [(&str, T); N]) -> BTreeMap<String, T> {
        list.into_iter()
            .map(|(name, item)| (name.to_owned(), item))
            .collect()
    }
    Signature {
        name: name.to_owned(),
        major: 1,
        doc: doc.to_owned(),
        params: named(params),
        outputs: named(outputs),
        effect: Effect::None,
        connection: None,
        connection_by: None,
        scopes: Vec::new(),
        optional_scopes: Vec::new(),
        if_lost: IfLost::Rerun,
        timeout_ms: 30_000,
    }
}

/// Scopes as owned texts.
pub(crate) fn scopes(list: &[&str]) -> Vec<String> {
    list.iter().map(|&scope| scope.to_owned()).collect()
}
