//! Images from registries: by password, by platform, in pieces; and each way in which it fails.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

use images::ImageError;
use runtime::{Pull, Runtime, StartErrorKind};
use tokio::net::TcpSocket;

use crate::build::{Image, Layer, arch, busybox, push, push_index};
use crate::registry::Registry;
use crate::support::{Place, block, sh};

/// A port of loopback that is this test's, and at which nobody listens.
fn bound() -> (TcpSocket, u16) {
    let held = TcpSocket::new_v4().unwrap();
    held.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let port = held.local_addr().unwrap().port();
    (held, port)
}

fn ensure(place: &Place, name: &str, pull: Pull) -> Result<images::Image, ImageError> {
    block(place.images.ensure(name, pull)).map(|(image, _lock)| image)
}

#[test]
fn a_registry_with_a_password_is_asked_with_the_one_that_docker_login_wrote() {
    let registry = Registry::locked();
    push(&registry, "private", &Image::of(vec![busybox()]));
    let name = format!("{}/private", registry.host);
    let stranger = Place::new();
    let ran = stranger.sh(&name, "echo never");
    assert_eq!(ran.refusal().0, StartErrorKind::ImageDenied);
    assert!(
        ran.refusal()
            .1
            .contains(&format!("docker login {}", registry.host)),
        "{ran:?}"
    );

    let tmp = tempfile::tempdir().unwrap();
    let login = registry.login(tmp.path());
    let place = Place::with(|access| access.credentials = Some(login.clone()));
    assert_eq!(place.sh(&name, "echo let in").out, "let in\n");

    // A wrong password is another message, and a broken file is not taken for none.
    let text = std::fs::read_to_string(&login).unwrap();
    let wrong = data_encoding::BASE64.encode(b"puller:wrong");
    let right = text.split('"').nth(7).unwrap().to_owned();
    std::fs::write(&login, text.replace(&right, &wrong)).unwrap();
    let place = Place::with(|access| access.credentials = Some(login.clone()));
    let error = ensure(&place, &name, Pull::Missing).unwrap_err();
    assert!(matches!(error, ImageError::Unauthorized { .. }), "{error}");
    assert!(
        error.to_string().contains("the credentials of this host"),
        "{error}"
    );
    std::fs::write(&login, "{").unwrap();
    let error = ensure(&place, &name, Pull::Missing).unwrap_err();
    assert!(matches!(error, ImageError::Credentials { .. }), "{error}");
}

#[test]
fn an_index_leads_to_this_machines_image_or_says_what_there_is() {
    let registry = Registry::open();
    let place = Place::new();
    let here = Image::of(vec![busybox()]);
    let there = Image::of(vec![Layer::new().file("x", 0o644, 0, b"x")]).for_arch("s390x");
    let (here_manifest, here_digest) = push(&registry, "multi:here", &here);
    let (there_manifest, there_digest) = push(&registry, "multi:there", &there);
    let index = push_index(
        &registry,
        "multi:both",
        &[
            (&there_manifest, &there_digest, "s390x"),
            (&here_manifest, &here_digest, arch()),
        ],
    );
    let ran = place.sh(&format!("{}/multi:both", registry.host), "echo ran");
    assert_eq!(ran.out, "ran\n", "{ran:?}");
    assert_eq!(
        ran.record.image_digest,
        Some(index.clone()),
        "what a workflow would pin"
    );
    let pinned = place.sh(&format!("{}/multi@{index}", registry.host), "echo ran");
    assert_eq!(pinned.out, "ran\n", "{pinned:?}");

    push_index(
        &registry,
        "multi:foreign",
        &[(&there_manifest, &there_digest, "s390x")],
    );
    for name in ["multi:foreign", "multi:there"] {
        let ran = place.sh(&format!("{}/{name}", registry.host), "echo never");
        assert_eq!(ran.refusal().0, StartErrorKind::ImagePlatform, "{ran:?}");
        let expected = format!("is not for linux/{}: it is for linux/s390x", arch());
        assert!(ran.refusal().1.contains(&expected), "{ran:?}");
    }
}

#[test]
fn each_failure_has_its_own_name() {
    let registry = Registry::open();
    let place = Place::new();
    let (manifest, _) = push(&registry, "tool", &Image::of(vec![busybox()]));
    let host = &registry.host;
    let kind = |name: String, pull: Pull| {
        let mut spec = sh(&name, "echo never");
        spec.pull = pull;
        let ran = place.run(spec);
        let (kind, message) = ran.refusal();
        assert!(
            message.contains(&name) || kind == StartErrorKind::Spec,
            "{message}"
        );
        kind
    };
    assert_eq!(
        kind(format!("{host}/tool:other"), Pull::Missing),
        StartErrorKind::ImageMissing
    );
    assert_eq!(
        kind(format!("{host}/nothing:1"), Pull::Missing),
        StartErrorKind::ImageMissing
    );
    assert_eq!(
        kind(format!("{host}/tool:latest"), Pull::Never),
        StartErrorKind::ImageMissing
    );
    assert_eq!(kind("Not A Name".to_owned(), Pull::Missing), StartErrorKind::Spec);
    // Nobody else can listen on a port that is bound, and here nobody does.
    let (_held, port) = bound();
    assert_eq!(
        kind(format!("127.0.0.1:{port}/tool:latest"), Pull::Missing),
        StartErrorKind::RegistryUnreachable
    );
    // One changed byte in the registry's store.
    let blob = registry.blob(&manifest.layers[0].digest);
    let mut bytes = std::fs::read(&blob).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&blob, bytes).unwrap();
    assert_eq!(
        kind(format!("{host}/tool:latest"), Pull::Missing),
        StartErrorKind::ImageBroken
    );
}

#[test]
fn a_silent_registry_is_given_up_and_a_stop_is_heard_meanwhile() {
    // It takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let name = format!("{}/tool:1", silent.local_addr().unwrap());
    let place = Place::with(|access| access.timeout = Duration::from_millis(300));
    let ran = place.sh(&name, "echo never");
    assert_eq!(ran.refusal().0, StartErrorKind::ImageTimeout);

    let place = Place::with(|access| access.timeout = Duration::from_secs(600));
    let spec = sh(&name, "echo never");
    let dir = place.path(&spec.id);
    block(async {
        let starting = Runtime::start(&place.native, &dir, spec, Vec::new());
        let stopping = async {
            // The wish is heard whether it comes before the fetching or during it; the directory must be there.
            while Runtime::stop(&place.native, &dir).await.is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let (found, ()) = tokio::join!(starting, stopping);
        match found.unwrap() {
            runtime::Found::Ended(runtime::Ended::Finished(record)) => {
                assert!(record.stopped && !record.started, "{record:?}");
            }
            _ => panic!("it was not stopped"),
        }
    });
}

#[test]
fn a_layer_that_breaks_off_goes_on_where_it_ended() {
    let registry = Registry::open();
    // Too large for the buffers in between, and not to be compressed.
    let mut noise = vec![0; 4 * 1024 * 1024];
    std::fs::File::open("/dev/urandom")
        .unwrap()
        .read_exact(&mut noise)
        .unwrap();
    let big = Layer::new().file("noise", 0o644, 0, &noise);
    push(&registry, "big", &Image::of(vec![busybox(), big]));
    let (address, sent) = breaking(&registry.host);
    let place = Place::new();
    let ran = place.sh(&format!("{address}/big"), "stat -c %s /noise");
    assert_eq!(ran.out, format!("{}\n", noise.len()), "{ran:?}");
    let sent = sent.lock().unwrap();
    assert!(sent.cuts > 0, "nothing was cut");
    assert!(sent.ranges > 0, "nothing was resumed");
}

#[derive(Default)]
struct Sent {
    cuts: u32,
    ranges: u32,
}

/// A proxy that cuts a connection after two megabytes of answer; how often it did, and how many asked for a rest.
fn breaking(to: &str) -> (String, std::sync::Arc<std::sync::Mutex<Sent>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let sent = std::sync::Arc::new(std::sync::Mutex::new(Sent::default()));
    let (to, count) = (to.to_owned(), std::sync::Arc::clone(&sent));
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let server = TcpStream::connect(&to).unwrap();
            let (mut up, mut down) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            let asked = std::sync::Arc::clone(&count);
            std::thread::spawn(move || {
                let mut buffer = [0; 16 * 1024];
                while let Ok(length) = up.read(&mut buffer)
                    && length > 0
                {
                    let text = String::from_utf8_lossy(&buffer[..length]).to_lowercase();
                    asked.lock().unwrap().ranges += u32::from(text.contains("range: bytes="));
                    if down.write_all(&buffer[..length]).is_err() {
                        break;
                    }
                }
            });
            let cut = std::sync::Arc::clone(&count);
            std::thread::spawn(move || {
                let (mut server, mut client) = (server, client);
                let (mut buffer, mut left) = ([0; 16 * 1024], 2 * 1024 * 1024_usize);
                while let Ok(length) = server.read(&mut buffer)
                    && length > 0
                {
                    if length > left {
                        cut.lock().unwrap().cuts += 1;
                        break;
                    }
                    left -= length;
                    if client.write_all(&buffer[..length]).is_err() {
                        break;
                    }
                }
                drop(client.shutdown(std::net::Shutdown::Both));
                drop(server.shutdown(std::net::Shutdown::Both));
            });
        }
    });
    (address, sent)
}

#[test]
fn many_who_want_the_same_image_fetch_it_once() {
    let registry = Registry::open();
    let place = Place::new();
    push(&registry, "shared", &Image::of(vec![busybox()]));
    let name = format!("{}/shared", registry.host);
    let images = block(async {
        let all = (0..8).map(|_| place.images.ensure(&name, Pull::Missing));
        futures::future::join_all(all).await
    });
    let first = images[0].as_ref().unwrap().0.clone();
    for image in &images {
        assert_eq!(image.as_ref().unwrap().0, first);
    }
    let entries = |below: &str| {
        std::fs::read_dir(place.path("images").join(below))
            .unwrap()
            .count()
    };
    assert_eq!(
        (entries("layers"), entries("tmp"), entries("blobs/sha256")),
        (1, 0, 0)
    );
}
