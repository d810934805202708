//! What must not be linked at all, and under which licences the rest is.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::sh;

/// One TLS stack with one provider (rustls with ring), one SQLite.
const BANNED: &[&str] = &[
    "aws-lc-rs",
    "aws-lc-sys",
    "openssl",
    "openssl-sys",
    "native-tls",
    "rusqlite",
    "cloudflare-quiche",
];

#[test]
fn no_second_tls_stack_and_no_second_sqlite() {
    let lock: toml::Table =
        toml::from_str(&std::fs::read_to_string(sh::root().join("Cargo.lock")).unwrap()).unwrap();
    let names: BTreeSet<&str> = lock["package"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|one| one["name"].as_str())
        .collect();
    assert!(names.contains("rustls") && names.contains("ring"));
    let found: Vec<_> = BANNED.iter().filter(|one| names.contains(*one)).collect();
    assert!(found.is_empty(), "{found:?}");
}

/// A licence expression holds when the allowed ones satisfy it. `/` is the old spelling of OR.
fn allowed(expression: &str, allow: &BTreeSet<&str>) -> bool {
    let expression = expression.replace('/', " OR ").replace(['(', ')'], " ");
    // AND binds tighter than OR; brackets in real licence fields only group alternatives of one AND.
    if let Some((left, right)) = expression.split_once(" AND ")
        && expression.contains(" OR ")
    {
        return [left, right]
            .iter()
            .all(|side| side.split(" OR ").any(|one| allow.contains(one.trim())));
    }
    expression
        .split(" OR ")
        .any(|all| all.split(" AND ").all(|one| allow.contains(one.trim())))
}

#[test]
fn every_licence_is_one_that_deny_toml_allows() {
    let deny: toml::Table =
        toml::from_str(&std::fs::read_to_string(sh::root().join("deny.toml")).unwrap()).unwrap();
    let rules = &deny["licenses"];
    let words = |list: &toml::Value| -> BTreeSet<String> {
        list.as_array()
            .unwrap()
            .iter()
            .map(|word| word.as_str().unwrap().to_owned())
            .collect()
    };
    let about = |list: &str, package: &str| -> Option<toml::Value> {
        rules
            .get(list)?
            .as_array()?
            .iter()
            .find(|rule| rule["crate"].as_str() == Some(package))
            .cloned()
    };
    let holds = |package: &Value| {
        let name = package["name"].as_str().unwrap();
        let mut allow = words(&rules["allow"]);
        allow.extend(
            about("exceptions", name)
                .map(|rule| words(&rule["allow"]))
                .unwrap_or_default(),
        );
        let clarified = about("clarify", name).map(|rule| rule["expression"].as_str().unwrap().to_owned());
        let licence = clarified.or_else(|| package["license"].as_str().map(str::to_owned));
        licence.is_some_and(|licence| allowed(&licence, &allow.iter().map(String::as_str).collect()))
    };
    let target = "x86_64-unknown-linux-gnu";
    let metadata = sh::cargo(&[
        "metadata",
        "--offline",
        "--format-version",
        "1",
        "--filter-platform",
        target,
    ]);
    let metadata: Value = serde_json::from_str(&metadata.read().unwrap()).unwrap();
    let packages = metadata["packages"].as_array().unwrap().iter();
    let wrong: Vec<_> = packages
        .filter(|package| !holds(package))
        .map(|package| format!("{} {}", package["name"], package["license"]))
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn licence_expressions_are_read() {
    let allow = BTreeSet::from(["MIT", "ISC"]);
    assert!(
        allowed("MIT OR GPL-3.0", &allow)
            && allowed("MIT/GPL-3.0", &allow)
            && allowed("(MIT OR X) AND ISC", &allow)
    );
    assert!(
        !allowed("GPL-3.0", &allow)
            && !allowed("MIT AND GPL-3.0", &allow)
            && !allowed("(MIT OR X) AND Y", &allow)
    );
}
