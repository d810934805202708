//! The native runtime as the suite sees it, whoever runs it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use conformance::{Answers, Ids, Signals, Subject};
use images::{Access, Images, Store};
use runtime::{LimitsBy, Native, Runtime, ShimCommand};

pub(crate) struct OnThisHost {
    /// The shim's program.
    pub shim: PathBuf,
    pub ids: Ids,
    pub limits: LimitsBy,
}

fn store(state: &Path) -> Store {
    Store::open(&state.join("images")).unwrap()
}

impl Subject for OnThisHost {
    fn open(&self, state: &Path) -> Arc<dyn Runtime> {
        let shim = ShimCommand {
            program: self.shim.clone(),
            args: vec!["shim".to_owned()],
        };
        let images = Images::new(store(state), Access::default());
        let native = Native::open(state, shim).unwrap();
        Arc::new(native.with_images(Arc::new(images)))
    }

    fn answers(&self) -> Answers {
        Answers {
            signals: Signals::Apart,
            ids: self.ids,
            limits: self.limits,
            cgroup_namespace: true,
        }
    }

    fn load(&self, state: &Path, archive: &[u8]) {
        let file = state.join("archive.tar");
        std::fs::write(&file, archive).unwrap();
        let tokio = tokio::runtime::Builder::new_current_thread().build().unwrap();
        tokio.block_on(store(state).load(&file, None)).unwrap();
        std::fs::remove_file(file).unwrap();
    }

    /// It goes with the directory.
    fn unload(&self, _: &str) {}

    /// Its cgroups and what lives with its name.
    fn remains(&self, id: &str) -> Vec<String> {
        let mut found = Vec::new();
        // /sys/fs/cgroup, a controller or a slice, ours, the attempt's.
        let mut folders = vec![(PathBuf::from("/sys/fs/cgroup"), 3)];
        while let Some((folder, deeper)) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    continue;
                }
                if entry.file_name().to_string_lossy() == id {
                    found.push(entry.path().display().to_string());
                }
                if deeper > 0 {
                    folders.push((entry.path(), deeper - 1));
                }
            }
        }
        let shim = self.shim.to_string_lossy();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            if line.starts_with(shim.as_ref()) && line.contains(id) {
                found.push(line);
            }
        }
        found
    }
}
