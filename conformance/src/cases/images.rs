//! Images that say whom they want to run as.

use runtime::{ContainerSpec, Found, Image, Pull, StartErrorKind};
use sha2::{Digest, Sha256};
use types::UserRange;

use crate::Ids;
use crate::place::{Place, finished, sh, unique};

crate::suite![
    an_images_user_is_the_steps_where_the_step_names_none,
    an_images_user_is_held_to_the_agents_policy,
    an_images_names_lead_to_somebody_or_nothing_runs,
];

const PASSWD: &str = "root:x:0:0::/:/bin/sh\napp:x:1234:1235::/:/bin/sh\n";
const GROUP: &str = "root:x:0:\napp:x:1235:\nextra:x:77:app\n";

fn hex(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn file(tar: &mut tar::Builder<Vec<u8>>, path: &str, mode: u32, bytes: &[u8]) {
    let mut header = tar::Header::new_ustar();
    header.set_size(bytes.len() as u64);
    header.set_mode(mode);
    tar.append_data(&mut header, path, bytes).unwrap();
}

/// A static busybox and two users, in the form of `docker save`; `passwd` is a link, as some builders make it.
fn archive(name: &str, user: &str) -> Vec<u8> {
    let program =
        std::fs::read("/bin/busybox").expect("busybox must be installed (apt-get install busybox-static)");
    let mut layer = tar::Builder::new(Vec::new());
    file(&mut layer, "bin/busybox", 0o755, &program);
    let link = |layer: &mut tar::Builder<Vec<u8>>, path: &str, target: &str| {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        layer.append_link(&mut header, path, target).unwrap();
    };
    for program in ["sh", "id", "cat", "stat"] {
        link(&mut layer, &format!("bin/{program}"), "busybox");
    }
    file(&mut layer, "share/passwd", 0o644, PASSWD.as_bytes());
    link(&mut layer, "etc/passwd", "../share/passwd");
    file(&mut layer, "etc/group", 0o644, GROUP.as_bytes());
    let layer = layer.into_inner().unwrap();
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let config = format!(
        r#"{{"architecture":"{arch}","os":"linux","config":{{"Env":["PATH=/bin"],"User":"{user}"}},
            "rootfs":{{"type":"layers","diff_ids":["sha256:{}"]}}}}"#,
        hex(&layer)
    );
    let manifest = format!(r#"[{{"Config":"config.json","RepoTags":["{name}"],"Layers":["layer.tar"]}}]"#);
    let mut archive = tar::Builder::new(Vec::new());
    file(&mut archive, "config.json", 0o644, config.as_bytes());
    file(&mut archive, "layer.tar", 0o644, &layer);
    file(&mut archive, "manifest.json", 0o644, manifest.as_bytes());
    archive.into_inner().unwrap()
}

/// Runs what `run` does on an image whose configuration says this user.
fn with<T>(place: &Place, user: &str, run: impl FnOnce(&dyn Fn(&str) -> ContainerSpec) -> T) -> T {
    let name = format!("localhost/{}:1", unique());
    place.load(&name, &archive(&name, user));
    let done = run(&|script| {
        let mut spec = sh(script);
        spec.image = Image::Oci(name.clone());
        spec.pull = Pull::Never;
        spec
    });
    place.unload(&name);
    done
}

fn refused(place: &Place, spec: &ContainerSpec) -> (StartErrorKind, String) {
    let record = finished(match place.begin(spec, Vec::new()).unwrap() {
        Found::Ended(ended) => ended,
        Found::Running(attached) => place.block(attached.wait()).unwrap(),
    });
    assert!(!record.started, "{record:?}");
    let error = record.start_error.unwrap();
    (error.kind, error.message)
}

const WHO: &str = "id -u; id -g; id -G; cat /run/secrets/WORD; stat -c '%u %g' /run/secrets/WORD";

fn an_images_user_is_the_steps_where_the_step_names_none(place: &Place) {
    let secret = || vec![("WORD".to_owned(), types::Secret::new("open\n".to_owned()))];
    for (says, own, expected) in [
        ("app", None, "1234\n1235\n1235 77\nopen\n1234 1235\n"),
        ("1234:app", None, "1234\n1235\n1235\nopen\n1234 1235\n"),
        ("4242:7", None, "4242\n7\n7\nopen\n4242 7\n"),
        ("", None, "1000\n1000\n1000\nopen\n1000 1000\n"),
        // The step's own word comes first; of a user that the image knows it has the groups, too.
        ("root", Some(4242), "4242\n4242\n4242\nopen\n4242 4242\n"),
        ("root", Some(1234), "1234\n1235\n1235 77\nopen\n1234 1235\n"),
    ] {
        with(place, says, |spec| {
            let mut spec = spec(WHO);
            spec.user = own;
            spec.secret_files.insert("WORD".to_owned());
            let ran = place.run_with(&spec, secret());
            // An agent that is not root can give one group and no more (user_namespaces(7)).
            let expected = match place.answers().ids {
                Ids::Agent => expected.replace(" 77", ""),
                Ids::Range | Ids::Same => expected.to_owned(),
            };
            assert_eq!(
                ran.out(),
                expected,
                "{says:?} {own:?}: {} {:?}",
                ran.err(),
                ran.record
            );
        });
    }
}

fn an_images_user_is_held_to_the_agents_policy(place: &Place) {
    for says in ["root", "0", "0:app"] {
        with(place, says, |spec| {
            let mut spec = spec("id -u");
            spec.users = vec![UserRange {
                first: 1,
                last: 65_534,
            }];
            let (kind, message) = refused(place, &spec);
            assert_eq!(kind, StartErrorKind::Spec, "{message}");
            assert!(
                message.contains("the image's user is 0") && message.contains("policy.users"),
                "{message}"
            );
        });
    }
    with(place, "root", |spec| {
        assert_eq!(
            place.run(&spec("id -u")).out(),
            "0\n",
            "where the policy allows it"
        );
    });
}

fn an_images_names_lead_to_somebody_or_nothing_runs(place: &Place) {
    for (says, word) in [("nobody-here", "/etc/passwd"), ("app:no-group", "/etc/group")] {
        with(place, says, |spec| {
            let (kind, message) = refused(place, &spec("id -u"));
            assert_eq!(kind, StartErrorKind::Spec, "{message}");
            assert!(message.contains(word), "{message}");
        });
    }
}
