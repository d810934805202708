//! What the server finds out about itself.

use sdk::{Client, Level as Theirs};

use super::{
    finding::{Level, Report},
    said,
};

/// Takes over its findings; their names get `server:` in front, so that none is taken for one of this host.
pub(super) async fn look(report: &mut Report, client: &Client) {
    match client.diagnose().await {
        Ok(answer) => {
            for one in answer.findings {
                let level = match one.level {
                    Theirs::Ok => Level::Ok,
                    Theirs::Warning => Level::Warning,
                    Theirs::Unknown => Level::Unknown,
                    Theirs::Error => Level::Error,
                };
                report.add(&format!("server:{}", one.check), level, one.message, one.help);
            }
        }
        Err(error) => report.error("server:diagnose", said(&error), "see the server's log"),
    }
}
