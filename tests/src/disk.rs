//! Disks of a test's own: small, with room for few files, or with a file system that the kernel makes read-only. Tests run as
//! root.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// What fills a small disk.
const BALLAST: &str = "ballast";

/// A file system of its own in memory; gone with this value.
#[derive(Debug)]
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// With so many mebibytes.
    ///
    /// # Panics
    /// When it cannot be mounted.
    #[must_use]
    pub fn of_mebibytes(path: &Path, mebibytes: u32) -> Self {
        Self::mounted(path, &format!("size={mebibytes}m"))
    }

    /// With room for so many files.
    ///
    /// # Panics
    /// When it cannot be mounted.
    #[must_use]
    pub fn of_files(path: &Path, files: u32) -> Self {
        Self::mounted(path, &format!("size=256m,nr_inodes={files}"))
    }

    fn mounted(path: &Path, how: &str) -> Self {
        fs::create_dir_all(path).expect("a directory");
        let kind = Some("tmpfs");
        mount(kind, path, kind, MsFlags::empty(), Some(how)).expect("tests run as root");
        Self(path.to_owned())
    }

    /// Takes all the room there is, to the last byte or file.
    ///
    /// # Panics
    /// When it never ends.
    pub fn fill(&self) {
        let dir = self.0.join(BALLAST);
        fs::create_dir_all(&dir).expect("room for one more");
        let full = (0..100_000).find(|n| fs::write(dir.join(n.to_string()), vec![0; 1 << 20]).is_err());
        assert!(full.is_some_and(|made| made > 0), "{full:?}");
    }

    /// Takes all files that can be made, and no bytes.
    ///
    /// # Panics
    /// When it never ends.
    pub fn exhaust(&self) {
        let dir = self.0.join(BALLAST);
        fs::create_dir_all(&dir).expect("room for one more");
        let full = (0..100_000).find(|n| fs::write(dir.join(n.to_string()), "").is_err());
        assert!(full.is_some_and(|made| made > 100), "{full:?}");
    }

    /// Gives the room back.
    ///
    /// # Panics
    /// When it cannot.
    pub fn free(&self) {
        fs::remove_dir_all(self.0.join(BALLAST)).expect("it was filled");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        unmount(&self.0);
    }
}

/// A file system on a disk that may fail: ext4 on a loop device, which the kernel makes read-only at an error while files in
/// it are open, as it does with a real disk.
#[derive(Debug)]
pub struct BreakingDisk {
    image: PathBuf,
    path: PathBuf,
}

impl BreakingDisk {
    /// Mounted there.
    ///
    /// # Panics
    /// When it cannot be made, also where the kernel has no loop devices or no ext4.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        for needed in ["/dev/loop-control", "/sys/fs/ext4"] {
            assert!(
                Path::new(needed).exists(),
                "a disk that fails needs a kernel with {needed}"
            );
        }
        fs::create_dir_all(path).expect("a directory");
        let disk = Self {
            image: path.with_extension("image"),
            path: path.to_owned(),
        };
        let image = fs::File::create(&disk.image).expect("a file");
        image.set_len(96 << 20).expect("a sparse file");
        // Without a journal: it would turn the error into another one.
        done(
            Command::new("mkfs.ext4")
                .args(["-q", "-O", "^has_journal"])
                .arg(&disk.image),
        );
        disk.mount();
        disk
    }

    fn mount(&self) {
        let how = ["-o", "loop,errors=remount-ro"];
        done(Command::new("mount").args(how).args([&self.image, &self.path]));
    }

    /// The kernel finds an error: from now on nothing can be written, by whoever has what open.
    ///
    /// # Panics
    /// When it cannot be made to.
    pub fn fail(&self) {
        let found = Command::new("findmnt")
            .args(["-no", "SOURCE"])
            .arg(&self.path)
            .output();
        let found = String::from_utf8(found.expect("findmnt").stdout).expect("a path");
        let device = found.trim().rsplit('/').next().expect("a device");
        let trigger = format!("/sys/fs/ext4/{device}/trigger_fs_error");
        fs::write(&trigger, "a test wants it").unwrap_or_else(|error| panic!("{trigger}: {error}"));
        fs::write(self.path.join("probe"), "").expect_err("it is read-only");
    }

    /// As an operator does it, once nobody uses it: unmounted, checked, mounted again. From a copy: a mount namespace of
    /// somebody else on this machine may hold the failed one, which the kernel would give us again.
    ///
    /// # Panics
    /// When it cannot be.
    pub fn repair(&mut self) {
        done(Command::new("umount").arg(&self.path));
        let copy = self.image.with_extension("repaired");
        fs::copy(&self.image, &copy).expect("a file");
        self.image = copy;
        // 1 is "errors were corrected".
        let checked = Command::new("fsck.ext4")
            .args(["-f", "-y"])
            .arg(&self.image)
            .output();
        let checked = checked.expect("fsck.ext4");
        assert!(checked.status.code().is_some_and(|code| code < 4), "{checked:?}");
        self.mount();
    }
}

impl Drop for BreakingDisk {
    fn drop(&mut self) {
        unmount(&self.path);
    }
}

fn unmount(path: &Path) {
    // Processes of the stack may still hold it.
    if let Err(error) = umount2(path, MntFlags::MNT_DETACH) {
        eprintln!("{}: {error}", path.display());
    }
}

fn done(command: &mut Command) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}
