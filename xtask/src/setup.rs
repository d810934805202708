//! What a bare Debian machine lacks: looked for first, installed by apt-get only when missing.

use anyhow::{Context as _, Result, bail};

use crate::sh;

/// Something that must be there.
pub(crate) struct Need {
    /// The program that shows it.
    program: &'static str,
    package: &'static str,
    why: &'static str,
}

/// For building and testing.
pub(crate) const TEST: &[Need] = &[Need {
    program: "cc",
    package: "build-essential",
    why: "SQLite and ring are compiled from C",
}];

/// For measuring.
pub(crate) const BENCH: &[Need] = &[Need {
    program: "strace",
    package: "strace",
    why: "disk flushes are counted with it",
}];

/// Installs what is missing.
///
/// # Errors
/// What is missing cannot be installed.
pub(crate) fn ensure(needs: &[Need]) -> Result<()> {
    let missing: Vec<&Need> = needs.iter().filter(|need| !sh::has(need.program)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    for need in &missing {
        println!("missing: {} ({})", need.program, need.why);
    }
    if !sh::has("apt-get") {
        bail!("no apt-get here: install the above by hand");
    }
    let packages = missing.iter().map(|need| need.package);
    let apt = |args: &[&str]| {
        sh::Cmd::new("apt-get")
            .args(args)
            .env("DEBIAN_FRONTEND", "noninteractive")
    };
    apt(&["-qq", "update"])
        .run()
        .context("apt-get needs root and a mirror")?;
    apt(&["-qq", "--yes", "--no-install-recommends", "install"])
        .args(packages)
        .run()
}
