//! The runtimes that this agent has, and which of them has an attempt in its care.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use runtime::{Runtime, RuntimeError};
use types::{ContainerWork, RuntimeName};

/// In an attempt's directory: the name of the runtime that has it in its care, where an agent has several.
const MARK: &str = "runtime";

/// The usable runtimes, at least one; the one for steps that do not ask comes first.
pub(crate) struct Runtimes(Vec<Usable>);

/// One of them.
pub(crate) struct Usable {
    pub runtime: Arc<dyn Runtime>,
    /// What it offers on this host beyond what all do, found out when the agent started.
    pub offers: BTreeSet<&'static str>,
}

impl Usable {
    /// A runtime, asked what it offers.
    pub(crate) async fn new(runtime: Arc<dyn Runtime>) -> Self {
        let offers = runtime.offers().await;
        Self { runtime, offers }
    }
}

impl Runtimes {
    /// These, in the order in which they are taken; none when there are none.
    pub(crate) fn new(usable: Vec<Usable>) -> Option<Self> {
        (!usable.is_empty()).then_some(Self(usable))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Usable> {
        self.0.iter()
    }

    /// Their names, as people read them.
    pub(crate) fn names(&self) -> String {
        let names: Vec<&str> = self.0.iter().map(|one| one.runtime.name()).collect();
        names.join(" and ")
    }

    /// The one that a work is for: the one that has it in its care already, the one that it asks for, the first that offers
    /// what it wants. Where none offers it, the first that it may be for, which says why not.
    ///
    /// # Errors
    /// It asks for one that this agent does not have, with the way out.
    pub(crate) fn take(&self, dir: &Path, work: &ContainerWork) -> Result<Arc<dyn Runtime>, String> {
        if let Some(known) = mark(dir).and_then(|name| self.named(&name)) {
            return Ok(known);
        }
        let asked = work.runtime.map(RuntimeName::as_str);
        let could = || {
            self.0
                .iter()
                .filter(move |one| asked.is_none_or(|asked| one.runtime.name() == asked))
        };
        let offers = |one: &&Usable| work.wants_offered().all(|word| one.offers.contains(word));
        let chosen = could().find(offers).or_else(|| could().next());
        chosen.map(|one| Arc::clone(&one.runtime)).ok_or_else(|| {
            let asked = asked.unwrap_or_default();
            format!(
                "the step asks for the runtime {asked}, and it has {}: start it with --runtime {asked}, or both",
                self.names()
            )
        })
    }

    /// Notes in an attempt's directory, which is made, that it is in the care of this runtime. Not synced: what a dead host
    /// forgets of it, it has forgotten of the container too.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn note(&self, dir: &Path, runtime: &dyn Runtime) -> io::Result<()> {
        // One runtime has all that there is.
        if self.0.len() == 1 || mark(dir).is_some() {
            return Ok(());
        }
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        fs_err::create_dir_all(dir)?;
        fs_err::set_permissions(dir, private)?;
        write_mark(dir, runtime.name())
    }

    /// The one that has an attempt in its care; the first where none is noted.
    ///
    /// # Errors
    /// It is one that this agent does not have.
    pub(crate) fn of(&self, dir: &Path) -> Result<&Arc<dyn Runtime>, RuntimeError> {
        let Some(name) = mark(dir) else {
            return Ok(&self.0[0].runtime);
        };
        let found = self.0.iter().find(|one| one.runtime.name() == name);
        found.map(|one| &one.runtime).ok_or_else(|| {
            RuntimeError(format!(
                "it is in the care of the runtime {name:?}, which this agent does not have"
            ))
        })
    }

    /// One of them by its name.
    pub(crate) fn named(&self, name: &str) -> Option<Arc<dyn Runtime>> {
        let found = self.0.iter().find(|one| one.runtime.name() == name);
        found.map(|one| Arc::clone(&one.runtime))
    }
}

/// The runtime that is noted in an attempt's directory. An empty note is none: the host lost its power, and with it the
/// container.
fn mark(dir: &Path) -> Option<String> {
    let noted = std::fs::read_to_string(dir.join(MARK)).ok()?;
    (!noted.is_empty()).then_some(noted)
}

fn write_mark(dir: &Path, name: &str) -> io::Result<()> {
    let (path, draft) = (dir.join(MARK), dir.join("runtime.new"));
    fs_err::write(&draft, name)?;
    fs_err::rename(draft, path)
}

/// Which runtimes have attempts in their care.
pub(crate) struct InCare {
    pub names: BTreeSet<String>,
    /// Those in whose directory nothing is noted, and whose they are.
    unmarked: Option<(String, Vec<PathBuf>)>,
}

impl InCare {
    /// Of these directories: what is noted, and for the rest what `before` says.
    ///
    /// # Errors
    /// Those of `before`, which is asked only where something is not noted.
    pub(crate) fn of(
        attempts: impl Iterator<Item = PathBuf>,
        before: impl FnOnce() -> io::Result<String>,
    ) -> io::Result<Self> {
        let (mut names, mut unmarked) = (BTreeSet::new(), Vec::new());
        for dir in attempts {
            match mark(&dir) {
                Some(name) => {
                    names.insert(name);
                }
                None => unmarked.push(dir),
            }
        }
        if unmarked.is_empty() {
            return Ok(Self {
                names,
                unmarked: None,
            });
        }
        let name = before()?;
        names.insert(name.clone());
        let unmarked = Some((name, unmarked));
        Ok(Self { names, unmarked })
    }

    /// Notes whose the unmarked ones are, where they would be taken for those of `first` from here on.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn settle(&self, first: &str) -> io::Result<()> {
        match &self.unmarked {
            Some((name, dirs)) if name != first => dirs.iter().try_for_each(|dir| write_mark(dir, name)),
            _ => Ok(()),
        }
    }
}
