#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
};

use super::*;

fn schema() -> Schema {
    let keys = |keys: &[(&str, Kind)]| -> BTreeMap<String, Kind> {
        keys.iter()
            .map(|(key, kind)| ((*key).to_owned(), *kind))
            .collect()
    };
    let server = keys(&[
        ("listen", Kind::Text),
        ("data-dir", Kind::Path),
        ("capacity", Kind::Integer),
        ("insecure", Kind::Bool),
        ("public-host", Kind::List),
    ]);
    Schema {
        sections: BTreeMap::from([
            ("server".to_owned(), server),
            ("client".to_owned(), keys(&[("output", Kind::Text)])),
        ]),
        tables: TABLES,
    }
}

const fn key(name: &'static str, kind: Kind) -> KeyShape {
    KeyShape {
        name,
        kind,
        about: "",
        default: "",
    }
}

const TABLES: &[TableShape] = &[
    TableShape {
        path: &["policy"],
        about: "",
        keys: &[key("images", Kind::List), key("strict", Kind::Bool)],
    },
    TableShape {
        path: &["policy", "limits"],
        about: "",
        keys: &[key("pids", Kind::Integer)],
    },
    TableShape {
        path: &["secrets", "*"],
        about: "",
        keys: &[key("env", Kind::Text), key("file", Kind::Path)],
    },
    TableShape {
        path: &["secrets", "*", "vault"],
        about: "",
        keys: &[key("path", Kind::Text)],
    },
];

fn tables(texts: &[&str]) -> Settings {
    let dir = tempfile::tempdir().unwrap();
    let files: Vec<Candidate> = texts
        .iter()
        .enumerate()
        .map(|(n, text)| named(dir.path(), &format!("{n}.toml"), text))
        .collect();
    read(&files, &schema()).unwrap()
}

#[test]
fn tables_are_read_with_their_places_and_a_named_one_replaces_its_like() {
    let settings = tables(&[
        "[policy]\nimages = [\"a\"]\nstrict = true\n[policy.limits]\npids = 7\n[secrets.A]\nenv = \"X\"\n[secrets.B]\nenv = \"Y\"\n",
        "[policy]\nimages = [\"b\"]\n[secrets.A]\nvault = { path = \"p\" }\n",
    ]);
    let get = |path: &[&str], key: &str| {
        let path: Vec<String> = path.iter().map(|part| (*part).to_owned()).collect();
        let setting = settings.tables().get(&path)?.keys.get(key)?;
        Some((setting.values.join(","), setting.place.line, setting.place.column))
    };
    assert_eq!(get(&["policy"], "images"), Some(("b".to_owned(), 2, 10)));
    assert_eq!(get(&["policy"], "strict"), Some(("true".to_owned(), 3, 10)));
    assert_eq!(get(&["policy", "limits"], "pids"), Some(("7".to_owned(), 5, 8)));
    assert_eq!(get(&["secrets", "A"], "env"), None);
    assert_eq!(
        get(&["secrets", "A", "vault"], "path"),
        Some(("p".to_owned(), 4, 18))
    );
    assert_eq!(get(&["secrets", "B"], "env"), Some(("Y".to_owned(), 9, 7)));
}

#[test]
fn what_is_wrong_in_a_table_is_said_with_its_place_and_the_nearest_name() {
    let text = "[policy]\nimage = [\"a\"]\nlimits = 3\n[policy.limit]\n[secrets]\nA = \"x\"\n[secrets.\"b c\"]\nenvv = 1\n";
    assert_eq!(
        wrong(text),
        [
            "c.toml:2:1: [policy] has no key \"image\"\n  did you mean images?",
            "c.toml:3:10: [policy.limits] is a table, not a whole number\n  write [policy.limits] and its keys below",
            "c.toml:4:9: [policy] has no key \"limit\"\n  did you mean limits?",
            "c.toml:6:5: [secrets.A] is a table, not a string\n  write [secrets.A] and its keys below",
            "c.toml:8:1: [secrets.\"b c\"] has no key \"envv\"\n  did you mean env?",
        ]
    );
}

fn named(dir: &Path, name: &str, text: &str) -> Candidate {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    Candidate { path, named: true }
}

/// What is wrong with one file, without the file's directory.
fn wrong(text: &str) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let file = named(dir.path(), "c.toml", text);
    match read(&[file], &schema()).unwrap_err() {
        ConfigError::Wrong(problems) => problems
            .iter()
            .map(|one| one.to_string().replace(&format!("{}/", dir.path().display()), ""))
            .collect(),
        other => panic!("{other}"),
    }
}

#[test]
fn a_later_file_is_laid_over_an_earlier_one_and_every_value_keeps_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let first = named(
        dir.path(),
        "a.toml",
        "[server]\nlisten = \"a\"\ncapacity = 7\npublic-host = [\"x\", \"y\"]\n",
    );
    let second = named(
        dir.path(),
        "b.toml",
        "server = { listen = \"b\", insecure = true, data-dir = \"d\" }\n",
    );
    let settings = read(&[first.clone(), second.clone()], &schema()).unwrap();
    let of = |key: &str| settings.get("server", key).unwrap();
    assert_eq!(of("listen").values, ["b"]);
    assert_eq!(
        of("listen").place.to_string(),
        format!("{}:1:21", second.path.display())
    );
    assert_eq!(of("capacity").values, ["7"]);
    assert_eq!(
        of("capacity").place.to_string(),
        format!("{}:3:12", first.path.display())
    );
    assert_eq!(of("public-host").values, ["x", "y"]);
    assert_eq!(of("insecure").values, ["true"]);
    assert_eq!(
        of("data-dir").values,
        [dir.path().join("d").display().to_string()]
    );
    assert_eq!(settings.iter().count(), 5);
}

#[test]
fn everything_that_is_wrong_is_said_in_one_pass_with_its_place_and_the_way_out() {
    let said = wrong(
        "listen = \"x\"\n[sever]\n[server]\nlissten = \"x\"\ncapacity = \"7\"\ninsecure = 1\npublic-host = [\"a\", 2]\n\
         zzzzzzzz = 1\ndata-dir = 0x10\n",
    );
    assert_eq!(
        said,
        [
            "c.toml:1:1: no section or key is called \"listen\"\n  it belongs below [server]",
            "c.toml:2:2: no section or key is called \"sever\"\n  did you mean server?",
            "c.toml:4:1: [server] has no key \"lissten\"\n  did you mean listen?",
            "c.toml:5:12: server.capacity: expected a whole number, found a string\n  write capacity = 7",
            "c.toml:6:12: server.insecure: expected true or false, found a whole number\n  write insecure = true",
            "c.toml:7:21: server.public-host: expected a string in the list, found a whole number\n  write public-host = \
             [\"…\", \"…\"]",
            "c.toml:8:1: [server] has no key \"zzzzzzzz\"\n  keys here: capacity, data-dir, insecure, listen, public-host",
            "c.toml:9:12: server.data-dir: expected a string that names a file or directory, found a number that is not \
             decimal\n  write data-dir = \"/a/path\"",
        ]
    );
    assert_eq!(
        wrong("server = 7\n"),
        ["c.toml:1:10: server is a section, not a whole number\n  write [server] and its keys below"]
    );
}

#[test]
fn what_is_no_toml_is_said_with_its_place() {
    let said = wrong("[server]\nlisten = \n");
    assert!(
        said[0].starts_with("c.toml:2:") && said[0].contains("not TOML"),
        "{said:?}"
    );
    let said = wrong("[server]\ncapacity = 1\ncapacity = 2\n");
    assert!(said[0].starts_with("c.toml:3:1: "), "{said:?}");
}

#[test]
fn a_file_that_nobody_named_may_be_missing_and_a_named_one_may_not() {
    let missing = PathBuf::from("/nonexistent/firehall/config.toml");
    let of = |named| {
        read(
            &[Candidate {
                path: missing.clone(),
                named,
            }],
            &schema(),
        )
    };
    assert_eq!(of(false).unwrap(), Settings::default());
    let said = of(true).unwrap_err().to_string();
    assert!(
        said.contains("/nonexistent/firehall/config.toml") && said.contains("No such file"),
        "{said}"
    );
    let dir = tempfile::tempdir().unwrap();
    let large = named(dir.path(), "large.toml", &"#".repeat(FILE_BYTES + 1));
    assert!(
        read(&[large], &schema())
            .unwrap_err()
            .to_string()
            .contains("larger than")
    );
}

#[test]
fn the_machines_file_comes_before_the_users_and_the_named_one_is_last() {
    let of_any = |vars: &[(&str, &str)], is_agent: bool| -> Vec<String> {
        let get = |name: &str| {
            vars.iter()
                .find(|(n, _)| *n == name)
                .map(|(_, v)| OsString::from(v))
        };
        candidates(&get, is_agent, Some(PathBuf::from("mine.toml")))
            .iter()
            .map(|one| one.path.display().to_string())
            .collect()
    };
    let of = |vars: &[(&str, &str)]| of_any(vars, false);
    let machine = "/etc/firehall/config.toml";
    assert_eq!(
        of_any(&[], true),
        [machine, "/etc/firehall/agent.toml", "mine.toml"]
    );
    assert_eq!(
        of(&[("HOME", "/h")]),
        [machine, "/h/.config/firehall/config.toml", "mine.toml"]
    );
    assert_eq!(
        of(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/x")]),
        [machine, "/x/firehall/config.toml", "mine.toml"]
    );
    assert_eq!(of(&[("XDG_CONFIG_HOME", "relative")]), [machine, "mine.toml"]);
}
