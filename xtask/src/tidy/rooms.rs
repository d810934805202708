//! The rooms' table of ARCHITECTURE.md, against `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::sh;

/// Who may use which other room in what ships. A room that is not here does not exist.
const ROOMS: &[(&str, &[&str])] = &[
    ("types", &[]),
    ("workflow", &["types"]),
    ("protocol", &["types"]),
    ("engine", &["types", "workflow", "protocol"]),
    ("incident", &["types"]),
    ("proto", &[]),
    ("node", &["types"]),
    ("failpoint", &[]),
    ("actions", &["types", "incident", "node"]),
    ("pages", &["types", "incident", "proto"]),
    (
        "server",
        &[
            "types",
            "workflow",
            "protocol",
            "engine",
            "incident",
            "proto",
            "node",
            "failpoint",
            "pages",
        ],
    ),
    ("runtime", &["types", "failpoint"]),
    ("docker", &["types", "runtime", "failpoint"]),
    ("conformance", &["types", "runtime"]),
    ("guest", &[]),
    ("images", &["types", "node", "runtime"]),
    (
        "agent",
        &[
            "types",
            "protocol",
            "proto",
            "actions",
            "node",
            "failpoint",
            "runtime",
            "images",
            "docker",
        ],
    ),
    ("sdk", &["proto", "types"]),
    (
        "cli",
        &[
            "types",
            "workflow",
            "engine",
            "incident",
            "proto",
            "node",
            "actions",
            "server",
            "agent",
            "runtime",
            "images",
            "docker",
            "sdk",
            "emulators",
            "runbooks",
        ],
    ),
    ("emulators", &["types"]),
    ("runbooks", &[]),
    (
        "simulation",
        &[
            "types", "protocol", "engine", "proto", "actions", "runtime", "agent", "server",
        ],
    ),
    (
        "e2e",
        &[
            "types",
            "workflow",
            "engine",
            "incident",
            "proto",
            "protocol",
            "sdk",
            "emulators",
            "runbooks",
        ],
    ),
    ("xtask", &[]),
    ("bench", &["types", "runtime", "proto"]),
];

/// What no room may link in what ships, with the reason; `*` is every room.
const NEVER: &[(&str, &[&str], &str)] = &[
    (
        "server",
        &["reqwest", "libcontainer", "actions"],
        "the control plane accepts connections and calls nobody",
    ),
    (
        "runtime",
        &["tonic", "sqlx", "reqwest"],
        "a container's parent knows nothing of the network",
    ),
    (
        "agent",
        &["libcontainer", "sqlx", "axum"],
        "containers are the runtime's; the spool is files",
    ),
];

/// Rooms without clock, IO, async or randomness.
const PURE: &[&str] = &["types", "workflow", "protocol", "engine", "incident", "pages"];
/// What the pages show is the API's messages.
const MESSAGES: &str = "proto";
/// What pure rooms may use from the field.
const PURE_FIELD: &[&str] = &[
    "serde",
    "serde_json",
    "sha2",
    "data-encoding",
    "thiserror",
    "saphyr-parser",
    "strsim",
    "annotate-snippets",
    "jiff",
    "unicode-width",
    "unicode-normalization",
    "askama",
];

/// Each package's direct dependencies in what ships.
fn packages() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = sh::cargo(&["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .read()
        .unwrap();
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().unwrap();
            let shipped = dependencies.iter().filter(|one| one["kind"].is_null());
            let names = shipped
                .map(|one| one["name"].as_str().unwrap().to_owned())
                .collect();
            (package["name"].as_str().unwrap().to_owned(), names)
        })
        .collect()
}

#[test]
fn rooms_use_only_what_their_table_allows() {
    let packages = packages();
    let rooms: BTreeMap<&str, &[&str]> = ROOMS.iter().copied().collect();
    let known: BTreeSet<&str> = packages.keys().map(String::as_str).collect();
    assert_eq!(
        known,
        rooms.keys().copied().collect(),
        "the table and the workspace have the same rooms"
    );
    for (name, uses) in &packages {
        let others: BTreeSet<&str> = uses
            .iter()
            .map(String::as_str)
            .filter(|used| known.contains(used))
            .collect();
        let allowed: BTreeSet<&str> = rooms[name.as_str()].iter().copied().collect();
        let beyond: Vec<_> = others.difference(&allowed).collect();
        assert!(beyond.is_empty(), "{name} may not use {beyond:?}");
    }
}

#[test]
fn nobody_links_what_it_must_never_need() {
    let packages = packages();
    for (room, never, because) in NEVER {
        let uses = &packages[*room];
        let found: Vec<_> = never.iter().filter(|one| uses.contains(**one)).collect();
        assert!(found.is_empty(), "{room} links {found:?}: {because}");
    }
    // The shim's libcontainer forks without exec: one room only, and what measures it against that library alone.
    let with: Vec<_> = packages
        .iter()
        .filter(|(_, uses)| uses.contains("libcontainer"))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(with, ["bench", "runtime"]);
}

#[test]
fn pure_rooms_stay_pure() {
    let packages = packages();
    let mut rooms: BTreeSet<&str> = PURE.iter().chain(PURE_FIELD).copied().collect();
    rooms.insert(MESSAGES);
    for room in PURE {
        let beyond: Vec<_> = packages[*room]
            .iter()
            .filter(|used| !rooms.contains(used.as_str()))
            .collect();
        assert!(beyond.is_empty(), "{room} is pure and uses {beyond:?}");
    }
}

#[test]
fn each_folder_is_named_as_its_crate_and_in_the_architecture() {
    let architecture = std::fs::read_to_string(sh::root().join("ARCHITECTURE.md")).unwrap();
    let folders = std::fs::read_dir(sh::root()).unwrap().map(|entry| entry.unwrap());
    let folders = folders
        .filter(|entry| entry.file_type().unwrap().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .filter(|name| !name.starts_with('.') && name != "target");
    for folder in folders {
        assert!(
            architecture.contains(&format!("`{folder}/`")),
            "ARCHITECTURE.md does not tell what {folder}/ is"
        );
    }
    let folder = |name: &str| match name {
        "sdk" => "sdk/rust".to_owned(),
        "e2e" => "tests".to_owned(),
        "bench" => "xtask/bench".to_owned(),
        same => same.to_owned(),
    };
    for (room, _) in ROOMS {
        assert!(
            sh::root().join(folder(room)).join("Cargo.toml").is_file(),
            "{room} is not in {}/",
            folder(room)
        );
    }
}
