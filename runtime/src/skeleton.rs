//! The root that all steps of an agent share: directories, links and a few copied files of `/etc`, nothing mounted.
//!
//! It is built once and named by a fingerprint of what went into it; a shim holds a shared lock on the one it uses, so
//! that an agent with newer host files removes only what nobody uses.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use fs_err as fs;

/// Raised when the layout below changes.
const VERSION: u32 = 2;
/// Mount points and empty places.
const DIRS: &[&str] = &[
    "dev",
    "etc",
    "home",
    "host",
    "host/proc",
    "host/sys",
    "mnt",
    "opt",
    "proc",
    "root",
    "run",
    "run/firehall",
    "run/secrets",
    "srv",
    "sys",
    "tmp",
    "usr",
    "var",
];
/// Links of merged-usr systems; where the host has a directory instead, it is bound.
pub const USR_LINKS: &[&str] = &["bin", "sbin", "lib", "lib32", "lib64", "libx32"];
/// Allow-list of `/etc`: the loader, alternatives, certificates, names of protocols and zones. Nothing that is not
/// readable by everybody is copied.
const ETC: &[&str] = &[
    "alternatives",
    "bash.bashrc",
    "ca-certificates",
    "debian_version",
    "host.conf",
    "inputrc",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "locale.alias",
    "localtime",
    "lsb-release",
    "mime.types",
    "nsswitch.conf",
    "os-release",
    "pki/tls/certs",
    "profile",
    "protocols",
    "python3",
    "redhat-release",
    "rpc",
    "services",
    "ssl/certs",
    "ssl/openssl.cnf",
    "terminfo",
    "timezone",
];
const PASSWD: &str = "root:x:0:0:root:/tmp:/bin/sh\n\
    step:x:1000:1000:step:/tmp:/bin/sh\n\
    nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nstep:x:1000:\nnogroup:x:65534:\n";
/// Names of the step itself.
pub(crate) const HOSTS: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";

/// Builds the skeleton below `state`, or finds the one that is still right. Removes unused older ones.
///
/// # Errors
/// The host's files cannot be read, or the directory cannot be written.
pub fn ensure(state: &Path) -> io::Result<PathBuf> {
    let name = format!("skeleton-{:016x}", fingerprint());
    let path = state.join(&name);
    if !path.exists() {
        let tmp = state.join(format!("{name}.{}", std::process::id()));
        build(&tmp)?;
        match std::fs::rename(&tmp, &path) {
            Ok(()) => {}
            // Another agent's thread was faster with the same content.
            Err(_) if path.exists() => fs::remove_dir_all(&tmp)?,
            Err(error) => return Err(error),
        }
    }
    for entry in fs::read_dir(state)? {
        let entry = entry?;
        let other = entry.file_name();
        let other = other.to_string_lossy();
        if other.starts_with("skeleton-")
            && !other.starts_with(&name)
            && File::open(entry.path())?.try_lock().is_ok()
        {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(path)
}

/// Opens it for a step and marks it as used.
pub(crate) fn hold(path: &Path) -> io::Result<File> {
    let dir = fs::File::open(path)?.into_file();
    dir.lock_shared()?;
    Ok(dir)
}

fn fingerprint() -> u64 {
    let mut hasher = DefaultHasher::new();
    VERSION.hash(&mut hasher);
    for name in ETC {
        if let Ok(meta) = std::fs::metadata(Path::new("/etc").join(name)) {
            (name, meta.mtime(), meta.mtime_nsec(), meta.size()).hash(&mut hasher);
        }
    }
    for name in USR_LINKS {
        (name, std::fs::read_link(Path::new("/").join(name)).ok()).hash(&mut hasher);
    }
    hasher.finish()
}

fn build(root: &Path) -> io::Result<()> {
    dir(root)?;
    for name in DIRS {
        dir(&root.join(name))?;
    }
    for name in USR_LINKS {
        let host = Path::new("/").join(name);
        match std::fs::symlink_metadata(&host) {
            Ok(meta) if meta.is_symlink() => symlink(fs::read_link(&host)?, root.join(name))?,
            Ok(_) => dir(&root.join(name))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    symlink("/tmp", root.join("var/tmp"))?;
    symlink("/run", root.join("var/run"))?;
    let etc = root.join("etc");
    for name in ETC {
        copy(&Path::new("/etc").join(name), &etc.join(name))?;
    }
    symlink("/proc/mounts", etc.join("mtab"))?;
    // With network, the host's own are bound over the last two.
    for (name, text) in [
        ("passwd", PASSWD),
        ("group", GROUP),
        ("hosts", HOSTS),
        ("resolv.conf", ""),
    ] {
        fs::write(etc.join(name), text)?;
        fs::set_permissions(etc.join(name), PermissionsExt::from_mode(0o644))?;
    }
    Ok(())
}

fn dir(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)?;
    fs::set_permissions(path, PermissionsExt::from_mode(0o755))
}

/// Copies a file, link or tree. Absent ones and ones that not everybody may read are left out.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let meta = match std::fs::symlink_metadata(from) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if let Some(parent) = to.parent()
        && !parent.exists()
    {
        dir(parent)?;
    }
    if meta.is_symlink() {
        symlink(fs::read_link(from)?, to)
    } else if meta.is_dir() && meta.mode() & 0o005 == 0o005 {
        dir(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
        Ok(())
    } else if meta.is_file() && meta.mode() & 0o004 != 0 {
        fs::copy(from, to)?;
        fs::set_permissions(
            to,
            PermissionsExt::from_mode(if meta.mode() & 0o001 != 0 { 0o755 } else { 0o644 }),
        )
    } else {
        Ok(())
    }
}
