//! What is left behind goes away by itself; what is not ours stays.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use types::Work;

use super::{
    fake::{Fake, PATIENCE, token},
    process::{Agent, Witness, swept},
    work::script,
};

/// A cgroup beside the agent's own, with a process in it, that the agent did not make.
struct LookAlike {
    group: PathBuf,
    inside: Child,
}

impl LookAlike {
    fn new(name: &str) -> Self {
        let memory = Path::new("/sys/fs/cgroup/memory");
        let root = if memory.is_dir() {
            memory
        } else {
            Path::new("/sys/fs/cgroup")
        };
        let group = root.join("firehall").join(name);
        std::fs::create_dir_all(&group).unwrap();
        let inside = Command::new("sleep").arg("600").spawn().unwrap();
        std::fs::write(group.join("cgroup.procs"), inside.id().to_string()).unwrap();
        Self { group, inside }
    }

    fn lives(&mut self) -> bool {
        self.group.is_dir() && self.inside.try_wait().unwrap().is_none()
    }
}

impl Drop for LookAlike {
    fn drop(&mut self) {
        let _gone = self.inside.kill();
        let _gone = self.inside.wait();
        for _ in 0..200 {
            if std::fs::remove_dir(&self.group).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        // Stays while others use it.
        let _kept = std::fs::remove_dir(self.group.parent().unwrap());
    }
}

/// Cgroups anywhere with this name.
fn cgroups(name: &str) -> usize {
    let at = |below: &Path| usize::from(below.join("firehall").join(name).is_dir());
    let root = Path::new("/sys/fs/cgroup");
    let hierarchies = std::fs::read_dir(root).unwrap().flatten();
    at(root) + hierarchies.map(|entry| at(&entry.path())).sum::<usize>()
}

async fn until(what: &str, patience: Duration, mut now: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !now() {
        assert!(begun.elapsed() < patience, "never came: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Two steps run when the agent is killed. One's lease is forgotten by the disk, the other's whole directory is gone.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_agent_left_is_ended_and_removed_and_look_alikes_stay() {
    let (fake, tmp, witness) = (Fake::start().await, tempfile::tempdir().unwrap(), Witness::new());
    let other = tempfile::tempdir().unwrap();
    let agent = Agent::spawn(&fake.url(), tmp.path());
    let (kept, bare) = (token(), token());
    for (token, word) in [(&kept, "kept"), (&bare, "bare")] {
        fake.offer(token, &script(&format!("{}sleep 600", witness.say(word))))
            .await;
        fake.started(token).await;
        witness.until(word).await;
    }
    agent.kill();
    let attempts = tmp.path().join("attempts");
    std::fs::remove_dir_all(attempts.join(bare.as_str())).unwrap();
    std::fs::remove_file(tmp.path().join("spool")).unwrap();
    // What looks like it: a file and a directory of other names, a group of another's, a neighbour agent with a step.
    std::fs::write(attempts.join("notes.txt"), "mine").unwrap();
    std::fs::create_dir(attempts.join("not-a-lease")).unwrap();
    let mut group = LookAlike::new(token().as_str());
    let foreign = Fake::start().await;
    let _neighbour = Agent::spawn(&foreign.url(), other.path());
    let theirs = token();
    foreign
        .offer(&theirs, &script(&format!("{}sleep 600", witness.say("theirs"))))
        .await;
    foreign.started(&theirs).await;
    witness.until("theirs").await;

    let _agent = Agent::spawn(&fake.url(), tmp.path());
    until("the orphans are gone", PATIENCE, || {
        cgroups(kept.as_str()) + cgroups(bare.as_str()) == 0 && !attempts.join(kept.as_str()).exists()
    })
    .await;
    // The directory and the container without one.
    until("the server is told", PATIENCE, || {
        let stats = fake.state.lock().unwrap().stats;
        stats.is_some_and(|stats| stats.leftovers_removed >= 2)
    })
    .await;
    assert!(group.lives(), "another's cgroup is left alone");
    assert!(cgroups(theirs.as_str()) > 0 && other.path().join("attempts").join(theirs.as_str()).exists());
    assert_eq!(
        std::fs::read_to_string(attempts.join("notes.txt")).unwrap(),
        "mine"
    );
    assert!(attempts.join("not-a-lease").is_dir());
    foreign.stop(&theirs).await;
    foreign.finished(&theirs).await;
    swept(other.path()).await;
    assert_eq!(
        witness.heard(),
        ["kept", "bare", "theirs"],
        "nothing was started again"
    );
}

/// While it runs, too: what is seen in two looks has no live attempt. A live one beside it goes on.
#[tokio::test(flavor = "multi_thread")]
async fn full_what_appears_while_it_runs_is_gone_within_a_minute() {
    let (fake, tmp) = (Fake::start().await, tempfile::tempdir().unwrap());
    let _agent = Agent::spawn(&fake.url(), tmp.path());
    let live = token();
    // It lives longer than what is waited for.
    let work = Work {
        timeout_ms: 120_000,
        ..script("sleep 600")
    };
    fake.offer(&live, &work).await;
    fake.started(&live).await;
    let attempts = tmp.path().join("attempts");
    let left = token();
    let dir = attempts.join(left.as_str());
    std::fs::create_dir_all(dir.join("deep/er")).unwrap();
    std::fs::write(dir.join("deep/er/file"), "x").unwrap();
    until("it is gone", Duration::from_secs(60), || !dir.exists()).await;
    assert!(
        attempts.join(live.as_str()).exists() && cgroups(live.as_str()) > 0,
        "the live one stays"
    );
    assert!(fake.state.lock().unwrap().finished(&live).is_none());
    fake.stop(&live).await;
    fake.finished(&live).await;
    swept(tmp.path()).await;
}
