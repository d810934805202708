//! What an expression reads, seen without evaluating it: so that a preview can tell what is known already from what a
//! run finds out.

use std::collections::BTreeSet;

use crate::{
    Expr, Template,
    expr::{self, Function, Kind, Node},
};

/// What is read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reads {
    /// Roots with the fields that follow by name: `inputs.privacy`, `trigger.alert.hosts`, `steps.parse.outputs.incident`,
    /// `run`. A step's key has `-` as `_`, as the expression writes it.
    pub paths: BTreeSet<String>,
    /// Whether it asks how the needs ended: `succeeded()` and its kin. `always()` is true whatever happened.
    pub needs: bool,
}

impl Reads {
    fn add(&mut self, node: &Node, local: Option<&str>) {
        if let Some(path) = node.path() {
            if path.first().copied() != local {
                self.paths.insert(path.join("."));
            }
            return;
        }
        match &node.kind {
            Kind::Call { function, .. } if function.is_status() => {
                self.needs |= *function != Function::Always
            }
            Kind::Comprehension {
                of, variable, body, ..
            } => {
                self.add(of, local);
                return self.add(body, Some(variable));
            }
            _ => {}
        }
        // As high as the parser allows, `limits::EXPRESSION_DEPTH`.
        for child in node.children() {
            self.add(child, local);
        }
    }

    fn merge(&mut self, other: Self) {
        self.paths.extend(other.paths);
        self.needs |= other.needs;
    }
}

impl Expr {
    /// What it reads. A text that is no expression reads nothing: its evaluation says what is wrong.
    #[must_use]
    pub fn reads(&self) -> Reads {
        let mut reads = Reads::default();
        if let Ok(node) = expr::parse(&self.0) {
            reads.add(&node, None);
        }
        reads
    }
}

impl Template {
    /// What its expressions read.
    #[must_use]
    pub fn reads(&self) -> Reads {
        let mut reads = Reads::default();
        match self {
            Self::Literal(_) => {}
            Self::Expr(expr) => reads = expr.reads(),
            Self::Concat(parts) | Self::List(parts) => {
                parts.iter().for_each(|part| reads.merge(part.reads()))
            }
            Self::Map(parts) => parts.values().for_each(|part| reads.merge(part.reads())),
        }
        reads
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(source: &str) -> Vec<String> {
        Expr(source.to_owned()).reads().paths.into_iter().collect()
    }

    #[test]
    fn the_longest_chain_of_names_is_a_path() {
        assert_eq!(
            paths("steps.a_b.outputs.n + inputs.m"),
            ["inputs.m", "steps.a_b.outputs.n"]
        );
        assert_eq!(
            paths("has(trigger.alert.monitor) ? each.value : \"run\""),
            ["each.value", "trigger.alert.monitor"]
        );
        assert_eq!(
            paths("inputs.list[each.index].name"),
            ["each.index", "inputs.list"]
        );
        assert_eq!(paths("default(run, {\"k\": inputs.x})"), ["inputs.x", "run"]);
        assert_eq!(paths("1 +"), [""; 0]);
    }

    #[test]
    fn a_comprehensions_variable_is_no_root() {
        assert_eq!(
            paths("inputs.l.filter(x, x.a == inputs.b)"),
            ["inputs.b", "inputs.l"]
        );
        assert_eq!(
            paths("inputs.l.exists(run, run == 1) && run.outcome == \"failed\""),
            ["inputs.l", "run.outcome"]
        );
    }

    #[test]
    fn only_what_depends_on_the_needs_reads_them() {
        let needs = |source: &str| Expr(source.to_owned()).reads().needs;
        assert!(needs("failed()") && needs("always() && !cancelled()"));
        assert!(!needs("always()") && !needs("inputs.a == \"failed()\""));
    }
}
