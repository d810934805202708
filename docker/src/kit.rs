//! What is bound into every container: our program, its loader and its libraries.
//!
//! The image need not have a loader or a C library of its own, and ours are those that the program was made for.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use fs_err as fs;

use crate::elf;
use crate::inside::WORD;

/// What the host's loader, which starts our pid 1, would take code from.
pub(crate) const PRELOADED: [&str; 2] = ["LD_PRELOAD", "LD_AUDIT"];

/// Where it is inside.
pub(crate) const INSIDE: &str = "/.firehall";
const PROGRAM: &str = "firehall";
const LOADER: &str = "ld.so";

/// The directory to bind, and the command that starts it.
#[derive(Debug, Clone)]
pub(crate) struct Kit {
    pub dir: PathBuf,
    pub command: Vec<String>,
}

/// Makes the kit below `state`, or finds it. Named by what it is made of; older ones stay, for containers may still run
/// from them.
pub(crate) fn ensure(state: &Path, program: &Path) -> io::Result<Kit> {
    let loader = elf::interpreter(program)?;
    let libraries = match &loader {
        None => Vec::new(),
        Some(loader) => libraries(loader, program)?,
    };
    let mut hasher = DefaultHasher::new();
    for file in [program]
        .into_iter()
        .chain(loader.as_deref())
        .chain(libraries.iter().map(PathBuf::as_path))
    {
        let meta = fs::metadata(file)?;
        (
            // The program has its own name inside, whatever it is called here.
            (file != program).then(|| file.file_name()),
            meta.ino(),
            meta.size(),
            meta.mtime(),
            meta.mtime_nsec(),
        )
            .hash(&mut hasher);
    }
    let name = format!("kit-{:016x}", hasher.finish());
    let dir = state.join(&name);
    if !dir.exists() {
        let tmp = state.join(format!("{name}.{}", std::process::id()));
        build(&tmp, program, loader.as_deref(), &libraries)?;
        match std::fs::rename(&tmp, &dir) {
            Ok(()) => {}
            Err(_) if dir.exists() => fs::remove_dir_all(&tmp)?,
            Err(error) => return Err(error),
        }
    }
    let program = format!("{INSIDE}/{PROGRAM}");
    let command = match loader {
        None => vec![program, WORD.to_owned()],
        Some(_) => vec![
            format!("{INSIDE}/{LOADER}"),
            "--library-path".to_owned(),
            format!("{INSIDE}/lib"),
            program,
            WORD.to_owned(),
        ],
    };
    Ok(Kit { dir, command })
}

fn build(dir: &Path, program: &Path, loader: Option<&Path>, libraries: &[PathBuf]) -> io::Result<()> {
    for made in [dir.to_owned(), dir.join("lib"), dir.join("door")] {
        fs::create_dir_all(&made)?;
        fs::set_permissions(&made, PermissionsExt::from_mode(0o755))?;
    }
    // The program may be large: the same file where the disk allows it.
    let ours = dir.join(PROGRAM);
    if !linked(program, &ours)? {
        copy(program, &ours)?;
    }
    if let Some(loader) = loader {
        copy(loader, &dir.join(LOADER))?;
    }
    for library in libraries {
        let name = library
            .file_name()
            .ok_or_else(|| io::Error::other("a library without a name"))?;
        copy(library, &dir.join("lib").join(name))?;
    }
    Ok(())
}

/// Makes it the same file under another name; not where the disk or the kernel does not allow that, or where the file of that
/// name is another one by now.
fn linked(program: &Path, ours: &Path) -> io::Result<bool> {
    let named = std::fs::canonicalize(program).and_then(|named| std::fs::hard_link(named, ours));
    if named.is_err() {
        return Ok(false);
    }
    let (made, meant) = (fs::metadata(ours)?, fs::metadata(program)?);
    let same = (made.dev(), made.ino()) == (meant.dev(), meant.ino());
    if !same {
        fs::remove_file(ours)?;
    }
    Ok(same)
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to)?;
    fs::set_permissions(to, PermissionsExt::from_mode(0o755))
}

/// The libraries that the loader would load, by its own word. It is given the program open: to another process `/proc/self/exe`
/// is that one's own, and by our number it is shut to whoever may not trace us, which is undumpable.
fn libraries(loader: &Path, program: &Path) -> io::Result<Vec<PathBuf>> {
    let output = Command::new(loader)
        .args(["--list", "/proc/self/fd/0"])
        .stdin(fs::File::open(program)?.into_file())
        .env_clear()
        .output()
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", loader.display())))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(io::Error::other(format!("{} --list: {words}", loader.display())));
    }
    Ok(listed(&String::from_utf8_lossy(&output.stdout)))
}

/// `libm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x…)`; what has no path of its own (the vdso, the loader) is left out.
fn listed(text: &str) -> Vec<PathBuf> {
    let paths = text.lines().filter_map(|line| line.split_once("=>"));
    paths
        .filter_map(|(_, right)| right.split_whitespace().next())
        .filter(|path| path.starts_with('/'))
        .map(PathBuf::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loaders_list_is_read() {
        let text = "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibm.so.6 => /lib/libm.so.6 (0x00007f)\n\t/lib64/ld-linux-x86-64.so.2 (0x0)\n";
        assert_eq!(listed(text), [PathBuf::from("/lib/libm.so.6")]);
    }

    #[test]
    fn an_agent_under_the_kernels_name_for_itself_brings_its_libraries() {
        let state = tempfile::tempdir().unwrap();
        let own = ensure(state.path(), Path::new("/proc/self/exe")).unwrap();
        let named = ensure(state.path(), &std::env::current_exe().unwrap()).unwrap();
        assert_eq!(own.dir, named.dir);
        let libraries: Vec<_> = std::fs::read_dir(own.dir.join("lib")).unwrap().collect();
        assert!(!libraries.is_empty(), "this program is linked to a C library");
    }
}
