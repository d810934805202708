//! Images: of this host, of a registry that wants a password, for another processor, and none.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bollard::auth::DockerCredentials;
use bollard::query_parameters::{PushImageOptionsBuilder, TagImageOptionsBuilder};
use docker::{Credentials, Host, Logins, Registries};
use futures::StreamExt;
use runtime::{ContainerSpec, Found, Image, Pull, Runtime, StartErrorKind};
use types::Secret;

use crate::made;
use crate::service::Podman;
use crate::support::{Operator, PATIENCE, Place, Ran, exec, script};

/// `sesame` for `ann`, as htpasswd writes it.
const HTPASSWD: &str = "ann:$2y$05$abcdefghijklmnopqrstuuKcS.CYWVYVaLiiCKrrc0A5s3mGesJ9O\n";

fn here() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn of(image: &str, pull: Pull, mut spec: ContainerSpec) -> ContainerSpec {
    spec.image = Image::Oci(image.to_owned());
    spec.pull = pull;
    spec
}

fn refused(ran: &Ran) -> (StartErrorKind, String) {
    let error = ran.record.start_error.clone().expect("it started");
    assert!(!ran.record.started);
    (error.kind, error.message)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_brings_its_environment_and_its_directory_and_is_in_the_record() {
    let place = Place::new().await;
    let name = format!("firehall-test-{}:local", std::process::id());
    let client = Operator::new().0;
    made::load(&client, &name, here()).await;
    let ran = place
        .run(of(
            &name,
            Pull::Never,
            script("echo \"$FROM $PWD $HOME\"; id -u; test ! -e /usr"),
        ))
        .await;
    assert_eq!(ran.record.code, Some(0), "{:?} {}", ran.record, ran.err());
    assert_eq!(ran.out(), "the-image /srv /tmp\n1000\n");
    let id = client.inspect_image(&name).await.unwrap().id;
    assert_eq!(ran.record.image_digest, id);
    made::unload(&client, &name).await;

    let ran = place.run(of(&name, Pull::Never, exec(&["true"]))).await;
    let (kind, message) = refused(&ran);
    assert!(
        kind == StartErrorKind::ImageMissing && message.contains("pull: never"),
        "{message}"
    );
    place.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_command_an_image_runs_its_own_also_beside_a_step() {
    let place = Place::new().await;
    let name = format!("firehall-test-{}:own", std::process::id());
    let client = Operator::new().0;
    let says = serde_json::json!({
        "Env": ["PATH=/bin", "COLOUR=red"], "WorkingDir": "/srv",
        "Entrypoint": ["/bin/sh", "-c", "echo \"own $1 $COLOUR $PWD\"", "-"], "Cmd": ["command"],
    });
    made::load_saying(&client, &name, here(), &says).await;
    let mut holder = exec(&[]);
    holder.pod.holds = true;
    let network = place.dir();
    let Found::Running(held) = place.docker.start(&network, holder, Vec::new()).await.unwrap() else {
        panic!("the network is not held");
    };
    let files = runtime::AttemptDir::new(&network);
    let ready = async {
        while files.ready().unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, ready)
        .await
        .expect("the network is held");
    let mut service = of(&name, Pull::Never, exec(&[]));
    service.pod.network_of = Some(network.clone());
    let ran = place.run(service).await;
    assert_eq!(
        ran.out(),
        "own command red /srv\n",
        "{:?} {}",
        ran.record,
        ran.err()
    );
    place.docker.stop(&network).await.unwrap();
    held.wait().await.unwrap();
    made::unload(&client, &name).await;
    place.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_for_another_processor_is_refused_with_both_names() {
    let place = Place::new().await;
    let name = format!("firehall-test-{}:foreign", std::process::id());
    let client = Operator::new().0;
    made::load(&client, &name, "s390x").await;
    let (kind, message) = refused(&place.run(of(&name, Pull::Missing, exec(&["true"]))).await);
    assert_eq!(kind, StartErrorKind::ImagePlatform);
    assert!(
        message.contains("linux/s390x") && message.contains(here()),
        "{message}"
    );
    made::unload(&client, &name).await;
    place.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_with_a_password_gives_to_who_has_it_and_each_failure_has_its_own_words() {
    gives_to_who_has_it(&Host::find().unwrap(), Registry::start()).await;
}

/// Podman's words are others, and so are its digests and its way to a registry without TLS.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_with_podman() {
    let registry = Registry::start();
    let podman = Podman::start(Some(&registry.address));
    gives_to_who_has_it(&podman.host(), registry).await;
}

async fn gives_to_who_has_it(host: &Host, registry: Registry) {
    let client = Operator::on(host).0;
    let tool = format!("{}/tool:1", registry.address);
    made::load(&client, &tool, here()).await;
    push(&client, &tool).await;
    made::unload(&client, &tool).await;

    let stranger = Place::on(host.clone(), Registries::default()).await;
    let (kind, message) = refused(&stranger.run(of(&tool, Pull::Missing, exec(&["true"]))).await);
    assert!(
        kind == StartErrorKind::ImageDenied && message.contains(&tool),
        "{message}"
    );
    stranger.leave().await;

    let known = |password: &'static str| {
        let registries = Registries {
            own: Some(std::sync::Arc::new(Ann(password))),
            ..Registries::default()
        };
        Place::on(host.clone(), registries)
    };
    let wrong = known("wrong-word-77").await;
    let (kind, message) = refused(&wrong.run(of(&tool, Pull::Missing, exec(&["true"]))).await);
    assert!(
        kind == StartErrorKind::ImageDenied && !message.contains("wrong-word-77"),
        "{message}"
    );
    wrong.leave().await;

    let place = known("sesame").await;
    let ran = place.run(of(&tool, Pull::Missing, script("echo $FROM"))).await;
    assert_eq!(
        (ran.record.code, ran.out().as_str()),
        (Some(0), "the-image\n"),
        "{:?}",
        ran.record
    );
    let digest = ran.record.image_digest.unwrap();
    assert!(
        digest.starts_with(&format!("{}/tool@sha256:", registry.address)),
        "{digest}"
    );
    // By its digest it is the same one; always fetched it is, too.
    for (image, pull) in [(&digest, Pull::Missing), (&tool, Pull::Always)] {
        let ran = place.run(of(image, pull, exec(&["true"]))).await;
        assert_eq!(
            (ran.record.code, ran.record.image_digest.as_ref()),
            (Some(0), Some(&digest)),
            "{:?}",
            ran.record
        );
    }
    let absent = format!("{}/tool:none", registry.address);
    let (kind, message) = refused(&place.run(of(&absent, Pull::Missing, exec(&["true"]))).await);
    assert_eq!(kind, StartErrorKind::ImageMissing, "{message}");
    made::unload(&client, &tool).await;

    drop(registry);
    let (kind, message) = refused(&place.run(of(&tool, Pull::Missing, exec(&["true"]))).await);
    assert_eq!(kind, StartErrorKind::RegistryUnreachable, "{message}");
    place.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_while_an_image_is_fetched_ends_it_and_nothing_runs() {
    // A registry that never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let image = format!("{}/tool:1", silent.local_addr().unwrap());
    let place = Place::new().await;
    let dir = place.dir();
    let start = place
        .docker
        .start(&dir, of(&image, Pull::Missing, exec(&["true"])), Vec::new());
    let stop = async {
        while !dir.exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        place.docker.stop(&dir).await.unwrap();
    };
    let (found, ()) = tokio::time::timeout(PATIENCE, async { tokio::join!(start, stop) })
        .await
        .unwrap();
    let record = crate::support::finished(found.unwrap()).await;
    assert!(record.stopped && !record.started, "{record:?}");
    place.leave().await;
}

struct Ann(&'static str);

#[async_trait::async_trait]
impl Logins for Ann {
    async fn of(&self, _: &str) -> Result<Option<Credentials>, String> {
        Ok(Some(Credentials {
            username: "ann".to_owned(),
            password: Secret::new(self.0.to_owned()),
        }))
    }
}

async fn push(client: &bollard::Docker, name: &str) {
    let (repository, tag) = name.rsplit_once(':').unwrap();
    let options = TagImageOptionsBuilder::default()
        .repo(repository)
        .tag(tag)
        .build();
    client.tag_image(name, Some(options)).await.unwrap();
    let credentials = DockerCredentials {
        username: Some("ann".to_owned()),
        password: Some("sesame".to_owned()),
        ..Default::default()
    };
    let options = PushImageOptionsBuilder::default().tag(tag).build();
    let pushed: Vec<_> = client
        .push_image(repository, Some(options), Some(credentials))
        .collect()
        .await;
    for step in pushed {
        step.unwrap();
    }
}

/// Debian's docker-registry on loopback.
struct Registry {
    child: Child,
    address: String,
    _dir: tempfile::TempDir,
}

impl Registry {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let htpasswd = dir.path().join("htpasswd");
        std::fs::write(&htpasswd, HTPASSWD).unwrap();
        let config = serde_json::json!({
            "version": "0.1",
            "log": { "level": "info", "accesslog": { "disabled": true } },
            "storage": { "filesystem": { "rootdirectory": dir.path().join("data") } },
            "http": { "addr": "127.0.0.1:0" },
            "auth": { "htpasswd": { "realm": "test", "path": htpasswd } },
        });
        let file = dir.path().join("config.yml");
        std::fs::write(&file, config.to_string()).unwrap();
        let mut child = Command::new("docker-registry")
            .arg("serve")
            .arg(&file)
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let address = listening(&mut child);
        Self {
            child,
            address,
            _dir: dir,
        }
    }
}

/// The address that the kernel gave it, from its log; the rest of that is read so that it never waits.
fn listening(child: &mut Child) -> String {
    let log = BufReader::new(child.stderr.take().unwrap());
    let (found, address) = std::sync::mpsc::sync_channel(1);
    std::thread::spawn(move || {
        for line in log.lines().map_while(Result::ok) {
            if let Some((_, rest)) = line.split_once("listening on ") {
                let address = rest.split(|c: char| !(c.is_ascii_digit() || ".:".contains(c)));
                drop(found.try_send(address.take(1).collect::<String>()));
            }
        }
    });
    address
        .recv_timeout(PATIENCE)
        .expect("docker-registry must listen")
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _killed = self.child.kill();
        let _gone = self.child.wait();
    }
}
