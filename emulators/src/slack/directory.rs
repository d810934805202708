//! Who is in the workspace: the demo's team, and generated people for paging.

use super::ids::{GroupId, UserId};

/// What kind of account a user has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    /// A full member.
    Member,
    /// A multi-channel guest (`is_restricted`).
    Guest,
    /// A single-channel guest (`is_ultra_restricted`).
    SingleChannelGuest,
    /// An app's bot user.
    Bot,
    /// Slackbot: a bot that `is_bot` does not flag.
    Slackbot,
    /// A deactivated account (`deleted`).
    Deactivated,
}

/// A user of the workspace. Names are not unique, as on Slack.
#[derive(Clone, Debug)]
pub struct User {
    /// Id.
    pub id: UserId,
    /// The legacy username (`name`).
    pub name: String,
    /// Full name.
    pub real_name: String,
    /// Display name; may be empty.
    pub display_name: String,
    /// Address; bots have none.
    pub email: Option<String>,
    /// Job title.
    pub title: String,
    /// Time zone, IANA.
    pub tz: &'static str,
    /// Kind of account.
    pub account: Account,
}

impl User {
    /// What others see: the display name, else the full name.
    pub fn shown(&self) -> &str {
        if self.display_name.is_empty() {
            &self.real_name
        } else {
            &self.display_name
        }
    }

    /// True for accounts that a mention can reach.
    pub(crate) fn is_person(&self) -> bool {
        matches!(
            self.account,
            Account::Member | Account::Guest | Account::SingleChannelGuest
        )
    }
}

/// A user group, mentioned as `<!subteam^S…>`.
#[derive(Clone, Debug)]
pub struct UserGroup {
    /// Id.
    pub id: GroupId,
    /// Handle, without the `@`.
    pub handle: String,
    /// Name.
    pub name: String,
    /// Members.
    pub users: Vec<UserId>,
}

/// A channel that exists from the start.
#[derive(Clone, Debug)]
pub struct SeedChannel {
    /// Name.
    pub name: String,
    /// Topic; may be empty.
    pub topic: String,
    /// Whether only members see it.
    pub is_private: bool,
    /// Members; the first is the creator.
    pub members: Vec<UserId>,
}

fn user(id: &str, name: &str, real: &str, shown: &str, title: &str, account: Account) -> User {
    let has_mail = !matches!(account, Account::Bot | Account::Slackbot);
    User {
        id: id.into(),
        name: name.to_owned(),
        real_name: real.to_owned(),
        display_name: shown.to_owned(),
        email: has_mail.then(|| format!("{name}@company.com")),
        title: title.to_owned(),
        tz: "Europe/Berlin",
        account,
    }
}

/// Id, username, full name, display name, title, account.
type Row = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    Account,
);

/// The demo's team: fifteen accounts, with the traps a real directory holds.
///
/// Two people are shown as "Sam"; `oncall-backend` is a username whose address is another; Maria has a
/// deactivated near-namesake; guests, bots and Slackbot are among them; `jonas.weber` is not.
#[rustfmt::skip]
const DEMO: [Row; 15] = {
    use Account::{Bot, Deactivated, Guest, Member, SingleChannelGuest, Slackbot};
    [
        ("USLACKBOT", "slackbot", "Slackbot", "Slackbot", "", Slackbot),
        ("U08FIREHALL", "firehall", "Firehall", "Firehall", "", Bot),
        ("U08DATADOG1", "datadog", "Datadog", "Datadog", "", Bot),
        ("U08MARIALO1", "maria.lopez", "María López", "maria", "Staff Engineer, Payments", Member),
        ("U08MARIALO2", "maria.lopes", "Maria Lopes", "maria l", "", Deactivated),
        ("U08DEVPATE1", "dev.patel", "Dev Patel", "Dev Patel", "Site Reliability Engineer", Member),
        ("U08ONCALLB1", "oncall-backend", "Backend On-Call", "oncall-backend", "Rota phone", Member),
        ("U08SAMOKAF1", "sam.okafor", "Samuel Okafor", "Sam", "Backend Engineer", Member),
        ("U08SAMLIND1", "sam.lindqvist", "Samantha Lindqvist", "Sam", "Data Engineer", Member),
        ("U08AIKOTAN1", "aiko.tanaka", "Aiko Tanaka", "aiko", "Database Reliability", Member),
        ("U08GRACEME1", "grace.mensah", "Grace Mensah", "Grace", "Engineering Manager", Member),
        ("U08PRIYARA1", "priya.raman", "Priya Raman", "", "Support Lead", Member),
        ("U08TOMBECK1", "tom.becker", "Tom Becker", "tom", "Platform Engineer", Member),
        ("U08ELENARO1", "elena.rossi", "Elena Rossi", "Elena (Acme)", "Partner Engineer", Guest),
        ("U08NOAHPAR1", "noah.park", "Noah Park", "Noah (Acme)", "Contractor", SingleChannelGuest),
    ]
};

/// [`DEMO`] as users.
pub(crate) fn demo_users() -> Vec<User> {
    let row = |(id, name, real, shown, title, account): Row| {
        let mut user = user(id, name, real, shown, title, account);
        match name {
            "oncall-backend" => user.email = Some("backend-rota@company.com".to_owned()),
            "elena.rossi" => user.email = Some("elena.rossi@acme.example".to_owned()),
            "noah.park" => user.email = Some("noah.park@acme.example".to_owned()),
            "aiko.tanaka" => user.tz = "Asia/Tokyo",
            "priya.raman" => user.tz = "Asia/Kolkata",
            _ => {}
        }
        user
    };
    DEMO.map(row).to_vec()
}

/// The demo's user groups.
pub(crate) fn demo_groups() -> Vec<UserGroup> {
    vec![UserGroup {
        id: "S08BACKEND1".into(),
        handle: "backend-team".to_owned(),
        name: "Backend team".to_owned(),
        users: ["U08SAMOKAF1", "U08TOMBECK1", "U08MARIALO1"]
            .map(UserId::from)
            .to_vec(),
    }]
}

/// The demo's channels; the bot is in none of them.
pub(crate) fn demo_channels() -> Vec<SeedChannel> {
    let staff = [
        "U08GRACEME1",
        "U08MARIALO1",
        "U08DEVPATE1",
        "U08SAMOKAF1",
        "U08SAMLIND1",
        "U08TOMBECK1",
    ];
    let channel = |name: &str, topic: &str, is_private, members: &[&str]| SeedChannel {
        name: name.to_owned(),
        topic: topic.to_owned(),
        is_private,
        members: members.iter().map(|id| UserId::from(*id)).collect(),
    };
    vec![
        channel("general", "Company-wide announcements", false, &staff),
        channel(
            "incidents",
            "One line per incident; talk in the war room",
            false,
            &staff,
        ),
        channel(
            "partner-acme",
            "Shared work with Acme",
            false,
            &["U08GRACEME1", "U08ELENARO1", "U08NOAHPAR1"],
        ),
        channel("leads", "", true, &["U08GRACEME1"]),
    ]
}

/// `count` made-up members, the same ones each time.
pub(crate) fn generated_users(count: usize) -> impl Iterator<Item = User> {
    const FIRST: [&str; 8] = ["Ada", "Björn", "Chioma", "Dmitri", "Esra", "Femi", "Gita", "Hana"];
    const LAST: [&str; 7] = ["Arslan", "Bauer", "Costa", "Diallo", "Eriksen", "Fujita", "Greco"];
    (0..count).map(|n| {
        let (first, last) = (FIRST[n % FIRST.len()], LAST[n % LAST.len()]);
        let id = format!("U09G{n:07}");
        user(
            &id,
            &format!("person{n}"),
            &format!("{first} {last}"),
            first,
            "",
            Account::Member,
        )
    })
}
