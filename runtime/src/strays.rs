//! What this runtime left on the machine for attempts that are gone.

use crate::native::{Native, NativeError, failed};

/// Something that a runtime made for an attempt whose directory is gone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stray {
    /// The container's id.
    pub id: String,
    /// What is left, for people.
    pub what: String,
}

impl Native {
    /// Cgroups of its own, with what lives in them, that belong to no attempt's directory any more. Others' are never
    /// looked at.
    ///
    /// # Errors
    /// The state directory or a cgroup cannot be read.
    pub fn strays(&self) -> Result<Vec<Stray>, NativeError> {
        let orphaned = self
            .ledger()
            .orphaned()
            .map_err(failed("cannot read which cgroups were made"))?;
        let mut strays = Vec::new();
        for (id, dir) in orphaned {
            match self.remains(&id, &dir)? {
                Some(what) => strays.push(Stray { id, what }),
                None => self
                    .ledger()
                    .forget(&id)
                    .map_err(failed("cannot forget a cgroup"))?,
            }
        }
        Ok(strays)
    }

    /// Kills what lives in a stray and removes it.
    ///
    /// # Errors
    /// It does not go.
    pub fn clear(&self, stray: &Stray) -> Result<(), NativeError> {
        let noted = self.ledger().attempt(&stray.id);
        if let Some(made) = noted.map_err(failed("cannot read which cgroups were made"))? {
            self.end_all(&stray.id, &made.dir)?;
        }
        self.ledger()
            .forget(&stray.id)
            .map_err(failed("cannot forget a cgroup"))
    }
}
