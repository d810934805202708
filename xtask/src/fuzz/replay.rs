//! Every seed, fixture and regression, through the same checks as when fuzzing.

use super::{TARGETS, Target};

fn replay(target: &Target) {
    let (_, check) = ::fuzz::TARGETS
        .into_iter()
        .find(|(name, _)| *name == target.name)
        .unwrap_or_else(|| panic!("fuzz/ has no target {}", target.name));
    let mut count = 0;
    for folder in target.inputs() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                // Said before it breaks.
                println!("{}", path.display());
                check(&std::fs::read(&path).unwrap());
                count += 1;
            }
        }
    }
    assert!(count >= 4, "{} has {count} inputs", target.name);
}

#[test]
fn definitions() {
    replay(&TARGETS[0]);
}

#[test]
fn expressions() {
    replay(&TARGETS[1]);
}

#[test]
fn histories() {
    replay(&TARGETS[2]);
}

#[test]
fn messages() {
    replay(&TARGETS[3]);
}

#[test]
fn webhooks() {
    replay(&TARGETS[4]);
}

#[test]
fn every_target_is_run_and_replayed() {
    assert_eq!(
        ::fuzz::TARGETS.map(|(name, _)| name),
        TARGETS.map(|target| target.name),
        "the targets of fuzz/ and of xtask are the same"
    );
}
