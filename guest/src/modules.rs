//! The kernel's modules that a guest loads: those that an overlay and a step's network need.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

const MODULES: &str = "/usr/lib/uml/modules";
const WANTED: &[&str] = &[
    "overlay",
    "veth",
    "iptable_filter",
    "iptable_nat",
    "xt_conntrack",
    "xt_MASQUERADE",
    "ipt_REJECT",
];

/// Their files, one a line, each after those that it needs.
pub(crate) fn in_order() -> io::Result<String> {
    let dir = version()?;
    let text = std::fs::read_to_string(dir.join("modules.dep"))?;
    let needs: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once(':')).collect();
    let mut order: Vec<&str> = Vec::new();
    for name in WANTED {
        let file = needs
            .keys()
            .find(|file| Path::new(file).file_stem().is_some_and(|stem| stem == *name))
            .ok_or_else(|| io::Error::other(format!("{}: no module {name}", dir.display())))?;
        // `modules.dep` names all that a module needs, what must be loaded first last.
        let all = needs[file].split_whitespace().rev().chain([*file]);
        for one in all {
            if !order.contains(&one) {
                order.push(one);
            }
        }
    }
    Ok(order
        .iter()
        .map(|file| format!("{}\n", dir.join(file).display()))
        .collect())
}

/// The one version that is installed.
fn version() -> io::Result<PathBuf> {
    let mut found = std::fs::read_dir(MODULES).map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("{MODULES} (package user-mode-linux): {error}"),
        )
    })?;
    let entry = found
        .next()
        .ok_or_else(|| io::Error::other(format!("{MODULES}: no version is there")))??;
    Ok(entry.path())
}
