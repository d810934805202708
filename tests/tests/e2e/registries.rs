//! Images from a registry with a password, on the native runtime, from `agent.toml` and a workflow's `image:` on: what runs
//! is in the history by its digest; what does not says what, where, why and what to do; and the password is nowhere.

use std::path::Path;

use data_encoding::BASE64;
use e2e::{
    Stack,
    registry::{Image, PASSWORD, Registry, USER},
    scene::{cleaned, history},
};
use serde_json::Value;

const WRONG: &str = "wrong-word-of-the-registry";

/// A stack whose agent has a login for a registry, and where the password of now stands: outside of the stack's directory,
/// which is searched for it.
struct Scene {
    stack: Stack,
    registry: Registry,
    secrets: tempfile::TempDir,
}

impl Scene {
    fn start() -> Self {
        let mut scene = Self {
            stack: Stack::server(),
            registry: Registry::locked(),
            secrets: tempfile::tempdir().unwrap(),
        };
        scene.password(PASSWORD);
        let (host, password) = (&scene.registry.host, scene.secrets.path().join("password"));
        let text = format!(
            "[policy]\nimages = [\"host\", \"{host}/team/*\"]\n\
             [secrets.REGISTRY]\nfile = {password:?}\n\
             [registries.{host:?}]\nusername = {USER:?}\npassword = \"REGISTRY\"\n"
        );
        let config = scene.stack.file("agent.toml", &text);
        scene
            .stack
            .agent("near", &["--runtime", "native", "--config", &config], &[]);
        scene
    }

    fn password(&self, password: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.secrets.path().join("password");
        std::fs::write(&path, password).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    }

    /// Runs one step of an image of this registry to its end; the run, and how it is shown.
    fn run(&self, image: &str, more: &str) -> (String, Value) {
        let host = &self.registry.host;
        let definition =
            format!("name: pulled\nsteps:\n  s:\n    image: {host}/{image}\n{more}    run: cat /note\n");
        let run = self.stack.start(&definition, &[]);
        let view = self.stack.finished(&run);
        (run, view)
    }

    /// What a step printed that must run, and the digest that its history has.
    fn ran(&self, image: &str, more: &str) -> (String, String) {
        let (run, view) = self.run(image, more);
        assert_eq!(view["outcome"], "succeeded", "{image}: {view:#}");
        let history = history(&self.stack, &run);
        let ended = history
            .iter()
            .find(|event| event["kind"] == "attempt.finished")
            .unwrap();
        let digest = ended["body"]["report"]["image_digest"]
            .as_str()
            .unwrap()
            .to_owned();
        let shown = self.stack.cli(&["show", &run]);
        assert!(
            String::from_utf8_lossy(&shown.stdout).contains(&digest),
            "{shown:?}"
        );
        (String::from_utf8(self.stack.logs(&run, "s")).unwrap(), digest)
    }

    /// Why a step did not run, as a person reads it.
    fn refused(&self, image: &str, more: &str) -> String {
        let (run, view) = self.run(image, more);
        assert_eq!(view["outcome"], "failed", "{image}: {view:#}");
        assert_eq!(self.stack.logs(&run, "s"), b"", "nothing ran");
        let shown = self.stack.cli(&["show", &run]);
        let shown = String::from_utf8(shown.stdout).unwrap();
        // In one piece, however the terminal's width broke it.
        shown.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Nothing that the processes wrote has a password, in the forms in which it goes about.
    fn search(&self) {
        let forms = [PASSWORD, WRONG].map(|word| {
            let basic = BASE64.encode(format!("{USER}:{word}").as_bytes());
            [word.to_owned(), BASE64.encode(word.as_bytes()), basic]
        });
        let mut files = 0;
        search(self.stack.dir(), &forms.concat(), &mut files);
        assert!(files > 5, "the data directories were searched");
    }
}

fn search(dir: &Path, forms: &[String], files: &mut usize) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            search(&entry.path(), forms, files);
        } else if let Ok(bytes) = std::fs::read(entry.path()) {
            *files += 1;
            let text = String::from_utf8_lossy(&bytes);
            let found = forms.iter().find(|form| text.contains(*form));
            assert_eq!(found, None, "{}", entry.path().display());
        }
    }
}

#[test]
fn an_image_of_a_registry_with_a_password_runs_and_its_digest_is_in_the_history() {
    let scene = Scene::start();
    let first = scene.registry.push("team/tool:1", &Image::saying("first\n"));
    assert_eq!(
        scene.ran("team/tool:1", ""),
        ("first\n".to_owned(), first.digest.clone())
    );
    // The tag leads on: what is here stays good until somebody wants it looked at.
    let second = scene.registry.push("team/tool:1", &Image::saying("second\n"));
    for (pull, expected, digest) in [
        ("missing", "first\n", &first.digest),
        ("always", "second\n", &second.digest),
        ("never", "second\n", &second.digest),
    ] {
        let (said, ran) = scene.ran("team/tool:1", &format!("    pull: {pull}\n"));
        assert_eq!((said.as_str(), &ran), (expected, digest), "{pull}");
    }
    let pinned = format!("team/tool@{}", first.digest);
    assert_eq!(scene.ran(&pinned, "").0, "first\n");
    // What stands beside a step comes by the same login.
    let beside = scene.registry.push("team/beside:1", &Image::saying("beside\n"));
    let services = format!(
        "    services:\n      db:\n        image: {}/team/beside:1\n        run: sleep 60\n",
        scene.registry.host
    );
    let (run, view) = scene.run("team/tool:1", &services);
    assert_eq!(view["outcome"], "succeeded", "{view:#}");
    let history = history(&scene.stack, &run);
    assert!(
        history
            .iter()
            .any(|event| event.to_string().contains(&beside.digest)),
        "{history:#?}"
    );
    cleaned(&scene.stack);
    scene.search();
}

#[test]
fn an_image_that_is_not_to_be_had_says_why_and_what_to_do_and_never_the_password() {
    let mut scene = Scene::start();
    let host = scene.registry.host.clone();
    let _good = scene.registry.push("team/tool:1", &Image::saying("never\n"));
    let foreign = Image {
        arch: Some("s390x"),
        ..Image::saying("never\n")
    };
    let _foreign = scene.registry.push("team/foreign:1", &foreign);
    let spoiled = scene.registry.push("team/spoiled:1", &Image::saying("spoiled\n"));
    scene.registry.spoil(&spoiled.layer);

    let says = |image: &str, more: &str, words: &[&str]| {
        let shown = scene.refused(image, more);
        for word in words {
            assert!(
                shown.contains(word),
                "{image} {more}: {word:?} is not in: {shown}"
            );
        }
        assert!(!shown.contains(PASSWORD) && !shown.contains(WRONG), "{shown}");
    };
    let tool = format!("image {host}/team/tool:1");
    scene.password(WRONG);
    let mend = format!("[registries.\"{host}\"] in agent.toml");
    let refuses = format!("registry {host} refuses the credentials of this host");
    says("team/tool:1", "", &[&tool, &refuses, &mend]);
    std::fs::remove_file(scene.secrets.path().join("password")).unwrap();
    says("team/tool:1", "", &["secret REGISTRY", "there is no such file"]);
    scene.password(PASSWORD);

    let none = format!("registry {host} has no such image: check its name");
    says("team/tool:2", "", &[&format!("image {host}/team/tool:2"), &none]);
    says(
        "team/nothing:1",
        "",
        &[&format!("image {host}/team/nothing:1"), &none],
    );
    let absent = format!("team/tool@sha256:{}", "0".repeat(64));
    says(&absent, "", &[&absent, &none]);
    says(
        "team/foreign:1",
        "",
        &["is not for linux/", "it is for linux/s390x"],
    );
    says(
        "team/spoiled:1",
        "",
        &[
            "a layer is sha256:",
            &format!("not {}", spoiled.layer),
            "changed it",
        ],
    );
    says(
        "team/tool:1",
        "    pull: never\n",
        &[&tool, "is not on this host", "firehall images load"],
    );
    says(
        "other/tool:1",
        "    pickup: 1s\n",
        &["policy.images", &format!("{host}/other/tool:1")],
    );
    scene.registry.end();
    let shown = scene.refused("team/tool:1", "");
    assert!(
        shown.contains(&tool) && shown.contains("cannot be reached"),
        "{shown}"
    );
    cleaned(&scene.stack);
    scene.search();
}
