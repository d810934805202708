//! Slack's Web API with a workspace in memory.
//!
//! * `/api/<method>`: the Web API, under the rules documented at <https://docs.slack.dev/reference/methods>.
//! * `/_emulator/…`: the control API: faults to inject, the state and the calls to assert on ([`control`]).
//! * `/`: the workspace as a person would see it.
//!
//! Where the vendor's documents leave a choice, the emulator takes the harsher one: pages are short, a
//! create clashes with an archived name, an unescaped `<!channel>` notifies everybody.

mod api;
mod args;
mod blocks;
mod calls;
mod catalogue;
mod config;
mod control;
mod directory;
mod errors;
mod faults;
mod html;
mod ids;
mod limits;
mod mentions;
mod methods;
mod mrkdwn;
mod names;
mod page;
mod paging;
mod render;
mod server;
mod snapshot;
mod state;
mod upload;
mod views;
pub(crate) mod wire;

pub use calls::Call;
pub use config::{Bot, Config, Limits, Team};
pub use directory::{Account, SeedChannel, User, UserGroup};
pub use faults::{Fault, FaultKind};
pub use ids::{ChannelId, GroupId, Ts, UserId};
pub use render::render;
pub use server::{Emulator, Handle, serve, spawn};
