//! The process from which shims are forked comes and goes; what it forked does not notice.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Place, finished, sh, shim_pid, until, until_says, wait};

/// The parent of a process (field 4 of `/proc/PID/stat`).
fn parent(pid: i32) -> i32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    fields.split(' ').nth(1).unwrap().parse().unwrap()
}

fn line(pid: i32) -> String {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    // What is left of the room for it are NULs, too.
    let line = String::from_utf8(line).unwrap();
    line.trim_end_matches('\0').replace('\0', " ")
}

#[test]
fn one_process_forks_all_and_each_shows_whose_it_is() {
    let place = Place::new();
    let steps = [sh("echo up; sleep 20"), sh("echo up; sleep 20")];
    let handles = steps.each_ref().map(|spec| place.start(spec));
    for handle in &handles {
        until_says(handle.dir(), "up");
    }
    let shims = handles.each_ref().map(|handle| shim_pid(handle.dir()));
    let [one, two] = shims.map(parent);
    assert_eq!(one, two, "they have one parent");
    assert!(line(one).ends_with(" shim --serve"), "{}", line(one));
    assert_eq!(u32::try_from(parent(one)).unwrap(), std::process::id());
    for (spec, shim) in steps.iter().zip(shims) {
        let dir = place.path(&spec.id);
        let end = format!(" shim {}", dir.display());
        assert!(line(shim).ends_with(&end), "{}", line(shim));
    }
    for handle in &handles {
        handle.stop().unwrap();
        assert!(finished(wait(handle)).stopped);
    }
}

#[test]
fn what_it_forked_outlives_it_and_another_takes_its_place() {
    let place = Place::new();
    let spec = sh("echo up; sleep 1; echo end; exit 7");
    let handle = place.start(&spec);
    until_says(handle.dir(), "up");
    let server = parent(shim_pid(handle.dir()));
    kill(Pid::from_raw(server), Signal::SIGKILL).unwrap();
    let next = place.run(&sh("echo next"));
    assert_eq!((next.record.code, next.out().as_str()), (Some(0), "next\n"));
    assert_eq!(finished(wait(&handle)).code, Some(7));
    assert_eq!(
        std::fs::read_to_string(handle.dir().stdout()).unwrap(),
        "up\nend\n"
    );
}

#[test]
fn it_goes_with_its_agent_and_leaves_what_runs() {
    let place = Place::new();
    let handle = place.start(&sh("echo up; sleep 1; exit 7"));
    until_says(handle.dir(), "up");
    let shim = shim_pid(handle.dir());
    let server = parent(shim);
    let dir = handle.dir().path().to_owned();
    let place = place.reopened();
    drop(handle);
    until("it is gone", || {
        !std::path::Path::new(&format!("/proc/{server}")).exists()
    });
    let found = match place.native.adopt(&dir).unwrap() {
        runtime::Adopted::Running(handle) => wait(&handle),
        runtime::Adopted::Ended(ended) => ended,
    };
    assert_eq!(finished(found).code, Some(7));
}

/// Nobody knows what one that stands still was asked and will still do: it is ended first.
#[test]
fn full_one_that_stands_still_is_ended_and_the_shim_is_executed() {
    let place = Place::new();
    let handle = place.start(&sh("echo up; sleep 1"));
    until_says(handle.dir(), "up");
    let server = parent(shim_pid(handle.dir()));
    kill(Pid::from_raw(server), Signal::SIGSTOP).unwrap();
    let spec = sh("echo once >> /dev/stdout; sleep 1");
    let next = place.run(&spec);
    assert_eq!((next.record.code, next.out().as_str()), (Some(0), "once\n"));
    assert!(!std::path::Path::new(&format!("/proc/{server}")).exists());
    assert_eq!(finished(wait(&handle)).code, Some(0));
}
