//! The actions `github/deployments` and `github/commits`: what changed. API: <https://docs.github.com/en/rest>.

mod client;
mod commits;
mod connection;
mod deployments;

pub(crate) use commits::Commits;
pub use connection::GithubConnection;
pub(crate) use deployments::Deployments;
