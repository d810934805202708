//! Registries that mean harm: answers without an end, places that they lead to, words that give us away. Each test has a
//! registry of its own by HTTP, which writes down what it was asked and how much it could send.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use images::ImageError;
use runtime::{Pull, StartErrorKind};

use crate::build::{Image, Layer, arch, busybox, digest, gzip};
use crate::registry::{PASSWORD, USER};
use crate::support::{Place, block};

/// What may be on the way when the other side stops to read: buffers of both kernels, and what is read at most.
const STOPPED: usize = 64 * 1024 * 1024;
/// What a registry sends that nobody stops.
const ENDLESS: usize = 1024 * 1024 * 1024;

#[derive(Clone)]
enum Reply {
    /// Status, headers, body.
    Whole(u16, Vec<String>, Vec<u8>),
    /// A body without an end.
    Endless(u16, Vec<String>),
    /// A byte now and then.
    Drip(u16),
}

fn json(value: &serde_json::Value) -> Reply {
    Reply::Whole(200, Vec::new(), value.to_string().into_bytes())
}

#[derive(Default)]
struct Seen {
    /// Path and query, and the header `Authorization`, of each request.
    asked: Vec<(String, String)>,
    sent: usize,
}

struct Hostile {
    host: String,
    seen: Arc<Mutex<Seen>>,
}

impl Hostile {
    /// Answers by its own address, the path and the header `Authorization`.
    fn start(answer: impl Fn(&str, &str, &str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let (seen, answer) = (Arc::new(Mutex::new(Seen::default())), Arc::new(answer));
        let (own, written) = (host.clone(), Arc::clone(&seen));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (own, written, answer) = (own.clone(), Arc::clone(&written), Arc::clone(&answer));
                std::thread::spawn(move || one(stream, &written, |path, who| answer(&own, path, who)));
            }
        });
        Self { host, seen }
    }

    fn asked(&self) -> Vec<(String, String)> {
        self.seen.lock().unwrap().asked.clone()
    }

    fn image(&self) -> String {
        format!("{}/team/tool:1", self.host)
    }

    /// Its image is not to be had: the error, and that nobody read on and on.
    fn refuses(&self, place: &Place) -> ImageError {
        let error = block(place.images.ensure(&self.image(), Pull::Missing))
            .map(drop)
            .unwrap_err();
        let sent = self.seen.lock().unwrap().sent;
        assert!(sent < STOPPED, "{sent} bytes were read: {error}");
        error
    }
}

/// One request of a connection.
fn one(stream: TcpStream, seen: &Mutex<Seen>, answer: impl Fn(&str, &str) -> Reply) {
    let mut lines = BufReader::new(stream.try_clone().unwrap())
        .lines()
        .map_while(Result::ok);
    let Some(first) = lines.next() else { return };
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let who = headers
        .iter()
        .find_map(|line| line.strip_prefix("authorization: "))
        .unwrap_or_default();
    seen.lock().unwrap().asked.push((path.clone(), who.to_owned()));
    // Whoever asked may have gone.
    let _gone = write(stream, &answer(&path, who), seen);
}

fn write(mut stream: TcpStream, reply: &Reply, seen: &Mutex<Seen>) -> std::io::Result<()> {
    let head = |status: u16, headers: &[String]| {
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        format!("HTTP/1.1 {status} So\r\nConnection: close\r\n{headers}\r\n")
    };
    match reply {
        Reply::Whole(status, headers, body) => {
            stream.write_all(head(*status, headers).as_bytes())?;
            stream.write_all(body)
        }
        Reply::Endless(status, headers) => {
            stream.write_all(head(*status, headers).as_bytes())?;
            let spaces = [b' '; 64 * 1024];
            for _ in 0..ENDLESS / spaces.len() {
                stream.write_all(&spaces)?;
                seen.lock().unwrap().sent += spaces.len();
            }
            Ok(())
        }
        Reply::Drip(status) => {
            stream.write_all(head(*status, &[]).as_bytes())?;
            loop {
                stream.write_all(b" ")?;
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

/// An image as its registry serves it: by the last part of the path.
fn served(change: impl FnOnce(&mut serde_json::Value)) -> BTreeMap<String, Vec<u8>> {
    let note = Layer::new().file("note", 0o644, 0, b"it came whole\n");
    served_of(vec![busybox(), note], change)
}

fn served_of(layers: Vec<Layer>, change: impl FnOnce(&mut serde_json::Value)) -> BTreeMap<String, Vec<u8>> {
    let image = Image::of(layers);
    let config = image.config();
    let blobs: Vec<Vec<u8>> = image.layers.iter().map(|layer| gzip(layer)).collect();
    let described = |bytes: &[u8], kind: &str| serde_json::json!({ "mediaType": kind, "digest": digest(bytes), "size": bytes.len() });
    let layers: Vec<_> = blobs
        .iter()
        .map(|blob| described(blob, "application/vnd.oci.image.layer.v1.tar+gzip"))
        .collect();
    let mut manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": described(&config, "application/vnd.oci.image.config.v1+json"), "layers": layers,
    });
    change(&mut manifest);
    let all = blobs
        .into_iter()
        .chain([config])
        .map(|blob| (digest(&blob), blob));
    all.chain([("1".to_owned(), manifest.to_string().into_bytes())])
        .collect()
}

fn found(files: &BTreeMap<String, Vec<u8>>, path: &str) -> Reply {
    match files.get(path.rsplit('/').next().unwrap_or_default()) {
        Some(bytes) => Reply::Whole(200, Vec::new(), bytes.clone()),
        None => Reply::Whole(404, Vec::new(), Vec::new()),
    }
}

/// A place that knows the password for a registry.
fn known(registry: &Hostile, tmp: &tempfile::TempDir) -> Place {
    let auth = data_encoding::BASE64.encode(format!("{USER}:{PASSWORD}").as_bytes());
    let path = tmp.path().join("config.json");
    let login = serde_json::json!({ "auths": { &registry.host: { "auth": auth } } });
    std::fs::write(&path, login.to_string()).unwrap();
    Place::with(|access| access.credentials = Some(path))
}

#[test]
fn no_answer_without_an_end_is_read_to_its_end() {
    let manifest = Hostile::start(|_, _, _| Reply::Endless(200, Vec::new()));
    let error = manifest.refuses(&Place::new());
    assert!(
        matches!(
            error,
            ImageError::TooLarge {
                what: "its manifest",
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains(&manifest.image()), "{error}");

    let words = Hostile::start(|_, _, _| Reply::Endless(500, Vec::new()));
    let error = words.refuses(&Place::new());
    assert!(
        matches!(error, ImageError::Registry { .. }) && error.to_string().contains("HTTP 500"),
        "{error}"
    );

    let token = Hostile::start(|own, path, _| match path.starts_with("/token") {
        true => Reply::Endless(200, Vec::new()),
        false => wants_token(own),
    });
    let error = token.refuses(&Place::new());
    assert!(
        matches!(error, ImageError::TooLarge { .. }) && error.to_string().contains("token"),
        "{error}"
    );

    let files = served(|_| {});
    let config = Hostile::start(move |_, path, _| match path.contains("/blobs/") {
        true => Reply::Endless(200, Vec::new()),
        false => found(&files, path),
    });
    let error = config.refuses(&Place::new());
    assert!(
        matches!(
            error,
            ImageError::TooLarge {
                what: "its configuration",
                ..
            }
        ),
        "{error}"
    );

    // A layer may be large; it is not longer than the manifest says.
    let files = served(|_| {});
    let layer = Hostile::start(move |_, path, _| match found(&files, path) {
        Reply::Whole(200, _, bytes) if bytes.starts_with(&[0x1f, 0x8b]) => Reply::Endless(200, Vec::new()),
        other => other,
    });
    let error = layer.refuses(&Place::new());
    assert!(
        matches!(error, ImageError::TooLarge { what: "a layer", .. }),
        "{error}"
    );
}

#[test]
fn an_answer_that_never_comes_to_its_end_is_given_up() {
    for status in [200, 500] {
        let slow = Hostile::start(move |_, _, _| Reply::Drip(status));
        let place = Place::with(|access| access.answer = Duration::from_millis(300));
        let ran = place.sh(&slow.image(), "echo never");
        let (kind, message) = ran.refusal();
        assert_eq!(kind, StartErrorKind::RegistryUnreachable, "{message}");
        assert!(message.contains(&slow.image()), "{message}");
    }
    let slow = Hostile::start(|own, path, _| match path.starts_with("/token") {
        true => Reply::Drip(200),
        false => wants_token(own),
    });
    let place = Place::with(|access| access.answer = Duration::from_millis(300));
    assert_eq!(
        place.sh(&slow.image(), "echo never").refusal().0,
        StartErrorKind::RegistryUnreachable
    );
    // A whole image has its time, too, however lively the registry is.
    let files = served(|_| {});
    let slow = Hostile::start(move |_, path, _| match found(&files, path) {
        Reply::Whole(200, _, bytes) if bytes.starts_with(&[0x1f, 0x8b]) => Reply::Drip(200),
        other => other,
    });
    let place = Place::with(|access| access.timeout = Duration::from_secs(2));
    assert_eq!(
        place.sh(&slow.image(), "echo never").refusal().0,
        StartErrorKind::ImageTimeout
    );
}

fn wants_token(own: &str) -> Reply {
    let realm = format!("WWW-Authenticate: Bearer realm=\"http://{own}/token\",service=\"tests\"");
    Reply::Whole(401, vec![realm], Vec::new())
}

#[test]
fn a_token_is_asked_for_with_the_password_and_again_when_it_is_not_taken_any_more() {
    let files = served(|_| {});
    let granted = Mutex::new(0);
    let registry = Hostile::start(move |own, path, who| {
        let mut granted = granted.lock().unwrap();
        if path.starts_with("/token") {
            *granted += 1;
            return json(&serde_json::json!({ "token": format!("word-{granted}"), "expires_in": 60 }));
        }
        // The first one is good for the manifest only.
        let good = match path.contains("/manifests/") {
            true => who.starts_with("Bearer word-"),
            false => who.starts_with("Bearer word-") && who != "Bearer word-1",
        };
        if good {
            found(&files, path)
        } else {
            wants_token(own)
        }
    });
    let tmp = tempfile::tempdir().unwrap();
    let ran = known(&registry, &tmp).sh(&registry.image(), "cat /note");
    assert_eq!(ran.out, "it came whole\n", "{ran:?}");
    let basic = data_encoding::BASE64.encode(format!("{USER}:{PASSWORD}").as_bytes());
    for (path, who) in registry.asked() {
        if path.starts_with("/token") {
            assert_eq!(path, "/token?service=tests&scope=repository%3Ateam%2Ftool%3Apull");
            assert_eq!(who, format!("Basic {basic}"));
        } else {
            assert!(!who.contains(&basic), "the password went to {path}");
        }
    }
}

#[test]
fn a_registry_leads_nobody_to_a_metadata_service_and_its_words_give_nothing_away() {
    let to = "Location: http://169.254.169.254/latest/meta-data/".to_owned();
    let redirects = Hostile::start(move |_, _, _| Reply::Whole(307, vec![to.clone()], Vec::new()));
    let error = redirects.refuses(&Place::new()).to_string();
    assert!(
        error.contains("redirect") && error.contains("metadata service's address"),
        "{error}"
    );

    let realm = "WWW-Authenticate: Bearer realm=\"http://169.254.169.254/token\"".to_owned();
    let names = Hostile::start(move |_, _, _| Reply::Whole(401, vec![realm.clone()], Vec::new()));
    let tmp = tempfile::tempdir().unwrap();
    let error = names.refuses(&known(&names, &tmp)).to_string();
    assert!(error.contains("metadata service's address"), "{error}");

    let echoes = Hostile::start(|_, _, who| match who {
        "" => Reply::Whole(
            401,
            vec!["WWW-Authenticate: Basic realm=\"x\"".to_owned()],
            Vec::new(),
        ),
        who => {
            let message = format!("\u{1b}[2Jbad {who}\nor {PASSWORD}");
            let error = serde_json::json!({ "errors": [{ "code": "BAD", "message": message }] });
            Reply::Whole(400, Vec::new(), error.to_string().into_bytes())
        }
    });
    let error = echoes.refuses(&known(&echoes, &tmp)).to_string();
    let basic = data_encoding::BASE64.encode(format!("{USER}:{PASSWORD}").as_bytes());
    assert!(error.contains("HTTP 400: BAD"), "{error}");
    assert!(!error.contains(PASSWORD) && !error.contains(&basic), "{error}");
    assert!(!error.contains(['\u{1b}', '\n']), "{error:?}");
}

#[test]
fn a_token_is_taken_out_of_a_registrys_words_and_its_services_refusal_is_no_missing_image() {
    const TOKEN: &str = "opaque-token-5c1d";
    let challenge = |own: &str| {
        let realm = format!("WWW-Authenticate: Bearer realm=\"http://{own}/token\",service=\"s\"");
        Reply::Whole(401, vec![realm], Vec::new())
    };
    let echoes = Hostile::start(move |own, path, who| match (path, who) {
        (path, _) if path.starts_with("/token") => json(&serde_json::json!({ "token": TOKEN })),
        (_, "") => challenge(own),
        (_, who) => Reply::Whole(400, Vec::new(), format!("bad {who}").into_bytes()),
    });
    let error = echoes.refuses(&Place::new()).to_string();
    assert!(error.contains("HTTP 400: bad Bearer …"), "{error}");
    let lost = Hostile::start(move |own, path, _| match path {
        path if path.starts_with("/token") => Reply::Whole(404, Vec::new(), b"no such route".to_vec()),
        _ => challenge(own),
    });
    let error = lost.refuses(&Place::new());
    assert!(matches!(error, ImageError::Registry { .. }), "{error:?}");
    let error = error.to_string();
    assert!(
        error.contains("its token service said HTTP 404: no such route"),
        "{error}"
    );
}

#[test]
fn an_answer_about_a_part_to_a_request_for_the_whole_is_a_refusal() {
    let registry = Hostile::start(|_, _, _| Reply::Whole(416, Vec::new(), b"no range".to_vec()));
    let error = registry.refuses(&Place::new()).to_string();
    assert!(error.contains("HTTP 416: no range"), "{error}");
}

#[test]
fn a_place_that_an_image_names_for_a_layer_is_never_asked() {
    let elsewhere = Hostile::start(|_, _, _| Reply::Whole(200, Vec::new(), Vec::new()));
    let url = format!("http://{}/layer", elsewhere.host);
    let mut files = served(|manifest| manifest["layers"][0]["urls"] = serde_json::json!([url]));
    files.retain(|_, bytes| !bytes.starts_with(&[0x1f, 0x8b]));
    let registry = Hostile::start(move |_, path, _| found(&files, path));
    let error = registry.refuses(&Place::new()).to_string();
    assert!(
        error.contains("lacks a part of the image") && error.contains("urls"),
        "{error}"
    );
    assert!(elsewhere.asked().is_empty(), "{:?}", elsewhere.asked());
}

#[test]
fn an_image_that_is_larger_than_any_is_refused_before_a_layer_is_asked_for() {
    const GIB: u64 = 1 << 30;
    let few = |sizes: Vec<u64>| {
        let layers: Vec<Layer> = (0..sizes.len())
            .map(|n| Layer::new().file(&format!("{n}"), 0o644, 0, b""))
            .collect();
        let files = served_of(layers, |manifest| {
            for (layer, size) in sizes.iter().enumerate() {
                manifest["layers"][layer]["size"] = serde_json::json!(size);
            }
        });
        let registry = Hostile::start(move |_, path, _| found(&files, path));
        let error = registry.refuses(&Place::new()).to_string();
        let asked = registry.asked();
        let blobs = asked.iter().filter(|(path, _)| path.contains("/blobs/"));
        assert_eq!(blobs.count(), 1, "its configuration only: {asked:?}");
        error
    };
    let one = few(vec![8 * GIB + 1]);
    assert!(one.contains("a layer is larger than"), "{one}");
    let all = few(vec![8 * GIB, 8 * GIB, 1]);
    assert!(
        all.contains("what is to be fetched of it is larger than"),
        "{all}"
    );
}

/// A line of `/proc/self/status`, in bytes.
fn memory(key: &str) -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    let number = line.trim_matches([':', '\t', ' ']).split(' ').next().unwrap();
    number.parse::<usize>().unwrap() * 1024
}

/// Under nextest, where this process is this test's own.
#[test]
fn a_configuration_of_hollow_entries_does_not_fill_the_memory() {
    // Four megabytes of JSON, and many times that in memory were all of it kept.
    let history = "{},".repeat(1_300_000);
    let config = format!(
        r#"{{"architecture":"{}","os":"linux","config":{{}},"history":[{history}{{}}],"rootfs":{{"type":"layers","diff_ids":[]}}}}"#,
        arch()
    )
    .into_bytes();
    let kind = "application/vnd.oci.image.config.v1+json";
    let manifest = serde_json::json!({
        "schemaVersion": 2, "layers": [],
        "config": { "mediaType": kind, "digest": digest(&config), "size": config.len() },
    });
    let files = BTreeMap::from([
        (digest(&config), config),
        ("1".to_owned(), manifest.to_string().into_bytes()),
    ]);
    let registry = Hostile::start(move |_, path, _| found(&files, path));
    let place = Place::new();
    // The mark of the most that there ever was, to what there is.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = memory("VmRSS");
    let error = registry.refuses(&place).to_string();
    assert!(error.contains("it has no layers"), "{error}");
    let grown = memory("VmHWM").saturating_sub(before);
    assert!(grown < 64 * 1024 * 1024, "{grown} bytes");
}
