//! The actions `kubernetes/…`, by the API of Kubernetes: <https://kubernetes.io/docs/reference/kubernetes-api/>. They read
//! only, and never a secret.

mod client;
mod connection;
mod events;
mod rollout;
mod rollout_status;

pub use connection::KubernetesConnection;
pub(crate) use events::Events;
pub(crate) use rollout_status::RolloutStatus;
