//! Steps in images.

use std::time::Duration;

use runtime::{Found, HostView, Pull, Runtime, StartErrorKind};
use types::UserRange;

use crate::build::{Image, Layer, busybox, push};
use crate::registry::Registry;
use crate::support::{Place, block, sh};

#[test]
fn an_image_is_fetched_unpacked_and_run_and_its_digest_is_in_the_record() {
    let registry = Registry::open();
    let place = Place::new();
    let second =
        Layer::new()
            .file("etc/.wh.group", 0o644, 0, b"")
            .file("etc/motd", 0o600, 0, b"from above\n");
    let image = Image::of(vec![busybox(), second]).says(serde_json::json!({
        "Env": ["COLOUR=red", "PATH=/bin", "SHAPE=round"], "WorkingDir": "/app/work", "User": "app",
        "Entrypoint": ["/bin/false"],
    }));
    let (_, digest) = push(&registry, "team/tool:1", &image);
    let name = format!("{}/team/tool:1", registry.host);

    let mut spec = sh(
        &name,
        "id; pwd; cat /etc/motd; ls /etc; echo $COLOUR $SHAPE $HOME; echo k=v > $FIREHALL_OUTPUT",
    );
    spec.env = vec![("SHAPE".to_owned(), "square".to_owned())];
    let dir = place.path(&spec.id);
    let ran = place.run(spec);
    assert_eq!(ran.record.start_error, None, "{ran:?}");
    assert_eq!(
        ran.out,
        "uid=1234(app) gid=1235\n/app/work\nfrom above\nhostname\nhosts\nmotd\npasswd\nresolv.conf\nred square /tmp\n",
        "{ran:?}"
    );
    assert_eq!(ran.record.image_digest.as_deref(), Some(digest.as_str()));
    assert_eq!(runtime::AttemptDir::new(dir).output().unwrap(), b"k=v\n");
    let hardening = ran.record.hardening.unwrap();
    assert!(
        hardening.no_new_privs && hardening.seccomp == 2 && hardening.cap_effective.chars().all(|c| c == '0')
    );

    // Pinned by what was recorded it is the same image, and without the registry it still runs.
    drop(registry);
    let pinned = name.replace(":1", &format!("@{digest}"));
    for (name, pull) in [
        (&name, Pull::Missing),
        (&name, Pull::Never),
        (&pinned, Pull::Always),
    ] {
        let mut spec = sh(name, "echo here");
        spec.pull = pull;
        let ran = place.run(spec);
        assert_eq!(ran.out, "here\n", "{name} {pull:?} {ran:?}");
        assert_eq!(ran.record.image_digest.as_deref(), Some(digest.as_str()));
    }
    let mut spec = sh(&name, "echo here");
    spec.pull = Pull::Always;
    let (kind, message) = {
        let ran = place.run(spec);
        let (kind, message) = ran.refusal();
        (kind, message.to_owned())
    };
    assert_eq!(kind, StartErrorKind::RegistryUnreachable, "{message}");
    assert!(message.contains("firehall images load"), "{message}");
}

#[test]
fn the_root_is_read_only_and_nothing_of_the_host_is_in_it() {
    let registry = Registry::open();
    let place = Place::new();
    // What an image could hope to gain by: links where mounts go, set-user-id, devices, and links out.
    let hostile = Layer::new()
        .link("proc", "/etc")
        .link("dev", "/bin")
        .link("run", "/bin")
        .link("host", "/../../../..")
        .file("bin/suid", 0o4755, 0, b"#!/bin/sh\nid -u\n")
        .dir("tmp", 0o700);
    push(
        &registry,
        "hostile",
        &Image::of(vec![busybox(), hostile]).says(serde_json::json!({ "Env": ["PATH=/bin"] })),
    );
    let name = format!("{}/hostile", registry.host);
    let ran = place.sh(
        &name,
        "touch /x /bin/x /etc/x /app 2>/dev/null || echo refused; touch /tmp/x && echo tmp; \
         ls /host /host/proc /host/sys; ls /sys; stat -c %A /bin/suid; suid; ls -d /proc/self/ns | cat; \
         mount -o remount,rw / 2>/dev/null || echo held; cat /etc/resolv.conf; ls /run; ls /dev/null",
    );
    assert_eq!(
        ran.out,
        "refused\ntmp\n/host:\nproc\nsys\n\n/host/proc:\n\n/host/sys:\n-rwxr-xr-x\n1000\n/proc/self/ns\nheld\nfirehall\nsecrets\n/dev/null\n",
        "{ran:?}"
    );
    let mut spec = sh(
        &name,
        "ls /host/proc/1/comm; touch /host/proc/x 2>/dev/null || echo refused",
    );
    spec.host_view = [HostView::Proc].into();
    assert_eq!(place.run(spec).out, "/host/proc/1/comm\nrefused\n");
}

#[test]
fn the_user_is_the_images_and_root_is_nobody_on_the_host() {
    let registry = Registry::open();
    let place = Place::new();
    let image = |user: &str| {
        let private = Layer::new().file("private", 0o600, 0, b"readable\n");
        Image::of(vec![busybox(), private]).says(serde_json::json!({ "User": user, "Env": ["PATH=/bin"] }))
    };
    for (tag, user, expected) in [
        ("none", "", "1000:1000"),
        ("root", "root", "0:0"),
        ("named", "app", "1234:1235"),
        ("both", "app:extra", "1234:77"),
        ("number", "4242", "4242:4242"),
    ] {
        push(&registry, &format!("user:{tag}"), &image(user));
        let name = format!("{}/user:{tag}", registry.host);
        let ran = place.sh(&name, "echo $(id -u):$(id -g); cat /private");
        assert_eq!(ran.out, format!("{expected}\nreadable\n"), "{ran:?}");
        assert!(ran.record.hardening.unwrap().host_uid_base > 65_535);
    }
    push(&registry, "user:unknown", &image("who"));
    let ran = place.sh(&format!("{}/user:unknown", registry.host), "id");
    assert_eq!(ran.refusal().0, StartErrorKind::Spec);
    assert!(ran.refusal().1.contains("/etc/passwd"), "{ran:?}");
    let mut spec = sh(&format!("{}/user:named", registry.host), "echo $(id -u):$(id -g)");
    spec.user = Some(7);
    assert_eq!(place.run(spec).out, "7:7\n");

    // Whom the agent does not allow is nobody's to name.
    let only = |tag: &str, first, last| {
        let mut spec = sh(&format!("{}/user:{tag}", registry.host), "id -u");
        spec.users = vec![UserRange { first, last }];
        place.run(spec)
    };
    assert_eq!(only("named", 1_000, 2_000).out, "1234\n");
    let ran = only("root", 1, 65_534);
    assert_eq!(ran.refusal().0, StartErrorKind::Spec);
    assert!(ran.refusal().1.contains("policy.users"), "{ran:?}");
}

#[test]
fn a_program_that_the_image_lacks_is_named() {
    let registry = Registry::open();
    let place = Place::new();
    push(&registry, "tool", &Image::of(vec![busybox()]));
    let mut spec = sh(&format!("{}/tool", registry.host), "");
    spec.argv = vec!["bash".to_owned()];
    let ran = place.run(spec);
    assert_eq!(ran.refusal().0, StartErrorKind::NotFound);
    assert!(ran.refusal().1.contains("the image does not have it"), "{ran:?}");
}

#[test]
fn without_a_command_an_image_runs_its_own_as_its_own_user_also_beside_a_step() {
    let registry = Registry::open();
    let place = Place::new();
    let own = Layer::new().file(
        "app/serve",
        0o755,
        0,
        b"#!/bin/sh\necho \"own $* $COLOUR\"; id -u; pwd\n",
    );
    let image = Image::of(vec![busybox(), own]).says(serde_json::json!({
        "Env": ["COLOUR=red", "PATH=/bin"], "WorkingDir": "/app/work", "User": "app",
        "Entrypoint": ["/app/serve"], "Cmd": ["by", "itself"],
    }));
    push(&registry, "own", &image);
    let name = format!("{}/own", registry.host);

    let mut holder = sh(&name, "");
    (holder.image, holder.argv, holder.pod.holds) = (runtime::Image::Host, Vec::new(), true);
    let network = place.path(&holder.id);
    let runtime: &dyn Runtime = &place.native;
    let Found::Running(held) = block(runtime.start(&network, holder, Vec::new())).unwrap() else {
        panic!("the network is not held");
    };
    let files = runtime::AttemptDir::new(&network);
    block(async {
        while files.ready().unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let mut service = sh(&name, "");
    service.argv = Vec::new();
    service.pod.network_of = Some(network.clone());
    let ran = place.run(service);
    assert_eq!(ran.out, "own by itself red\n1234\n/app/work\n", "{ran:?}");

    // One that has none says so.
    push(&registry, "mute", &Image::of(vec![busybox()]));
    let mut mute = sh(&format!("{}/mute", registry.host), "");
    mute.argv = Vec::new();
    let ran = place.run(mute);
    let (_, message) = ran.refusal();
    assert!(message.contains("command"), "{message}");
    block(async {
        runtime.stop(&network).await.unwrap();
        held.wait().await.unwrap();
    });
}
