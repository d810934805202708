//! From answers to a definition: values are replaced in the template's text, everything else stays as it was written.

use workflow::{Compiled, SourceFile};

use super::answers::{Answers, AtLeast, Template};
use crate::splice;

/// The definition's text.
///
/// # Errors
/// When the template lacks a place for an answer: a defect, which a test looks for.
pub(super) fn definition(answers: &Answers) -> Result<String, String> {
    let name = answers.template.name();
    let source = source(answers.template).ok_or_else(|| format!("there is no template {name}"))?;
    let mut text = source.to_owned();
    put(&mut text, &["name"], &answers.name)?;
    if let Some(users) = &answers.users {
        let users: Vec<String> = users.iter().map(|user| quoted(user)).collect();
        put(
            &mut text,
            &["inputs", "responders", "default"],
            &format!("[{}]", users.join(", ")),
        )?;
    }
    if let Some(privacy) = answers.privacy {
        put(&mut text, &["inputs", "privacy", "default"], privacy.word())?;
    }
    if let Some(severity) = answers.severity {
        put(&mut text, &["on", "alert"], &condition(severity))?;
        text = text.replacen(RUNBOOK_ON, &severity_comment(severity), 1);
    }
    Ok(text.replacen(RUNBOOK_NAME, &format!("`firehall put {}", answers.name), 1))
}

fn source(template: Template) -> Option<&'static str> {
    let all = runbooks::ALL.iter().chain(runbooks::TEMPLATES);
    all.into_iter()
        .find(|(name, _)| *name == template.name())
        .map(|(_, text)| *text)
}

/// What the runbook's comment says of its name, and of an `on` that takes each alert.
const RUNBOOK_NAME: &str = "`firehall put incident-response";
const RUNBOOK_ON: &str = "\
# Every alert that is posted here opens a room or joins one: which monitors call for people is decided where they
# mention this webhook. To decide it here instead, give a condition:
#   on: { alert: { when: 'alert.severity in [\"critical\", \"high\", \"unknown\"]' } }
# (unknown belongs in it: a source that does not say how bad it is must not be taken for a harmless one).
";

fn severity_comment(severity: AtLeast) -> String {
    format!(
        "# Alerts of severity {} and worse start it; unknown belongs to them: a source that does not say how bad it is must\n\
         # not be taken for a harmless one.\n",
        severity.word()
    )
}

fn condition(severity: AtLeast) -> String {
    let words: Vec<String> = severity.words().iter().map(|word| format!("{word:?}")).collect();
    format!("{{ when: 'alert.severity in [{}]' }}", words.join(", "))
}

fn put(text: &mut String, keys: &[&str], value: &str) -> Result<(), String> {
    let place = splice::find(text, keys)?;
    let place = place.ok_or_else(|| format!("the template has no place for {}", keys.join(".")))?;
    text.replace_range(place, value);
    Ok(())
}

/// A text in double quotes as YAML reads it back: what could end it, break its line or hide in it is escaped.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_alphanumeric() || (c.is_ascii() && !c.is_ascii_control()) => quoted.push(c),
            c if u32::from(c) <= 0xffff => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push_str(&format!("\\U{:08x}", u32::from(c))),
        }
    }
    quoted.push('"');
    quoted
}

/// The definition compiled; what is written has been checked.
pub(super) fn check(file: &str, text: &str) -> (SourceFile, Compiled) {
    let source = SourceFile::new(file, text);
    let compiled = workflow::compile(&source, &::actions::Registry::builtin().catalogue());
    (source, compiled)
}

/// A word as a shell takes it.
pub(super) fn shell(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./_-".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The value of an input's default, for tests and for people who look.
#[cfg(test)]
pub(super) fn default_of(text: &str, input: &str) -> Option<types::Value> {
    let (_, compiled) = check("new.yaml", text);
    compiled.plan?.inputs.get(input)?.default.clone()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use serde_json::json;

    use super::*;
    use crate::commands::new::answers::{Incident, Privacy};

    fn answers(template: Template) -> Answers {
        Answers {
            template,
            name: "mine".to_owned(),
            users: None,
            privacy: None,
            severity: None,
            incident: Incident::default(),
        }
    }

    fn compiles(answers: &Answers) -> String {
        let text = definition(answers).unwrap();
        let (source, compiled) = check("new.yaml", &text);
        let shown = workflow::render_text(&compiled.diagnostics, &source, false);
        assert!(compiled.diagnostics.is_empty(), "{answers:?}\n{shown}");
        assert_eq!(compiled.plan.unwrap().name, "mine");
        text
    }

    #[test]
    fn every_template_compiles_with_every_answer() {
        let severities = AtLeast::ALL.map(Some).into_iter().chain([None]);
        for severity in severities {
            compiles(&Answers {
                severity,
                ..answers(Template::Alert)
            });
            for privacy in Privacy::ALL.map(Some).into_iter().chain([None]) {
                let users = Some(vec!["@a".to_owned(), "b@example.com".to_owned()]);
                let of = Answers {
                    severity,
                    privacy,
                    users,
                    ..answers(Template::IncidentResponse)
                };
                let text = compiles(&of);
                let words = privacy.map_or("auto", Privacy::word);
                assert_eq!(default_of(&text, "privacy"), Some(json!(words)));
                assert_eq!(
                    default_of(&text, "responders"),
                    Some(json!(["@a", "b@example.com"]))
                );
            }
        }
        compiles(&answers(Template::Script));
    }

    #[test]
    fn an_answer_is_data_whatever_it_says() {
        let hostile = [
            "\"]\n  evil: true",
            "a\\",
            "$ {{ run }} #{x}",
            "' # ",
            "{ a: b }",
            "*x",
            "!!binary x",
            "$(reboot)`x`",
            "\u{2028}\u{85}\u{feff}\u{202e}",
            "👩‍🚒 מרים",
            "- a: b",
            "%TAG",
        ];
        for text in hostile {
            let users = Some(vec![text.to_owned(), "last".to_owned()]);
            let made = compiles(&Answers {
                users,
                ..answers(Template::IncidentResponse)
            });
            assert_eq!(
                default_of(&made, "responders"),
                Some(json!([text, "last"])),
                "{text:?}"
            );
        }
    }

    #[test]
    fn the_condition_is_that_of_the_answer_and_its_comment_too() {
        let severity = Some(AtLeast::High);
        let text = compiles(&Answers {
            severity,
            ..answers(Template::IncidentResponse)
        });
        assert!(
            text.contains(r#"alert: { when: 'alert.severity in ["critical", "high", "unknown"]' }"#),
            "{text}"
        );
        assert!(
            text.contains("severity high and worse") && !text.contains("Every alert that is posted here"),
            "{text}"
        );
        assert!(text.contains("`firehall put mine --default"), "{text}");
    }

    #[test]
    fn a_shell_takes_a_word_as_one() {
        assert_eq!(shell("INC-1"), "INC-1");
        assert_eq!(shell("it's $(x)"), r"'it'\''s $(x)'");
        assert_eq!(shell(""), "''");
    }
}
