//! What a step must have and nobody else may see.

use runtime::Runtime;
use types::Secret;

use crate::support::{Operator, Place, finished, says, script};

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|part| part == text.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_reaches_the_step_and_neither_the_daemon_nor_a_file_nor_an_argument() {
    let place = Place::new().await;
    let canary = "canary-7f3a-9c21-secret";
    let mut spec =
        script("test ${#TOKEN} -eq 23; test $(cat /run/secrets/FILED) = filed-$TOKEN; echo ready; sleep 60");
    spec.secret_files = ["FILED".to_owned()].into();
    spec.env.push(("PLAIN".to_owned(), "plain-5b1e".to_owned()));
    let name = format!("firehall-{}", spec.id);
    let dir = place.dir();
    let secrets = vec![
        ("TOKEN".to_owned(), Secret::new(canary.to_owned())),
        ("FILED".to_owned(), Secret::new(format!("filed-{canary}"))),
    ];
    let found = place.docker.start(&dir, spec, secrets).await.unwrap();
    says(&dir.join("out"), "ready").await;

    let seen = Operator::new().sees(&name).await;
    assert!(seen.contains("firehall"), "{seen}");
    for hidden in [canary, "plain-5b1e"] {
        assert!(!seen.contains(hidden), "the daemon shows {hidden}");
    }
    for file in std::fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
    {
        let text = std::fs::read(&file).unwrap_or_default();
        assert!(!holds(&text, canary), "{}", file.display());
    }
    place.docker.stop(&dir).await.unwrap();
    let record = finished(found).await;
    assert!(record.stopped, "{record:?}");
    // What the daemon keeps of a container that ended was never in memory only.
    let kept = Operator::new().exports(&name).await;
    assert!(holds(&kept, "run/firehall"), "an archive of {} bytes", kept.len());
    assert!(!holds(&kept, canary), "the daemon kept it");
    place.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_can_neither_look_into_pid_1_nor_knock_again() {
    let place = Place::new().await;
    let spec = script(
        "id -u; cat /proc/1/environ && echo SEEN; ls -l /proc/1/fd/ && echo SEEN; ls /.firehall/door; kill -KILL 1; kill -STOP 1; echo alive",
    );
    let mut spec = spec;
    spec.argv[1] = "-c".to_owned();
    spec.argv.remove(2);
    let ran = place
        .run_with(
            spec,
            vec![("TOKEN".to_owned(), Secret::new("canary-11aa-22bb".to_owned()))],
        )
        .await;
    assert_eq!(ran.record.code, Some(0), "{:?} {}", ran.record, ran.err());
    assert_eq!(ran.out(), "1000\nalive\n", "{}", ran.err());
    place.leave().await;
}
