//! The compiler: text → tree → spec → plan.

use sha2::{Digest, Sha256};
use types::Catalogue;

use crate::{Diagnostic, Plan, SourceFile, check, diagnostic::Sink, local::Known, spec, yaml};

/// What became of a definition.
#[derive(Debug, Clone, PartialEq)]
pub struct Compiled {
    /// There when nothing is wrong; warnings leave it.
    pub plan: Option<Plan>,
    /// All that is wrong or probably not meant, in the order of the source.
    pub diagnostics: Vec<Diagnostic>,
}

/// Compiles a definition in YAML or JSON against the known actions. Pure, bounded in time and depth by
/// `limits::DEFINITION_BYTES`, `limits::STEPS` and the expressions' bounds; it never panics.
#[must_use]
pub fn compile(source: &SourceFile, catalogue: &Catalogue) -> Compiled {
    with(source, Known::default(), catalogue)
}

/// Also with the actions of its folders; those that it brings along itself win.
pub(crate) fn with(source: &SourceFile, mut local: Known, catalogue: &Catalogue) -> Compiled {
    let mut sink = Sink::default();
    let mut plan = None;
    if let Some(root) = yaml::read(source, &mut sink) {
        let mut spec = spec::lower(&root, source, &mut sink);
        local.defs.append(&mut spec.actions.defs);
        local.wrong.append(&mut spec.actions.wrong);
        spec.actions = local;
        let digest = data_encoding::HEXLOWER.encode(&Sha256::digest(source.text.as_bytes()));
        let known = &spec.actions.defs;
        plan = Some(if known.is_empty() {
            check::check(&spec, catalogue, digest, &mut sink)
        } else {
            let mut all = catalogue.clone();
            let own = known
                .iter()
                .map(|(uses, def)| (uses.clone(), def.signature.clone()));
            all.0.extend(own);
            check::check(&spec, &all, digest, &mut sink)
        });
    }
    Compiled {
        plan: plan.filter(|_| !sink.has_errors()),
        diagnostics: sink.finish(source),
    }
}
