//! Configuration: files, `FIREHALL_…`, flags; where each value comes from; what is wrong with a file.

use serde_json::{Value, json};

use crate::home::Home;

/// A setting as `--print-config -o json` has it: its value, and where that is from.
fn setting(home: &Home, args: &[&str], env: &[(&str, &str)], section: &str, key: &str) -> (Value, Value) {
    let ended = home.run(&[args, &["--print-config", "-o", "json"]].concat(), env);
    assert_eq!(ended.code, 0, "{ended:?}");
    let printed: Value = serde_json::from_str(&ended.out).unwrap();
    let settings = printed["settings"].as_array().unwrap();
    let found = settings
        .iter()
        .find(|one| one["section"] == section && one["key"] == key)
        .unwrap_or_else(|| panic!("no {section}.{key} in {settings:#?}"));
    (found["value"].clone(), found["at"].clone())
}

const USER: &str = ".config/firehall/config.toml";

#[test]
fn a_flag_beats_a_variable_beats_a_named_file_beats_the_users_beats_the_default() {
    let home = Home::new();
    let of = |args: &[&str], env: &[(&str, &str)]| setting(&home, args, env, "server", "listen");
    assert_eq!(of(&[], &[]), (json!("127.0.0.1:7911"), Value::Null));
    home.file(USER, "[server]\nlisten = \"127.0.0.1:1\"\n");
    assert_eq!(
        of(&[], &[]),
        (json!("127.0.0.1:1"), json!(format!("HOME/{USER}:2:10")))
    );
    let named = home.file("named.toml", "[server]\n\nlisten = \"127.0.0.1:2\"\n");
    let by_flag = of(&["--config", &named], &[]);
    assert_eq!(by_flag, (json!("127.0.0.1:2"), json!("HOME/named.toml:3:10")));
    assert_eq!(of(&[], &[("FIREHALL_CONFIG", &named)]), by_flag);
    let env = [("FIREHALL_LISTEN", "127.0.0.1:3")];
    assert_eq!(
        of(&["--config", &named], &env),
        (json!("127.0.0.1:3"), json!("FIREHALL_LISTEN"))
    );
    let flag = of(&["server", "--listen", "127.0.0.1:4", "--config", &named], &env);
    assert_eq!(flag, (json!("127.0.0.1:4"), json!("--listen")));
    assert_eq!(of(&["--no-config"], &[]), (json!("127.0.0.1:7911"), Value::Null));
}

#[test]
fn what_a_file_says_is_what_the_command_does() {
    let home = Home::new();
    home.file(USER, "[client]\nserver = \"http://127.0.0.1:9\"\n");
    let ended = home.run(&["runs"], &[]);
    assert_eq!(ended.code, 4, "{ended:?}");
    assert!(ended.err.contains("http://127.0.0.1:9"), "{ended:?}");
    // The data directory is given by the file, and so is the refusal to listen beyond loopback.
    home.file(USER, "[server]\nlisten = \"0.0.0.0:0\"\ndata-dir = \"data\"\n");
    let ended = home.run(&["server"], &[]);
    assert!(ended.code == 2 && ended.err.contains("--insecure"), "{ended:?}");
    // A relative path is meant from the file.
    let (value, _) = setting(&home, &["server"], &[], "server", "data-dir");
    assert_eq!(value, "HOME/.config/firehall/data");
}

#[test]
fn lists_numbers_and_switches_have_their_forms() {
    let home = Home::new();
    home.file(
        USER,
        "[agent]\nlabel = [\"host=a\", \"host=b\"]\ncapacity = 3\nsecret-env = [\"TOKEN\"]\n[server]\ninsecure = true\n",
    );
    let of = |args: &[&str], section: &str, key: &str| setting(&home, args, &[], section, key).0;
    assert_eq!(of(&[], "agent", "label"), json!(["host=a", "host=b"]));
    assert_eq!(of(&[], "agent", "capacity"), json!(3));
    assert_eq!(of(&[], "server", "insecure"), json!(true));
    assert_eq!(
        of(&["server", "--insecure=false"], "server", "insecure"),
        json!(false)
    );
    assert_eq!(of(&["server", "--insecure"], "server", "insecure"), json!(true));
    // A secret is named, never shown.
    let ended = home.run(&["agent", "--print-config"], &[("TOKEN", "xoxb-very-secret")]);
    assert!(
        ended.out.contains("TOKEN") && !ended.out.contains("xoxb-very-secret"),
        "{ended:?}"
    );
}

#[test]
fn everything_wrong_with_the_files_is_said_with_its_place_and_the_nearest_key() {
    let home = Home::new();
    home.file(
        USER,
        "[client]\noutptu = \"json\"\noutput = \"xml\"\ntimeout = 5\n[server]\nlisten = \"here\"\n[agents]\n",
    );
    let ended = home.run(&["runs"], &[]);
    assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{ended:?}");
    for said in [
        "config.toml:2:1: [client] has no key \"outptu\"\n  did you mean output?",
        "config.toml:4:11: client.timeout: expected a string, found a whole number",
        "config.toml:7:2: no section or key is called \"agents\"\n  did you mean agent?",
        "--no-config",
    ] {
        assert!(ended.err.contains(said), "{said:?} is not in\n{}", ended.err);
    }
    home.file(
        USER,
        "[client]\noutput = \"xml\"\ntimeout = \"soon\"\n[server]\nlisten = \"here\"\n",
    );
    let ended = home.run(&["runs"], &[]);
    for said in [
        "config.toml:2:10: client.output: \"xml\" is none of text, table, json",
        "config.toml:3:11: client.timeout: \"soon\": expected a duration such as",
        "config.toml:5:10: server.listen: \"here\": invalid socket address",
    ] {
        assert!(
            ended.code == 2 && ended.err.contains(said),
            "{said:?} is not in\n{}",
            ended.err
        );
    }
    // Help and version are there all the same, and so is a command without its files.
    assert_eq!(home.run(&["runs", "--help"], &[]).code, 0);
    assert_eq!(home.run(&["--version"], &[]).code, 0);
    assert_eq!(home.run(&["explain", "FH0301", "--no-config"], &[]).code, 0);
}

#[test]
fn a_named_file_must_be_there_and_a_wrong_variable_is_named() {
    let home = Home::new();
    let ended = home.run(&["runs", "--config", "/nonexistent.toml"], &[]);
    assert!(
        ended.code == 2 && ended.err.contains("/nonexistent.toml"),
        "{ended:?}"
    );
    let ended = home.run(&["server", "--data-dir", "d"], &[("FIREHALL_LISTEN", "here")]);
    assert!(
        ended.code == 2 && ended.err.contains("FIREHALL_LISTEN"),
        "{ended:?}"
    );
    // A flag that was given is wrong by itself, whatever the variable says.
    for args in [["runs", "--timeout", "3"], ["runs", "-o", "xml"]] {
        let env = [("FIREHALL_TIMEOUT", "3s"), ("FIREHALL_OUTPUT", "xml")];
        let ended = home.run(&args, &env);
        assert!(
            ended.code == 2 && ended.err.contains("invalid value") && !ended.err.contains("FIREHALL_"),
            "{ended:?}"
        );
    }
    let ended = home.run(&["--print-config"], &[("FIREHALL_OUTPUT", "xml")]);
    assert!(
        ended.code == 2 && ended.err.starts_with("error: ") && ended.err.contains("FIREHALL_OUTPUT"),
        "{ended:?}"
    );
    let ended = home.run(&["runs", "--timeout", "0s"], &[]);
    assert!(
        ended.code == 2 && ended.err.contains("longer than zero"),
        "{ended:?}"
    );
}

#[test]
fn without_a_command_the_settings_of_all_are_printed() {
    let home = Home::new();
    let ended = home.run(&["--print-config"], &[]);
    for line in [
        "client.server",
        "server.listen",
        "agent.label",
        "dev.data-dir",
        "(not set)",
    ] {
        assert!(ended.code == 0 && ended.out.contains(line), "{line}: {ended:?}");
    }
    let ended = home.run(&["agent", "--print-config"], &[]);
    assert!(
        ended.out.contains("agent.label") && !ended.out.contains("server.listen"),
        "{ended:?}"
    );
}

#[test]
fn a_flag_of_the_same_name_is_not_the_setting_and_the_form_may_stand_in_front() {
    let home = Home::new();
    home.file(USER, "[client]\noutput = \"table\"\n");
    // The forms of `check`, and the file of `new`, are no settings.
    for command in ["check", "new", "logs"] {
        let ended = home.run(&[command, "--print-config"], &[]);
        assert!(
            ended.code == 0 && !ended.out.contains("client.output"),
            "{ended:?}"
        );
    }
    let ended = home.run(&["--print-config", "-o", "json", "agent"], &[]);
    let printed: Value = serde_json::from_str(&ended.out).unwrap();
    assert!(printed["settings"].is_array(), "{printed}");
    let (value, at) = setting(&home, &[], &[], "client", "output");
    assert_eq!((value, at), (json!("table"), json!(format!("HOME/{USER}:2:10"))));
}

#[test]
fn a_password_in_a_url_is_refused_and_never_shown() {
    let home = Home::new();
    let env = [("FIREHALL_SERVER", "http://ann:very-secret@127.0.0.1:9")];
    let commands: [&[&str]; 4] = [
        &["runs"],
        &["doctor"],
        &["agent", "--data-dir", "d"],
        &["--print-config"],
    ];
    for args in commands {
        let ended = home.run(args, &env);
        let said = format!("{}{}", ended.out, ended.err);
        assert!(
            said.contains("…@127.0.0.1:9") && !said.contains("very-secret"),
            "{args:?}: {ended:?}"
        );
    }
    assert_eq!(home.run(&["runs"], &env).code, 2);
    let ended = home.run(&["doctor", "--server", "nonsense"], &[]);
    assert!(
        ended.code == 2 && ended.err.contains("not a server's URL"),
        "{ended:?}"
    );
}
