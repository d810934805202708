//! A catalogue like the shipped one's, made for these tests.

use std::collections::BTreeMap;

use types::{Alert, Catalogue, Effect, IfLost, Incident, Output, Param, Signature, Trust, Type};

fn param(ty: Type, required: bool, takes: Trust) -> Param {
    Param {
        ty,
        required,
        default: None,
        takes,
        doc: "for tests".to_owned(),
    }
}

fn output(ty: Type, gives: Trust) -> Output {
    Output {
        ty,
        optional: false,
        gives,
        doc: "for tests".to_owned(),
    }
}

fn signature<const P: usize, const O: usize>(
    name: &str,
    params: [(&str, Param); P],
    outputs: [(&str, Output); O],
) -> Signature {
    let owned = |(key, value): (&str, Param)| (key.to_owned(), value);
    Signature {
        name: name.to_owned(),
        major: 1,
        doc: "for tests".to_owned(),
        params: params.into_iter().map(owned).collect(),
        outputs: outputs
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect::<BTreeMap<_, _>>(),
        effect: Effect::Writes,
        connection: name.starts_with("slack/").then(|| "slack".to_owned()),
        connection_by: name.starts_with("http/").then(|| "connection".to_owned()),
        scopes: Vec::new(),
        optional_scopes: Vec::new(),
        if_lost: IfLost::Rerun,
        timeout_ms: 30_000,
    }
}

/// http/request, incident/parse, slack/resolve-users, slack/war-room.
#[must_use]
pub(crate) fn catalogue() -> Catalogue {
    let any = Trust::Untrusted;
    let person = || Type::record("person", [("query", Type::String), ("id?", Type::String)]);
    let mut privacy = param(Type::String, false, Trust::Trusted);
    privacy.default = Some("auto".into());
    Catalogue::new([
        signature(
            "http/request",
            [("connection", param(Type::String, false, Trust::Trusted))],
            [("status", output(Type::Int, Trust::Trusted))],
        ),
        signature(
            "incident/parse",
            [("alert", param(Alert::ty(), true, any))],
            [("incident", output(Incident::ty(), any))],
        ),
        signature(
            "slack/resolve-users",
            [("users", param(Type::list(Type::String), true, any))],
            [("people", output(Type::list(person()), Trust::Trusted))],
        ),
        signature(
            "slack/war-room",
            [
                ("incident", param(Incident::ty(), true, any)),
                ("people", param(Type::list(person()), false, any)),
                ("name", param(Type::String, false, Trust::Trusted)),
                ("privacy", privacy),
            ],
            [("channel", output(Type::String, Trust::Trusted))],
        ),
    ])
}
