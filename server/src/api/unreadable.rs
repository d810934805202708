//! A request that is no message. The transport calls that INTERNAL, which for a caller means a defect of the server; here
//! it is what it is, with the field where there is one. The transport's sentences are matched as a whole: if an update
//! changes them, the tests that send such requests fail.

use std::time::Duration;

use axum::http::HeaderMap;
use tonic::{Code, Status};

use super::errors::{self, brief};

/// A sentence in a header, encoded; ours are shorter.
const MESSAGE: usize = 4 * 1024;

/// What the transport says (prost 0.14 `error.rs`).
const NOT_DECODED: &str = "failed to decode Protobuf message: ";
/// And tonic 0.14 `decode.rs`, `server/grpc.rs`, and tonic-web 0.14 `call.rs`.
const TOO_LARGE: &str = "Error, decoded message length too large: ";
const NOT_FRAMED: [(&str, &str); 5] = [
    (
        "tonic-web: ",
        "the request is no gRPC-Web: its base64 is malformed, or its body broke off",
    ),
    (
        "protocol error: received message with compressed-flag",
        "a message is marked as compressed, but the request names no grpc-encoding",
    ),
    (
        "protocol error: received message with invalid compression flag",
        "a message begins with a flag that is neither 0 nor 1: this is no gRPC frame",
    ),
    (
        "Unexpected EOF decoding stream.",
        "the request ends within a message",
    ),
    ("Missing request message.", "the request has no message"),
];

/// The precise status for a vague one; none when it is precise.
pub(super) fn in_headers(headers: &HeaderMap) -> Option<Status> {
    let code = headers.get("grpc-status")?;
    // The libraries' services repeat what they were asked for, however long: no client takes such headers.
    if headers
        .get("grpc-message")
        .is_some_and(|text| text.len() > MESSAGE)
    {
        let status = Status::from_header_map(headers)?;
        return Some(Status::new(status.code(), brief(status.message())));
    }
    if code != "13" && code != "11" {
        return None;
    }
    said(&Status::from_header_map(headers)?)
}

fn said(status: &Status) -> Option<Status> {
    let text = status.message();
    if status.code() == Code::OutOfRange {
        let sizes = text.strip_prefix(TOO_LARGE)?;
        return Some(errors::exhausted(
            format_args!("the message is too large: {sizes}"),
            Duration::ZERO,
        ));
    }
    if let Some(why) = text.strip_prefix(NOT_DECODED) {
        let (field, why) = place(why);
        return Some(errors::invalid(field, why));
    }
    let (_, why) = NOT_FRAMED.iter().find(|(begin, _)| text.starts_with(begin))?;
    Some(errors::invalid("", why))
}

/// `Inner.other: Outer.field: why` is `field.other` and why.
fn place(text: &str) -> (String, &str) {
    let (mut path, mut rest) = (Vec::new(), text);
    while let Some((step, behind)) = rest.split_once(": ") {
        let Some((message, field)) = step.split_once('.') else {
            break;
        };
        let named = |word: &str| {
            word.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        if !named(message) || !named(field) {
            break;
        }
        path.push(field);
        rest = behind;
    }
    path.reverse();
    (path.join("."), rest)
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use tonic_types::StatusExt;

    use super::said;

    #[test]
    fn the_field_of_wrong_bytes_is_named() {
        // Session's Hello, its labels, the key of one: no UTF-8.
        let error =
            proto::v1::SessionUp::decode(&[0x0a, 5, 0x2a, 3, 0x0a, 1, 0xff][..]).expect_err("no UTF-8");
        let status = said(&tonic::Status::internal(error.to_string())).expect("a vague one");
        let bad = status.get_details_bad_request().expect("details");
        assert_eq!(bad.field_violations[0].field, "message.labels.key");
        assert_eq!(
            bad.field_violations[0].description,
            "invalid string value: data is not UTF-8 encoded"
        );
        assert!(said(&tonic::Status::internal("a defect of the server")).is_none());
    }
}
