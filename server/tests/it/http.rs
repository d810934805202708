//! Plain HTTP/1.1 by hand, so that a test sees what is on the wire.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::stack::{Stack, soon};

/// Status, headers and body.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: serde_json::Value,
}

pub(crate) async fn read(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    let end = soon("an answer", async {
        loop {
            if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
                return end + 4;
            }
            let mut chunk = [0; 4096];
            let n = stream.read(&mut chunk).await.unwrap();
            assert!(
                n > 0,
                "closed before an answer: {:?}",
                String::from_utf8_lossy(&bytes)
            );
            bytes.extend_from_slice(&chunk[..n]);
        }
    })
    .await;
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_lowercase();
    let length: usize = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |n| n.parse().unwrap());
    while bytes.len() < end + length {
        let mut chunk = [0; 4096];
        let n = soon("a body", stream.read(&mut chunk)).await.unwrap();
        assert!(n > 0, "closed within the body");
        bytes.extend_from_slice(&chunk[..n]);
    }
    let text = String::from_utf8_lossy(&bytes[end..]).into_owned();
    Answer {
        status: head[9..12].parse().unwrap(),
        body: serde_json::from_str(&text).unwrap_or(serde_json::Value::String(text)),
        head,
    }
}

/// Head (in lower case) and body until the server closes; base64 of gRPC-Web decoded.
pub(crate) async fn all(stack: &Stack, head: &str, body: &[u8]) -> (String, String) {
    let mut stream = TcpStream::connect(stack.address).await.unwrap();
    let head = format!(
        "{head}\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut bytes = Vec::new();
    soon("the end", stream.read_to_end(&mut bytes)).await.unwrap();
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let mut text = String::from_utf8_lossy(&bytes[end..]).into_owned();
    if head.contains("grpc-web-text") {
        // Chunks of base64, each whole, between HTTP's lengths.
        let decoded = text
            .lines()
            .filter_map(|line| data_encoding::BASE64.decode(line.as_bytes()).ok());
        text = decoded
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .collect();
    }
    (head, text)
}

pub(crate) async fn send(stack: &Stack, head: &str, body: &[u8]) -> Answer {
    send_to(stack, "localhost", head, body).await
}

/// As somebody who knows the server by this name.
pub(crate) async fn send_to(stack: &Stack, host: &str, head: &str, body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(stack.address).await.unwrap();
    let head = format!("{head}\r\nHost: {host}\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    read(&mut stream).await
}

pub(crate) async fn post(stack: &Stack, path: &str, body: &[u8]) -> Answer {
    let head = format!("POST {path} HTTP/1.1\r\nContent-Type: application/json");
    send(stack, &head, body).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_unknown_paths_and_methods() {
    let stack = Stack::start().await;
    assert_eq!(send(&stack, "GET /healthz HTTP/1.1", b"").await.status, 200);
    let unknown = send(&stack, "GET /nope HTTP/1.1", b"").await;
    assert_eq!(
        (unknown.status, &unknown.body["error"]),
        (404, &"not_found".into())
    );
    let wrong = send(&stack, "GET /webhook/datadog-incident HTTP/1.1", b"").await;
    assert_eq!(
        (wrong.status, &wrong.body["error"]),
        (405, &"method_not_allowed".into())
    );
    assert!(wrong.head.contains("allow: post"), "{}", wrong.head);
    let grpc = send(
        &stack,
        "POST /firehall.v1.Nobody/Calls HTTP/1.1\r\nContent-Type: application/grpc",
        b"",
    )
    .await;
    assert_eq!(grpc.status, 200);
    assert!(grpc.head.contains("grpc-status: 12"), "{}", grpc.head);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_says_nothing_is_closed() {
    let stack = Stack::start().await;
    let mut silent = TcpStream::connect(stack.address).await.unwrap();
    let mut half = TcpStream::connect(stack.address).await.unwrap();
    half.write_all(b"PRI * HTTP/2.0\r\n").await.unwrap();
    let mut byte = [0; 1];
    let closed = |read: std::io::Result<usize>| matches!(read, Ok(0) | Err(_));
    assert!(closed(soon("the cut", silent.read(&mut byte)).await));
    assert!(closed(soon("the cut", half.read(&mut byte)).await));
    // One that speaks and pauses then is not.
    let mut slow = TcpStream::connect(stack.address).await.unwrap();
    slow.write_all(b"GET /healthz HTTP/1.1\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    slow.write_all(b"Host: localhost\r\n\r\n").await.unwrap();
    assert_eq!(read(&mut slow).await.status, 200);
    stack.stop().await;
}
