//! Requests that are no messages: truncated, garbage, compressed, too large, of the wrong type, at the wrong place.

use futures::{StreamExt, stream};
use prost_reflect::Kind;
use tonic::Code;

use super::{AT_ONCE, Scene, assert_expected, raw, schema, table, wrong::Expect};
use crate::http;

const GRPC: (&str, &str) = ("content-type", "application/grpc");
const TE: (&str, &str) = ("te", "trailers");

/// Bytes without sense, the same each time.
fn garbage(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(|_| next()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_message_is_said_to_be_none() {
    let scene = Scene::set().await;
    let wire = raw::wire(&scene.stack).await;
    for (method, row) in table(&wire).await {
        let path = schema::path(&method);
        let good = schema::encode(method.input(), &scene.good(row));
        let one_way = !method.is_client_streaming();
        let whole = raw::frame(&good);
        let mut compressed = whole.clone();
        compressed[0] = 1;
        let mut flagged = whole.clone();
        flagged[0] = 7;
        let mut cut = raw::frame(&[&good[..], &[0; 9]].concat());
        cut.truncate(cut.len() - 9);
        let mut requests: Vec<(String, Vec<u8>, Expect)> = Vec::new();
        for (what, body, expected) in [
            ("an empty body", Vec::new(), one_way),
            ("half a header", vec![0, 0], true),
            ("half a message", cut, true),
            ("a length of 4 GiB", vec![0, 255, 255, 255, 255, 1], false),
            ("a flag for compression", compressed, true),
            ("a wrong flag", flagged, true),
            ("bytes that end within a field", raw::frame(&[0x0a, 200]), true),
            ("a field with the number 0", raw::frame(&[0]), true),
        ] {
            let expect = if expected { Expect::Bad(None) } else { Expect::Fine };
            requests.push((what.to_owned(), body, expect));
        }
        // Every text field with bytes that are no UTF-8 names itself, or the oneof that it is in.
        for field in method
            .input()
            .fields()
            .filter(|field| field.kind() == Kind::String)
        {
            let tag = u8::try_from(field.number() << 3 | 2).unwrap();
            let oneof = field.containing_oneof().filter(|one| !one.is_synthetic());
            let named = oneof.map_or(field.name().to_owned(), |one| one.name().to_owned());
            let what = format!("no UTF-8 in {}", field.name());
            requests.push((what, raw::frame(&[tag, 1, 0xff]), Expect::Bad(Some(named))));
        }
        for seed in 0..12 {
            let bytes = garbage(seed + 1, 5 + usize::try_from(seed).unwrap() * 40);
            requests.push((format!("framed garbage {seed}"), raw::frame(&bytes), Expect::Fine));
            requests.push((format!("garbage {seed}"), bytes, Expect::Fine));
        }
        let calls = requests.into_iter().map(|(what, body, mut expect)| {
            // That service is the library's own, and answers some of it with an end.
            if path.contains("Reflection") {
                expect = Expect::Fine;
            }
            let (wire, path) = (wire.clone(), path.clone());
            async move {
                let answer = raw::call_within(&wire, &path, body, expect.patience(&path)).await;
                assert_expected(&format!("{path}: {what}"), &answer, &expect);
            }
        });
        stream::iter(calls)
            .buffer_unordered(AT_ONCE)
            .collect::<Vec<()>>()
            .await;
        let large = raw::call(&wire, &path, raw::frame(&vec![0x0a; 3 * 1024 * 1024])).await;
        large.assert_decent(&format!("{path}: 3 MiB"));
        if !path.contains("grpc.") {
            assert_eq!(large.code(), Code::ResourceExhausted, "{path}: {large:?}");
        }
        raw::assert_quiet(&path);
    }
    scene.assert_whole().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_of_a_newer_client_are_ignored_and_change_nothing() {
    let scene = Scene::set().await;
    let wire = raw::wire(&scene.stack).await;
    // Field 1000 as a number, 1001 as bytes, 1002 as a group's empty pair.
    let unknown = [0xc0, 0x3e, 5, 0xca, 0x3e, 2, 9, 9, 0xd3, 0x3e, 0xd4, 0x3e];
    for (method, row) in table(&wire).await {
        let path = schema::path(&method);
        let good = schema::encode(method.input(), &scene.good(row));
        let before = raw::call(&wire, &path, raw::frame(&good)).await;
        let after = raw::call(&wire, &path, raw::frame(&[&good[..], &unknown].concat())).await;
        after.assert_decent(&path);
        assert_eq!(after.code(), before.code(), "{path}");
    }
    scene.assert_whole().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wrong_encoding_type_time_or_path_gets_its_own_answer() {
    let scene = Scene::set().await;
    let wire = raw::wire(&scene.stack).await;
    for (method, row) in table(&wire).await {
        let path = schema::path(&method);
        let patience = ("grpc-timeout", raw::patience(&path));
        let body = raw::frame(&schema::encode(method.input(), &scene.good(row)));
        let plain = raw::send(&wire, &path, &[GRPC, TE, patience], body.clone()).await;
        let send = |headers: Vec<(&'static str, &'static str)>| {
            let (wire, path, body) = (wire.clone(), path.clone(), body.clone());
            async move {
                let answer = raw::send(&wire, &path, &headers, body).await;
                answer.assert_decent(&format!("{path} {headers:?}"));
                answer
            }
        };
        let gzip = send(vec![GRPC, TE, patience, ("grpc-encoding", "gzip")]).await;
        assert_eq!(gzip.code(), Code::Unimplemented, "{path}: {gzip:?}");
        let without_te = send(vec![GRPC, patience]).await;
        assert_eq!(without_te.code(), plain.code(), "{path}");
        for kind in [
            "application/json",
            "application/grpc+json",
            "application/grpcx",
            "text/plain",
            "",
        ] {
            assert_eq!(
                send(vec![("content-type", kind), TE, patience]).await.http,
                415,
                "{path}: {kind:?}"
            );
        }
        assert_eq!(
            send(vec![TE, patience]).await.http,
            415,
            "{path}: no content type"
        );
        let proto = send(vec![("content-type", "application/grpc+proto"), TE, patience]).await;
        assert_eq!(proto.code(), plain.code(), "{path}");
        for timeout in ["x", "5", "-1S", "999999999S", "1.5S"] {
            let answer = send(vec![GRPC, TE, ("grpc-timeout", timeout)]).await;
            assert_eq!(answer.fields(), ["grpc-timeout"], "{path}: {timeout}");
        }
        assert_eq!(
            send(vec![GRPC, TE, ("grpc-timeout", "0m")]).await.code(),
            Code::DeadlineExceeded,
            "{path}"
        );
    }
    let (path, body) = ("/firehall.v1.RunService/List", raw::frame(&[]));
    for wrong in [
        "/firehall.v1.RunService/list",
        "/firehall.v1.RunService/",
        "/firehall.v1.Nobody/List",
        "/List",
        "//",
    ] {
        let answer = raw::send(&wire, wrong, &[GRPC, TE], body.clone()).await;
        assert_eq!(answer.code(), Code::Unimplemented, "{wrong}: {answer:?}");
    }
    let large: String = "h".repeat(20_000);
    let answer = raw::send(&wire, path, &[GRPC, TE, ("x-large", &large)], body.clone()).await;
    assert_eq!(answer.http, 431, "{answer:?}");
    raw::assert_quiet("headers");
    scene.assert_whole().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browsers_and_http_1_get_the_same_statuses() {
    let scene = Scene::set().await;
    let wire = raw::wire(&scene.stack).await;
    for (method, row) in table(&wire).await {
        let path = schema::path(&method);
        let good = raw::frame(&schema::encode(method.input(), &scene.good(row)));
        for (kind, body) in [
            ("application/grpc-web+proto", good.clone()),
            (
                "application/grpc-web-text",
                data_encoding::BASE64.encode(&good).into_bytes(),
            ),
            ("application/grpc-web+proto", vec![0, 0]),
            ("application/grpc-web+proto", raw::frame(&[0x0a, 200])),
            ("application/grpc-web-text", b"!!!".to_vec()),
            ("application/grpc-web-text", b"AAAA".to_vec()),
        ] {
            let head = format!(
                "POST {path} HTTP/1.1\r\nContent-Type: {kind}\r\ngrpc-timeout: {}\r\nConnection: close",
                raw::A_WHILE
            );
            let (head, text) = http::all(&scene.stack, &head, &body).await;
            assert!(head.starts_with("http/1.1 200"), "{path} {kind}: {head}");
            // In the headers, or in the last frame of the body.
            let status = ["grpc-status:", "grpc-status: "]
                .iter()
                .flat_map(|key| [&head, &text].map(|part| part.split(key).nth(1)))
                .flatten()
                .find_map(|rest| {
                    rest.trim_start()
                        .split(|c: char| !c.is_ascii_digit())
                        .next()?
                        .parse::<i32>()
                        .ok()
                });
            let status = status.unwrap_or_else(|| panic!("{path} {kind}: no status in {head}{text}"));
            assert!(
                ![2, 13, 14, 15].contains(&status),
                "{path} {kind} {body:?}: {status} {head}{text}"
            );
        }
        let plain = format!("POST {path} HTTP/1.1\r\nContent-Type: application/grpc");
        assert_eq!(
            http::send(&scene.stack, &plain, &good).await.status,
            415,
            "{path}"
        );
        for verb in ["GET", "PUT", "DELETE"] {
            let head = format!("{verb} {path} HTTP/1.1\r\nContent-Type: application/grpc-web+proto");
            assert_eq!(
                http::send(&scene.stack, &head, &good).await.status,
                405,
                "{verb} {path}"
            );
        }
    }
    raw::assert_quiet("gRPC-Web");
    scene.assert_whole().await;
}
