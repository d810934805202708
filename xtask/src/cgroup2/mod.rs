//! `cargo xtask cgroup2`: the native runtime on a kernel with cgroup version 2 alone, in a guest of this machine.
//!
//! The guest is Debian's own kernel under QEMU. It sees this host's root, read-only, under a layer of memory, so it runs the very
//! binaries that were built here; nothing of the host changes.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::{setup, sh};

const MODULES: &[&str] = &[
    "virtio",
    "virtio_ring",
    "virtio_pci_legacy_dev",
    "virtio_pci_modern_dev",
    "virtio_pci",
    "netfs",
    "fscache",
    "9pnet",
    "9pnet_virtio",
    "9p",
    "overlay",
];
/// What concerns cgroups: test binaries of `runtime`, with what their tests' names contain.
const PARTS: &[(&str, &str)] = &[
    ("conformance", "limits::"),
    ("conformance", "ends::out_of_memory"),
    ("conformance", "life::"),
    ("conformance", "stops::"),
    ("conformance", "inside::every_namespace"),
    ("conformance", "inside::the_view_of_sys"),
    ("native", "adoption::a_killed"),
    ("native", "cleanup::"),
    ("rootless", "limits::"),
];
const INIT: &str = include_str!("init.sh");
const GUEST: &str = include_str!("guest.sh");
/// Seconds for the whole guest, on a machine without KVM too.
const PATIENCE: &str = "1500";
/// The guest's last word.
const WELL: &str = "guest: 0";

pub(crate) fn run() -> Result<()> {
    setup::ensure(setup::GUEST)?;
    let dir = sh::target_dir().join("cgroup2");
    std::fs::create_dir_all(&dir)?;
    sh::cargo(&["build", "--package", "cli"]).run()?;
    let tests = tests()?;
    let kernel = kernel(&dir)?;
    let initrd = initrd(&dir, &parts(&tests)?)?;
    let text = boot(&kernel, &initrd)?;
    if text.lines().any(|line| line.trim_end() == WELL) {
        println!("the native runtime works on cgroup version 2 alone");
        return Ok(());
    }
    bail!("the guest did not say {WELL:?}; what failed stands above")
}

/// A test binary of the runtime by its name.
struct Test {
    name: String,
    path: String,
}

fn tests() -> Result<Vec<Test>> {
    let told = sh::cargo(&[
        "test",
        "--package",
        "runtime",
        "--tests",
        "--no-run",
        "--message-format",
        "json",
    ])
    .read()?;
    let mut found = Vec::new();
    for line in told.lines() {
        let message: serde_json::Value = serde_json::from_str(line).context("cargo's messages are JSON")?;
        if let (Some(name), Some(path), Some(true)) = (
            message["target"]["name"].as_str(),
            message["executable"].as_str(),
            message["profile"]["test"].as_bool(),
        ) {
            found.push(Test {
                name: name.to_owned(),
                path: path.to_owned(),
            });
        }
    }
    Ok(found)
}

/// What the guest runs, as lines of its script.
fn parts(tests: &[Test]) -> Result<String> {
    let mut lines = Vec::new();
    for (name, filter) in PARTS {
        let mut found = tests.iter().filter(|test| test.name == *name).peekable();
        if found.peek().is_none() {
            bail!("no test binary is named {name}");
        }
        for test in found {
            let path = &test.path;
            // A filter that nothing is named by would pass.
            lines.push(format!(
                "{path} --list {filter} | grep -q ': test' || {{ echo '== {name} {filter}: no test'; failed=1; }}"
            ));
            lines.push(format!(
                "part '{name} {filter}' {path} --test-threads 1 --color never {filter}"
            ));
        }
    }
    let firehall = sh::firehall();
    lines.push(format!("part 'an agent' {} doctor", firehall.display()));
    Ok(lines.join("\n"))
}

/// Debian's kernel and the modules, once.
fn kernel(dir: &Path) -> Result<PathBuf> {
    let at = dir.join("vmlinuz");
    if at.is_file()
        && MODULES
            .iter()
            .all(|module| dir.join(format!("{module}.ko")).is_file())
    {
        return Ok(at);
    }
    let told = sh::Cmd::new("apt-cache")
        .args(["depends", "linux-image-amd64"])
        .read()?;
    let package = told
        .lines()
        .find_map(|line| line.trim().strip_prefix("Depends: "))
        .context("apt-cache names no kernel")?;
    sh::Cmd::new("apt-get")
        .args(["download", package])
        .in_folder(dir)
        .run()?;
    let unpack = format!(
        "dpkg-deb --fsys-tarfile {package}_*.deb | tar -x --transform 's,.*/,,' --wildcards --no-anchored \
         'vmlinuz-*' {} && mv vmlinuz-* vmlinuz && rm {package}_*.deb",
        MODULES
            .iter()
            .map(|module| format!("'{module}.ko'"))
            .collect::<Vec<_>>()
            .join(" ")
    );
    sh::Cmd::new("sh").args(["-ec", &unpack]).in_folder(dir).run()?;
    Ok(at)
}

/// The guest's first files: busybox, the modules, two scripts.
fn initrd(dir: &Path, parts: &str) -> Result<PathBuf> {
    let root = dir.join("initrd");
    if root.exists() {
        std::fs::remove_dir_all(&root)?;
    }
    std::fs::create_dir_all(root.join("bin"))?;
    std::fs::create_dir_all(root.join("modules"))?;
    std::fs::copy("/bin/busybox", root.join("bin/busybox")).context("busybox-static")?;
    for module in MODULES {
        std::fs::copy(
            dir.join(format!("{module}.ko")),
            root.join(format!("modules/{module}.ko")),
        )?;
    }
    std::fs::write(root.join("init"), INIT)?;
    std::fs::write(root.join("guest.sh"), GUEST.replace("@PARTS@", parts))?;
    let pack = "chmod 755 init && find . | busybox cpio -o -H newc > ../initrd.cpio";
    sh::Cmd::new("sh").args(["-ec", pack]).in_folder(&root).run()?;
    Ok(dir.join("initrd.cpio"))
}

/// The guest's machine, up to its first files.
fn machine(is_fast: bool, seconds: &str, kernel: &Path, initrd: &Path, append: &str) -> Command {
    let (accel, cpu) = if is_fast {
        ("kvm", "host,arch-capabilities=off")
    } else {
        ("tcg,thread=multi", "max")
    };
    let mut qemu = Command::new("timeout");
    qemu.args([seconds, "qemu-system-x86_64", "-accel", accel, "-cpu", cpu])
        .args([
            "-smp",
            "2",
            "-m",
            "3072",
            "-nodefaults",
            "-no-user-config",
            "-no-reboot",
        ])
        .args(["-display", "none", "-serial", "stdio"])
        .arg("-kernel")
        .arg(kernel)
        .arg("-initrd")
        .arg(initrd)
        .args([
            "-append",
            &format!("console=ttyS0 quiet panic=-1 cgroup_no_v1=all {append}"),
        ])
        .stdin(Stdio::null());
    qemu
}

/// Whether KVM takes a guest to its first process here: inside some virtual machines it is there, and hangs.
fn is_fast(kernel: &Path, initrd: &Path) -> Result<bool> {
    if !Path::new("/dev/kvm").exists() {
        println!("no /dev/kvm here: the guest is emulated, which takes some minutes");
        return Ok(false);
    }
    // There is no such program: the kernel panics, and the machine ends.
    let tried = machine(true, "30", kernel, initrd, "rdinit=/none root=/dev/none")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .context("cannot start qemu-system-x86_64")?;
    if !tried.success() {
        println!("/dev/kvm does not carry a guest here: it is emulated, which takes some minutes");
    }
    Ok(tried.success())
}

/// Runs it to its end and shows what it says.
fn boot(kernel: &Path, initrd: &Path) -> Result<String> {
    let mut child = machine(is_fast(kernel, initrd)?, PATIENCE, kernel, initrd, "")
        .args([
            "-virtfs",
            "local,path=/,mount_tag=root,security_model=none,readonly=on,multidevs=remap",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start qemu-system-x86_64")?;
    let mut text = String::new();
    if let Some(out) = child.stdout.take() {
        for line in BufReader::new(out).lines() {
            let line = line.context("cannot read what the guest says")?;
            println!("{line}");
            text.push_str(&line);
            text.push('\n');
        }
    }
    child.wait().context("cannot wait for the guest")?;
    Ok(text)
}
