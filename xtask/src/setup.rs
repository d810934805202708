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
pub(crate) const TEST: &[Need] = &[
    Need {
        program: "cc",
        package: "build-essential",
        why: "SQLite and ring are compiled from C",
    },
    Need {
        program: "chromium",
        package: "chromium",
        why: "the pages and gRPC-Web are tested in a browser",
    },
    Need {
        program: "node",
        package: "nodejs",
        why: "it drives the browser",
    },
    Need {
        program: "npm",
        package: "npm",
        why: "it installs what drives the browser",
    },
    Need {
        program: "curl",
        package: "curl",
        why: "the documents' lines are run, and send alerts with it",
    },
    Need {
        program: "ip",
        package: "iproute2",
        why: "the documents' lines are run in a network of their own",
    },
    Need {
        program: "jq",
        package: "jq",
        why: "the documents' lines are run, and read JSON with it",
    },
    Need {
        program: "dockerd",
        package: "docker.io",
        why: "the docker runtime is tested on a real daemon",
    },
    Need {
        program: "podman",
        package: "podman",
        why: "the docker runtime is tested at Podman's socket, too",
    },
    Need {
        program: "iptables",
        package: "iptables",
        why: "the daemon and native steps have networks by it",
    },
    Need {
        program: "docker-registry",
        package: "docker-registry",
        why: "images are fetched from a real registry",
    },
    Need {
        program: "busybox",
        package: "busybox-static",
        why: "tests build images of it",
    },
    Need {
        program: "linux.uml",
        package: "user-mode-linux",
        why: "it is a kernel with cgroup version 2 alone",
    },
    Need {
        program: "faketime",
        package: "faketime",
        why: "clocks jump in the tests of faults",
    },
    Need {
        program: "strace",
        package: "strace",
        why: "a disk that fails a flush is played by it",
    },
    Need {
        program: "mkfs.ext4",
        package: "e2fsprogs",
        why: "a disk that turns read-only is a file system of its own",
    },
    Need {
        program: "sqlite3",
        package: "sqlite3",
        why: "the documents' lines are run, and back databases up with it",
    },
    Need {
        program: "adduser",
        package: "adduser",
        why: "the package is installed on a guest, and makes its user by it",
    },
];

/// For the long tests beside that.
pub(crate) const FULL: &[Need] = &[
    Need {
        program: "systemd-run",
        package: "systemd",
        why: "the unit of an ordinary user's agent is started by it, in a guest",
    },
    Need {
        program: "docker-compose",
        package: "docker-compose",
        why: "the compose file is brought up by it",
    },
    Need {
        program: "debootstrap",
        package: "debootstrap",
        why: "it makes what stands in for the base image of the compose file",
    },
];

/// For a Debian package.
pub(crate) const DEB: &[Need] = &[
    Need {
        program: "dpkg-deb",
        package: "dpkg",
        why: "it makes the package",
    },
    Need {
        program: "dpkg-shlibdeps",
        package: "dpkg-dev",
        why: "it finds which libraries the binary needs",
    },
    Need {
        program: "strip",
        package: "binutils",
        why: "the binary is installed without its symbols",
    },
];

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
    install(missing.iter().map(|need| need.package))
}

/// The packages that tests in Python use, pinned by hash, in an environment of their own below the target directory.
///
/// # Errors
/// Python or its packages cannot be installed.
pub(crate) fn python() -> Result<()> {
    let requirements = sh::root().join("tests/python/requirements.txt");
    let wanted = std::fs::read_to_string(&requirements).context("tests/python/requirements.txt")?;
    let home = sh::target_dir().join("python");
    // Says which packages the environment holds; written last.
    let stamp = home.join("requirements.txt");
    if std::fs::read_to_string(&stamp).is_ok_and(|had| had == wanted) {
        return Ok(());
    }
    // Debian has python3 without what makes environments.
    if sh::Cmd::new("python3")
        .args(["-c", "import ensurepip, venv"])
        .read()
        .is_err()
    {
        println!("missing: python3-venv (the API is called from another language)");
        install(["python3-venv"].into_iter())?;
    }
    sh::Cmd::new("python3")
        .args(["-m", "venv", "--clear"])
        .args([&home])
        .run()?;
    sh::Cmd::new(home.join("bin/pip"))
        .args([
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--require-hashes",
            "--requirement",
        ])
        .args([&requirements])
        .run()?;
    std::fs::write(&stamp, wanted).context("the environment's stamp")
}

/// The oldest Node.js that playwright-core runs on.
const NODE: u32 = 20;

/// The packages that drive the browser, pinned by hash, where Node.js looks for them.
///
/// # Errors
/// Node.js is too old, or its packages cannot be installed.
pub(crate) fn node() -> Result<()> {
    let version = sh::Cmd::new("node").args(["--version"]).read()?;
    let version = version.trim();
    let major = version.trim_start_matches('v').split('.').next();
    if major
        .and_then(|major| major.parse::<u32>().ok())
        .is_none_or(|major| major < NODE)
    {
        bail!("node --version says {version:?}: the browser's driver needs Node.js {NODE} or newer");
    }
    let home = sh::root().join("tests/browser");
    let wanted =
        std::fs::read_to_string(home.join("package-lock.json")).context("tests/browser/package-lock.json")?;
    // Says which packages are there; written last.
    let stamp = home.join("node_modules/.firehall-lock.json");
    if std::fs::read_to_string(&stamp).is_ok_and(|had| had == wanted) {
        return Ok(());
    }
    sh::Cmd::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix"])
        .args([&home])
        .run()?;
    std::fs::write(&stamp, wanted).context("the packages' stamp")
}

fn install<'a>(packages: impl Iterator<Item = &'a str>) -> Result<()> {
    if !sh::has("apt-get") {
        bail!("no apt-get here: install the above by hand");
    }
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
