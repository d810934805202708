//! What systemd is told of a unit of `Type=notify` (sd_notify(3)); without systemd nothing is.

use sd_notify::NotifyState;

/// The process does its work from now on.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// It ends: what it does until then belongs to that.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd cannot be told how this process is");
    }
}
