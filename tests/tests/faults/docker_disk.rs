//! A Docker daemon whose disk is full: a clear end, an agent that lives, and work again once there is room.

use e2e::{Stack, disk::SmallDisk, docker::Dockerd, scene::cleaned};

const STEP: &str = "name: small\nsteps:\n  a: { image: host, run: 'echo ran' }\n";

#[test]
fn a_daemon_without_room_is_told_in_its_own_words_and_works_again_with_room() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let disk = SmallDisk::of_mebibytes(&data, 96);
    let daemon = Dockerd::with_data(&data);
    let mut stack = Stack::server();
    let host = daemon.operator().host();
    stack.agent("one", &["--runtime", "docker", "--docker-host", &host], &[]);
    let before = stack.agent_process("one").pid();
    let play = |stack: &Stack| {
        let run = stack.start(STEP, &[]);
        let view = stack.finished(&run);
        (stack.logs(&run, "a"), view)
    };
    let (log, view) = play(&stack);
    assert_eq!(
        (&view["outcome"], log),
        (&"succeeded".into(), b"ran\n".to_vec()),
        "{view:#}"
    );

    disk.fill();
    for _ in 0..2 {
        let (log, view) = play(&stack);
        assert_eq!(
            (&view["outcome"], log),
            (&"failed".into(), Vec::new()),
            "{view:#}"
        );
        let why = view["reasons"].to_string();
        assert!(
            why.contains("no space left on device"),
            "{view:#}\n{}",
            daemon.said()
        );
    }
    assert!(stack.agent_process("one").ended().is_none(), "{}", stack.said());
    assert_eq!(stack.agent_process("one").pid(), before);
    stack.connected("one");

    disk.free();
    let (log, view) = play(&stack);
    assert_eq!(
        (&view["outcome"], log),
        (&"succeeded".into(), b"ran\n".to_vec()),
        "{view:#}\n{}",
        daemon.said()
    );
    cleaned(&stack);
}
