//! What can be done with a run: it is cancelled, repeated, and what is in doubt in it is decided.

pub(crate) mod cancel;
pub(crate) mod rerun;
pub(crate) mod resolve;

use ::pages::{
    Section,
    form::{Field, Form, FormPage},
};
use proto::v1;
use tonic::Status;

use super::{Ask, key, shell};
use crate::Core;

async fn load(ask: &Ask, id: String) -> Result<v1::Run, Status> {
    ask.run(v1::GetRunRequest { run_id: id }).await
}

/// A page of a run whose form goes to the page's own path.
struct Act<'a> {
    verb: &'a str,
    heading: String,
    intro: Vec<String>,
    fields: Vec<Field>,
    submit: &'a str,
    grave: bool,
}

impl Act<'_> {
    fn page(self, core: &Core, run: &v1::Run) -> FormPage {
        let back = format!("/runs/{}", run.id);
        FormPage {
            shell: shell(core, Section::Runs, self.heading.clone()),
            crumb: (back.clone(), format!("{} {}", run.workflow, run.id)),
            heading: self.heading,
            intro: self.intro,
            form: Form {
                action: format!("{back}/{}", self.verb),
                key: key(),
                fields: self.fields,
                more: Vec::new(),
                more_label: String::new(),
                submit: self.submit.to_owned(),
                grave: self.grave,
                back,
                error: String::new(),
            },
        }
    }
}
