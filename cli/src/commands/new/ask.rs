//! The questions, on a terminal: each with its default, and asked again with the reason while the answer is wrong.

use std::{
    fmt::Display,
    io::{self, IsTerminal},
};

use dialoguer::{
    Confirm, Input, Select,
    console::Term,
    theme::{ColorfulTheme, SimpleTheme, Theme},
};

use super::{
    NewArgs,
    answers::{self, Answers, AtLeast, Incident, Privacy, Template},
};
use crate::{
    exit::{Exit, Fault},
    out,
};

/// A terminal to ask on.
pub(super) struct Asker {
    theme: Box<dyn Theme>,
}

impl Asker {
    /// # Errors
    /// When there is nobody to ask.
    pub(super) fn new() -> Result<Self, Fault> {
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return Err(
                Fault::usage("--interactive asks questions, and this is no terminal")
                    .hint("answer by flags instead: `firehall new --help` lists them"),
            );
        }
        let theme: Box<dyn Theme> = if out::is_coloured() {
            Box::new(ColorfulTheme::default())
        } else {
            Box::new(SimpleTheme)
        };
        Ok(Self { theme })
    }

    /// Asks what the flags do not say; what they say is the default.
    pub(super) fn answers(&self, args: &NewArgs) -> Result<Answers, Fault> {
        let template = match args.from {
            Some(template) => template,
            None => self.one_of("From which template", &Template::ALL, 0, |one| {
                format!("{}: {}", one.name(), one.says())
            })?,
        };
        super::fits(args, template)?;
        let name = args.name.clone().unwrap_or_else(|| template.name().to_owned());
        let name = self.text("Name of the workflow", &name, |text| {
            answers::name(text)?;
            super::free(&super::file(args, text), args.force)
        })?;
        let mut of = Answers {
            template,
            name,
            users: None,
            privacy: None,
            severity: None,
            incident: Incident::default(),
        };
        if template.has_room() {
            let users = match &args.users {
                Some(users) => users.join(", "),
                None => "@oncall-backend".to_owned(),
            };
            let users = self.text(
                "Whom to call (e-mail addresses, @handles or names, with commas)",
                &users,
                |text| answers::users(text).map(drop),
            )?;
            of.users = Some(answers::users(&users).map_err(Fault::usage)?);
            let at = Privacy::ALL
                .iter()
                .position(|one| Some(*one) == args.channel_privacy);
            of.privacy = Some(self.one_of(
                "Who may see the room",
                &Privacy::ALL,
                at.unwrap_or(0),
                |one| format!("{}: {}", one.word(), one.says()),
            )?);
        }
        if template.has_alert() {
            let at = AtLeast::ALL.iter().position(|one| Some(*one) == args.severity);
            let severity = self.one_of(
                "Alerts of which severity start it",
                &AtLeast::ALL,
                at.unwrap_or(1),
                |one| format!("{} ({})", one.word(), one.words().join(", ")),
            )?;
            of.severity = Some(severity);
            of.incident = self.incident(args)?;
        }
        Ok(of)
    }

    /// An incident is no part of a workflow: only the command that opens it is printed.
    fn incident(&self, args: &NewArgs) -> Result<Incident, Fault> {
        let given = args.id.is_some() || args.title.is_some();
        let asked = Confirm::with_theme(&*self.theme)
            .with_prompt("Is there an incident to open with it")
            .default(given)
            .interact()
            .map_err(interrupted)?;
        if !asked {
            return Ok(Incident::default());
        }
        let id = args.id.as_deref().unwrap_or("INC-1");
        let id = self.text("Its id", id, |text| answers::incident_id(text).map(drop))?;
        let title = args.title.as_deref().unwrap_or_default();
        let title = self.text("Its title", title, |text| answers::incident_title(text).map(drop))?;
        Ok(Incident {
            id: Some(id.trim().to_owned()),
            title: Some(title.trim().to_owned()),
        })
    }

    fn text(
        &self,
        prompt: &str,
        default: &str,
        check: impl Fn(&str) -> Result<(), String>,
    ) -> Result<String, Fault> {
        let mut input = Input::<String>::with_theme(&*self.theme).with_prompt(prompt);
        if !default.is_empty() {
            input = input.default(default.to_owned());
        }
        input
            .validate_with(|text: &String| check(text))
            .interact_text()
            .map_err(interrupted)
    }

    fn one_of<T: Copy>(
        &self,
        prompt: &str,
        all: &[T],
        default: usize,
        says: impl Fn(&T) -> String,
    ) -> Result<T, Fault> {
        let items: Vec<String> = all.iter().map(says).collect();
        let chosen = Select::with_theme(&*self.theme)
            .with_prompt(prompt)
            .items(&items)
            .default(default)
            .interact()
            .map_err(interrupted)?;
        Ok(all[chosen])
    }
}

/// Ctrl-C, or a terminal that went away.
fn interrupted(error: dialoguer::Error) -> Fault {
    // A list hides the cursor while it is open.
    let _shown = Term::stderr().show_cursor();
    let dialoguer::Error::IO(error) = error;
    match error.kind() {
        io::ErrorKind::Interrupted | io::ErrorKind::NotConnected | io::ErrorKind::UnexpectedEof => {
            // The question's line is still open.
            out::note("");
            Fault::new(Exit::Interrupted, "interrupted; nothing was written")
        }
        _ => Fault::failed(said(&error)),
    }
}

fn said(error: &dyn Display) -> String {
    format!("the terminal cannot be asked: {error}")
}
