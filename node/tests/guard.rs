//! The guarded client against servers that would lead it elsewhere: a fake resolver and raw answers on loopback.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::VecDeque,
    io::Write,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use node::egress::{
    guarded::{Answer, Bounds, GuardError, Guarded, Outgoing},
    reach::{Inside, Reach},
};
use reqwest::{
    Method, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{HeaderMap, HeaderValue},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// Answers every connection with fixed bytes, and keeps what it was sent.
struct Server {
    at: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn at(address: &str, reply: impl Fn(&str) -> Vec<u8> + Send + 'static) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let at = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&heard);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut buffer = vec![0; 16 * 1024];
                let read = stream.read(&mut buffer).await.unwrap_or(0);
                let head = String::from_utf8_lossy(&buffer[..read]).into_owned();
                kept.lock().unwrap().push(head.clone());
                let _gone = stream.write_all(&reply(&head)).await;
            }
        });
        Self { at, heard }
    }

    async fn fixed(reply: Vec<u8>) -> Self {
        Self::at("127.0.0.1:0", move |_| reply.clone()).await
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

fn ok(body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}").into_bytes()
}

fn moved(status: u16, to: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} Moved\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        .into_bytes()
}

/// A resolver whose answers are given one after the other, the last one for good.
#[derive(Clone, Default)]
struct Names(Arc<Mutex<VecDeque<Vec<IpAddr>>>>);

impl Names {
    fn of(answers: &[&[&str]]) -> Self {
        let parse = |list: &&[&str]| list.iter().map(|text| text.parse().unwrap()).collect();
        Self(Arc::new(Mutex::new(answers.iter().map(parse).collect())))
    }
}

impl Resolve for Names {
    fn resolve(&self, _name: Name) -> Resolving {
        let mut answers = self.0.lock().unwrap();
        let now = if answers.len() > 1 {
            answers.pop_front().unwrap()
        } else {
            answers.front().cloned().unwrap_or_default()
        };
        Box::pin(async move { Ok(Box::new(now.into_iter().map(|ip| SocketAddr::new(ip, 0))) as Addrs) })
    }
}

fn reach(nets: &[&str]) -> Reach {
    Reach::with(nets.iter().map(|net| net.parse().unwrap()))
}

fn loopback() -> Guarded {
    Guarded::new(reach(&["127.0.0.0/8"]))
}

fn get(url: &str) -> Outgoing {
    Outgoing {
        method: Method::GET,
        url: Url::parse(url).unwrap(),
        headers: HeaderMap::new(),
        body: None,
        chosen: false,
    }
}

const BOUNDS: Bounds = Bounds {
    whole: Duration::from_secs(20),
    redirects: 5,
    answer_bytes: 10_000,
};

async fn send(guarded: &Guarded, request: Outgoing) -> Result<Answer, GuardError> {
    guarded.send(request, BOUNDS).await
}

fn denied(result: Result<Answer, GuardError>) -> Inside {
    match result.unwrap_err() {
        GuardError::Denied { denied, .. } => denied.inside,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn every_spelling_of_a_place_inside_is_refused() {
    let server = Server::fixed(ok("secret")).await;
    let port = server.at.port();
    let guarded = Guarded::default();
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0x7f.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "１２７.0.0.1",
        "localhost",
    ] {
        let url = format!("http://{host}:{port}/");
        assert_eq!(
            denied(send(&guarded, get(&url)).await),
            Inside::Loopback,
            "{host}"
        );
    }
    for (host, inside) in [
        ("169.254.169.254", Inside::Metadata),
        ("0xa9fea9fe", Inside::Metadata),
        ("2852039166", Inside::Metadata),
        ("[fd00:ec2::254]", Inside::Metadata),
        ("[64:ff9b::169.254.169.254]", Inside::Metadata),
        ("[fe80::1]", Inside::LinkLocal),
        ("10.0.0.1", Inside::Private),
        ("0", Inside::Reserved),
    ] {
        let url = format!("http://{host}/latest/meta-data/");
        assert_eq!(denied(send(&guarded, get(&url)).await), inside, "{host}");
    }
    assert!(server.heard().is_empty());
}

#[tokio::test]
async fn only_http_without_credentials_is_asked() {
    let guarded = loopback();
    for url in [
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        "gopher://127.0.0.1/",
        "unix:/run/docker.sock",
        "http://me:secret@127.0.0.1/",
        "http://me@127.0.0.1/",
    ] {
        let error = send(&guarded, get(url)).await.unwrap_err();
        assert!(matches!(error, GuardError::Url(_)), "{url}: {error}");
        assert!(!error.to_string().contains("secret"));
    }
}

#[tokio::test]
async fn a_name_is_judged_by_where_it_leads() {
    let server = Server::fixed(ok("hello")).await;
    let url = format!("http://inside.test:{}/", server.at.port());
    let names = Names::of(&[&["127.0.0.1"]]);
    let guarded = Guarded::with_names(Reach::default(), Arc::new(names.clone()));
    let error = send(&guarded, get(&url)).await.unwrap_err();
    let said = error.to_string();
    assert!(
        said.contains("inside.test") && said.contains("--allow net:127.0.0.1/32"),
        "{said}"
    );
    assert!(!error.may_pass());
    let allowed = Guarded::with_names(reach(&["127.0.0.0/8"]), Arc::new(names));
    assert_eq!(send(&allowed, get(&url)).await.unwrap().body, b"hello");
    // What is out of reach is passed over where another address of the name is within.
    let mixed = Names::of(&[&["10.255.255.1", "127.0.0.1", "169.254.169.254"]]);
    let mixed = Guarded::with_names(reach(&["127.0.0.0/8"]), Arc::new(mixed));
    assert_eq!(send(&mixed, get(&url)).await.unwrap().body, b"hello");
    assert_eq!(server.heard().len(), 2);
}

#[tokio::test]
async fn a_name_that_is_bound_anew_leads_nowhere_else() {
    let outside = Server::at("127.0.0.2:0", |_| ok("public")).await;
    let port = outside.at.port();
    let inside = Server::at(&format!("127.0.0.1:{port}"), |_| ok("secret")).await;
    let names = Names::of(&[&["127.0.0.2"], &["127.0.0.1"]]);
    let guarded = Guarded::with_names(reach(&["127.0.0.2/32"]), Arc::new(names));
    let url = format!("http://rebind.test:{port}/");
    assert_eq!(send(&guarded, get(&url)).await.unwrap().body, b"public");
    assert_eq!(denied(send(&guarded, get(&url)).await), Inside::Loopback);
    // And within one request: the redirect leads to the same name, which has another address by then.
    let again = Server::at("127.0.0.2:0", move |_| {
        moved(302, &format!("http://rebind.test:{port}/"))
    })
    .await;
    let names = Names::of(&[&["127.0.0.2"], &["127.0.0.1"]]);
    let guarded = Guarded::with_names(reach(&["127.0.0.2/32"]), Arc::new(names));
    let url = format!("http://rebind.test:{}/", again.at.port());
    assert_eq!(denied(send(&guarded, get(&url)).await), Inside::Loopback);
    assert!(inside.heard().is_empty(), "nothing was connected to there");
}

#[tokio::test]
async fn redirects_are_checked_as_the_first_url_is() {
    for (location, inside) in [
        ("http://169.254.169.254/latest/meta-data/", Inside::Metadata),
        ("http://10.0.0.1/", Inside::Private),
        ("//[::ffff:a9fe:a9fe]/", Inside::Metadata),
    ] {
        let server = Server::fixed(moved(302, location)).await;
        let result = send(&loopback(), get(&format!("http://{}/", server.at))).await;
        assert_eq!(denied(result), inside, "{location}");
    }
    for location in [
        "file:///etc/passwd",
        "http://a:b@127.0.0.1/",
        "http://[",
        "javascript:1",
    ] {
        let server = Server::fixed(moved(302, location)).await;
        let error = send(&loopback(), get(&format!("http://{}/", server.at)))
            .await
            .unwrap_err();
        assert!(matches!(error, GuardError::Redirect(_)), "{location}: {error}");
    }
    let server = Server::fixed(b"HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n".to_vec()).await;
    let error = send(&loopback(), get(&format!("http://{}/", server.at))).await;
    assert!(matches!(error, Err(GuardError::Redirect(_))));
}

#[tokio::test]
async fn redirects_end() {
    let circle = Server::at("127.0.0.1:0", |head| {
        let to = if head.starts_with("GET /a ") { "/b" } else { "/a" };
        moved(307, to)
    })
    .await;
    let error = send(&loopback(), get(&format!("http://{}/a", circle.at)))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("circle"), "{error}");
    assert_eq!(circle.heard().len(), 2);
    let endless = Server::at("127.0.0.1:0", |head| {
        let n: u32 = head[5..].split(' ').next().unwrap().parse().unwrap();
        moved(302, &format!("/{}", n + 1))
    })
    .await;
    let error = send(&loopback(), get(&format!("http://{}/0", endless.at)))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("5 were"), "{error}");
    assert_eq!(endless.heard().len(), 6);
    let none = Bounds {
        redirects: 0,
        ..BOUNDS
    };
    let request = get(&format!("http://{}/0", endless.at));
    assert_eq!(loopback().send(request, none).await.unwrap().status, 302);
}

#[tokio::test]
async fn another_place_gets_no_header_and_no_body() {
    let elsewhere = Server::fixed(ok("there")).await;
    let url = format!("http://{}/there", elsewhere.at);
    for (status, turns) in [(301, true), (302, true), (303, true), (307, false), (308, false)] {
        let server = Server::fixed(moved(status, &url)).await;
        let mut request = get(&format!("http://{}/", server.at));
        for (name, value) in [
            ("authorization", "Bearer hush"),
            ("cookie", "session=hush"),
            ("x-api-key", "hush"),
            ("accept", "text/plain"),
        ] {
            request.headers.insert(name, HeaderValue::from_static(value));
        }
        assert_eq!(send(&loopback(), request.clone()).await.unwrap().body, b"there");
        request.method = Method::POST;
        request.body = Some(b"hush".to_vec());
        let posted = send(&loopback(), request).await;
        if turns {
            assert_eq!(posted.unwrap().url.as_str(), url);
        } else {
            assert!(matches!(posted, Err(GuardError::Redirect(_))), "{status}");
        }
        assert!(server.heard().iter().all(|head| head.contains("hush")));
    }
    for head in elsewhere.heard() {
        assert!(
            head.starts_with("GET /there ") && !head.contains("hush"),
            "{head}"
        );
        assert!(head.contains("accept: text/plain"), "{head}");
    }
    // Within one place they go along, and so does the body where the status says so.
    let server = Server::at("127.0.0.1:0", |head| {
        if head.starts_with("PUT /old ") {
            moved(308, "/new")
        } else {
            ok("here")
        }
    })
    .await;
    let mut request = get(&format!("http://{}/old", server.at));
    request.method = Method::PUT;
    request
        .headers
        .insert("x-api-key", HeaderValue::from_static("hush"));
    request.body = Some(b"content".to_vec());
    send(&loopback(), request).await.unwrap();
    let last = server.heard().pop().unwrap();
    assert!(
        last.starts_with("PUT /new ") && last.contains("hush") && last.ends_with("content"),
        "{last}"
    );
}

#[tokio::test]
async fn what_the_operator_named_is_asked_wherever_it_is_but_leads_nowhere_inside() {
    let other = Server::fixed(ok("secret")).await;
    let server = Server::at("127.0.0.1:0", move |head| {
        if head.starts_with("GET /away ") {
            moved(302, &format!("http://127.0.0.1:{}/", other.at.port()))
        } else {
            ok("named")
        }
    })
    .await;
    let guarded = Guarded::default();
    let mut request = get(&format!("http://{}/", server.at));
    request.chosen = true;
    assert_eq!(send(&guarded, request.clone()).await.unwrap().body, b"named");
    request.url = request.url.join("/away").unwrap();
    assert_eq!(denied(send(&guarded, request).await), Inside::Loopback);
}

#[tokio::test]
async fn answers_are_bounded_decompressed_and_whole_in_time() {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(&vec![b'x'; 5_000_000]).unwrap();
    let bomb = packed.finish().unwrap();
    assert!(bomb.len() < 100_000);
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        bomb.len()
    );
    let server = Server::fixed([head.as_bytes(), &bomb].concat()).await;
    let answer = send(&loopback(), get(&format!("http://{}/", server.at)))
        .await
        .unwrap();
    assert_eq!((answer.body.len(), answer.truncated), (10_000, true));
    let unasked = b"HTTP/1.1 200 OK\r\ncontent-encoding: br\r\ncontent-length: 2\r\n\r\n\x0b\x00".to_vec();
    let server = Server::fixed(unasked).await;
    let error = send(&loopback(), get(&format!("http://{}/", server.at))).await;
    assert!(matches!(error, Err(GuardError::Encoding(_))));
    // A drip that would go on for hours.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let drip = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut buffer = [0; 1_024];
        // On a slow machine the client may be gone before it is heard.
        let _read = stream.read(&mut buffer).await;
        let _head = stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
            .await;
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let short = Bounds {
        whole: Duration::from_millis(500),
        ..BOUNDS
    };
    let error = loopback().send(get(&url), short).await.unwrap_err();
    assert!(
        matches!(error, GuardError::TooSlow(_)) && error.may_pass(),
        "{error}"
    );
    // The connection was given up, so the drip ends.
    tokio::time::timeout(Duration::from_secs(20), drip)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn what_breaks_off_may_pass() {
    let short = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\nconnection: close\r\n\r\nhalf".to_vec();
    let server = Server::fixed(short).await;
    let error = send(&loopback(), get(&format!("http://{}/", server.at)))
        .await
        .unwrap_err();
    assert!(error.may_pass(), "{error}");
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", nobody.local_addr().unwrap());
    drop(nobody);
    let error = send(&loopback(), get(&url)).await.unwrap_err();
    assert!(
        error.may_pass() && error.to_string().contains("no connection"),
        "{error}"
    );
}
