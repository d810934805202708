//! The agent's own part of the configuration: what steps may ask for here.

use ::agent::AgentFile;
use node::config::Problem;

use super::finding::Report;
use crate::{commands::agent::in_force, text};

const CHECK: &str = "agent.policy";

pub(super) fn look(report: &mut Report, file: &Result<AgentFile, Vec<Problem>>) {
    match file {
        Ok(file) if file.places.is_empty() => report.ok(
            CHECK,
            "no file says what steps may ask for: the defaults hold, and what --allow gives",
        ),
        Ok(file) => {
            let rules: Vec<String> = in_force::rules(file)
                .into_iter()
                .filter(|rule| rule.place.is_some())
                .map(|rule| format!("{} = {}", rule.name, rule.value))
                .collect();
            report.ok(CHECK, text::line(&rules.join("; ")).into_owned());
        }
        Err(problems) => {
            for problem in problems {
                let message = format!("{}: {}", problem.place, problem.message);
                report.error(CHECK, text::line(&message).into_owned(), problem.help.clone());
            }
        }
    }
}
