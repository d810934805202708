//! Forms: what can be asked of the server from a page. What was entered is kept when it is refused, with each error at its field.

use askama::Template;

use crate::Shell;

/// How a field is filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A line.
    Line,
    /// A number, as a line.
    Number,
    /// Several lines, of so many rows.
    Lines(u8),
    /// Several lines of JSON or another language, of so many rows.
    Code(u8),
    /// One of these: value and words.
    One(Vec<(String, String)>),
    /// One of these, each with its explanation: value, word, explanation.
    Explained(Vec<(String, String, String)>),
    /// Any of these: value, words, and whether it is chosen.
    Any(Vec<(String, String, bool)>),
    /// Yes when ticked.
    Tick,
    /// Nobody fills it in: it goes back as it came.
    Hidden,
}

/// A field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// As it is sent.
    pub name: String,
    /// As it is shown.
    pub label: String,
    /// More words; may be empty.
    pub help: String,
    /// How it is filled in.
    pub kind: Kind,
    /// What is in it.
    pub value: String,
    /// Whether it must be filled in.
    pub required: bool,
    /// The most characters of it; 0 for no limit of the page.
    pub most: usize,
    /// What is wrong with it; empty when nothing is.
    pub error: String,
}

impl Field {
    /// An empty field.
    #[must_use]
    pub fn new(name: &str, label: &str, kind: Kind) -> Self {
        Self {
            name: name.to_owned(),
            label: label.to_owned(),
            help: String::new(),
            kind,
            value: String::new(),
            required: false,
            most: 0,
            error: String::new(),
        }
    }

    /// With more words.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }

    /// That must be filled in.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Of at most so many characters.
    #[must_use]
    pub const fn most(mut self, most: usize) -> Self {
        self.most = most;
        self
    }

    /// With this in it.
    #[must_use]
    pub fn value(mut self, value: impl Into<String>) -> Self {
        self.value = value.into();
        self
    }

    /// With what was sent in it; of a name that may come several times, all that came.
    pub fn fill(&mut self, sent: &[&str]) {
        let first = sent.first().copied().unwrap_or_default();
        match &mut self.kind {
            Kind::Any(choices) => {
                for (value, _, chosen) in choices {
                    *chosen = sent.contains(&value.as_str());
                }
            }
            Kind::Tick => self.value = if first.is_empty() { "" } else { "on" }.to_owned(),
            Kind::Lines(_) | Kind::Code(_) => self.value = first.replace("\r\n", "\n"),
            Kind::Line | Kind::Number | Kind::One(_) | Kind::Explained(_) | Kind::Hidden => {
                self.value = first.to_owned();
            }
        }
    }

    fn id(&self) -> String {
        format!("field-{}", self.name)
    }

    /// The ids of what describes it.
    fn described(&self) -> String {
        let help = (!self.help.is_empty()).then(|| format!("{}-help", self.id()));
        let error = (!self.error.is_empty()).then(|| format!("{}-error", self.id()));
        help.into_iter().chain(error).collect::<Vec<_>>().join(" ")
    }

    fn is(&self, value: &str) -> bool {
        self.value == value
    }
}

/// A form.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "parts/form.html")]
pub struct Form {
    /// Where it goes.
    pub action: String,
    /// So that what is sent twice is done once.
    pub key: String,
    /// Its fields.
    pub fields: Vec<Field>,
    /// Fields that few need, and the words above them; none without any.
    pub more: Vec<Field>,
    /// See `more`.
    pub more_label: String,
    /// What the button says: what it does; without words there is no button, as there is nothing to do.
    pub submit: String,
    /// Whether it ends or changes something that cannot be had back.
    pub grave: bool,
    /// Where one goes without doing it.
    pub back: String,
    /// Why it was refused; empty when it was not.
    pub error: String,
}

impl Form {
    /// All its fields.
    pub fn all(&mut self) -> impl Iterator<Item = &mut Field> {
        self.fields.iter_mut().chain(&mut self.more)
    }

    fn more_open(&self) -> bool {
        self.more.iter().any(|field| !field.error.is_empty())
    }
}

/// A page that is a form.
#[derive(Debug, Template)]
#[template(path = "form.html")]
pub struct FormPage {
    /// Around it.
    pub shell: Shell,
    /// Where it belongs: address and words.
    pub crumb: (String, String),
    /// What it does.
    pub heading: String,
    /// What happens then, a paragraph each.
    pub intro: Vec<String>,
    /// The form.
    pub form: Form,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn form(fields: Vec<Field>) -> Form {
        Form {
            action: "/x".to_owned(),
            key: "k1".to_owned(),
            fields,
            more: Vec::new(),
            more_label: String::new(),
            submit: "Do it".to_owned(),
            grave: false,
            back: "/".to_owned(),
            error: String::new(),
        }
    }

    #[test]
    fn what_was_entered_is_kept_and_its_error_stands_at_it() {
        let mut field = Field::new("title", "Title", Kind::Line)
            .required()
            .help("In a line");
        field.fill(&["\"><b>x"]);
        field.error = "too long".to_owned();
        let html = form(vec![field]).render().unwrap();
        assert!(html.contains("value=\"&quot;&gt;&lt;b&gt;x\""), "{html}");
        assert!(
            html.contains("aria-describedby=\"field-title-help field-title-error\""),
            "{html}"
        );
        assert!(
            html.contains("aria-invalid=\"true\"") && html.contains("id=\"field-title-error\""),
            "{html}"
        );
        assert!(html.contains("name=\"key\" value=\"k1\""), "{html}");
    }

    #[test]
    fn choices_come_back_as_they_were_chosen() {
        let choice = |value: &str| (value.to_owned(), value.to_owned());
        let mut one = Field::new("one", "One", Kind::One(vec![choice("a"), choice("b")]));
        one.fill(&["b"]);
        let any = ["a", "b", "c"].map(|value| (value.to_owned(), value.to_owned(), false));
        let mut any = Field::new("any", "Any", Kind::Any(any.to_vec()));
        any.fill(&["c", "a"]);
        let mut tick = Field::new("tick", "Tick", Kind::Tick);
        tick.fill(&["on"]);
        let html = form(vec![one, any, tick]).render().unwrap();
        assert!(html.contains("<option value=\"b\" selected>"), "{html}");
        assert_eq!(html.matches(" checked").count(), 3, "{html}");
    }
}
