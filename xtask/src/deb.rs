//! `cargo xtask deb`: a Debian package of the release binary, its units and completions, made by dpkg-deb.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::{setup, sh};

const USAGE: &str = "\
cargo xtask deb [--out DIR] [--binary FILE]

  --out DIR      where the package is put (target/debian by default)
  --binary FILE  package this program instead of building a release";

const DESCRIPTION: &str = "\
Description: incident response from alert to staffed war room
 Firehall is a control plane for incidents: a server compiles workflows and
 keeps their history, agents on the team's own hosts run their steps in fresh
 hardened containers. This package holds the one binary, the units of both
 and completions for shells. No unit is started by installing it.";

struct Options {
    out: PathBuf,
    binary: Option<PathBuf>,
}

pub(crate) fn run(args: &[&str]) -> Result<()> {
    let options = parse(args)?;
    setup::ensure(setup::DEB)?;
    let binary = match options.binary {
        Some(binary) => binary,
        None => {
            sh::cargo(&["build", "--release", "--locked", "--package", "cli"]).run()?;
            sh::target_dir().join("release/firehall")
        }
    };
    fs_err::create_dir_all(&options.out)?;
    let work = tempfile::Builder::new()
        .prefix("firehall-deb-")
        .tempdir_in(&options.out)?;
    let tree = work.path().join("tree");
    fill(&tree, &binary)?;
    let control = control(work.path(), &tree.join("usr/bin/firehall"))?;
    write(&tree.join("DEBIAN/control"), &control, 0o644)?;
    for script in ["postinst", "prerm", "postrm"] {
        let text = fs_err::read_to_string(sh::root().join("deploy/debian").join(script))?;
        write(&tree.join("DEBIAN").join(script), &text, 0o755)?;
    }
    let name = format!("firehall_{}_{}.deb", version(), architecture()?);
    let package = options.out.join(name);
    sh::Cmd::new("dpkg-deb")
        .args(["--root-owner-group", "--build"])
        .args([&tree, &package])
        .run()?;
    println!("{}", package.display());
    Ok(())
}

fn parse(args: &[&str]) -> Result<Options> {
    let mut options = Options {
        out: sh::target_dir().join("debian"),
        binary: None,
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let value = args
            .next()
            .with_context(|| format!("{arg} needs a value\n{USAGE}"));
        match *arg {
            "--out" => options.out = PathBuf::from(value?),
            "--binary" => options.binary = Some(PathBuf::from(value?)),
            _ => bail!("unexpected {arg}\n{USAGE}"),
        }
    }
    Ok(options)
}

fn version() -> String {
    format!("{}-1", env!("CARGO_PKG_VERSION"))
}

fn architecture() -> Result<String> {
    let told = sh::Cmd::new("dpkg").args(["--print-architecture"]).read()?;
    Ok(told.trim().to_owned())
}

/// What is installed, as it is installed.
fn fill(tree: &Path, binary: &Path) -> Result<()> {
    let program = tree.join("usr/bin/firehall");
    place(binary, &program, 0o755)?;
    sh::Cmd::new("strip").args([&program]).run()?;
    for (unit, to) in [
        (
            "firehall-server.service",
            "lib/systemd/system/firehall-server.service",
        ),
        (
            "firehall-agent.service",
            "lib/systemd/system/firehall-agent.service",
        ),
        // For whoever is not root; nothing starts it but that user.
        (
            "user/firehall-agent.service",
            "usr/lib/systemd/user/firehall-agent.service",
        ),
    ] {
        let text = fs_err::read_to_string(sh::root().join("deploy/systemd").join(unit))?;
        // The package's own place; units for hand-made installations name /usr/local.
        let text = text.replace("/usr/local/bin/firehall", "/usr/bin/firehall");
        write(&tree.join(to), &text, 0o644)?;
    }
    let config = fs_err::read_to_string(sh::root().join("deploy/systemd/agent.toml"))?;
    write(&tree.join("etc/firehall/agent.toml"), &config, 0o644)?;
    // What dpkg asks about before it puts a newer one in its place.
    write(
        &tree.join("DEBIAN/conffiles"),
        "/etc/firehall/agent.toml\n",
        0o644,
    )?;
    for (shell, file) in [
        ("bash", "bash-completion/completions/firehall"),
        ("zsh", "zsh/vendor-completions/_firehall"),
        ("fish", "fish/vendor_completions.d/firehall.fish"),
    ] {
        let text = sh::Cmd::new(&program).args(["completions", shell]).read()?;
        write(&tree.join("usr/share").join(file), &text, 0o644)?;
    }
    let docs = tree.join("usr/share/doc/firehall");
    place(&sh::root().join("LICENSE"), &docs.join("copyright"), 0o644)?;
    place(&sh::root().join("CHANGELOG.md"), &docs.join("changelog"), 0o644)?;
    sh::Cmd::new("gzip")
        .args(["--best", "--no-name"])
        .args([docs.join("changelog")])
        .run()
}

/// The package's control file; dpkg-shlibdeps says which libraries of which version the binary was linked against.
fn control(work: &Path, program: &Path) -> Result<String> {
    write(
        &work.join("debian/control"),
        "Source: firehall\n\nPackage: firehall\nArchitecture: any\n",
        0o644,
    )?;
    let told = sh::Cmd::new("dpkg-shlibdeps")
        .in_folder(work)
        .args(["-O"])
        .args([format!("-e{}", program.display())])
        .read()?;
    let depends = told.trim().strip_prefix("shlibs:Depends=");
    let depends = depends.with_context(|| format!("dpkg-shlibdeps said {told:?}"))?;
    Ok(format!(
        "Package: firehall\nVersion: {}\nArchitecture: {}\nMaintainer: Firehall <maintainers@firehall.invalid>\n\
         Section: admin\nPriority: optional\nDepends: {depends}, adduser\nRecommends: iproute2\n{DESCRIPTION}\n",
        version(),
        architecture()?,
    ))
}

fn place(from: &Path, to: &Path, mode: u32) -> Result<()> {
    prepare(to)?;
    fs_err::copy(from, to)?;
    allow(to, mode)
}

fn write(to: &Path, text: &str, mode: u32) -> Result<()> {
    prepare(to)?;
    fs_err::write(to, text)?;
    allow(to, mode)
}

fn prepare(file: &Path) -> Result<()> {
    Ok(fs_err::create_dir_all(file.parent().context("no folder")?)?)
}

fn allow(file: &Path, mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    Ok(fs_err::set_permissions(
        file,
        std::fs::Permissions::from_mode(mode),
    )?)
}
