//! What each event means to the desk.

use std::collections::BTreeSet;

use node::clock::{self, Boot};
use protocol::{
    Decline,
    agent::{Input, Phase, Seen},
};
use types::{AttemptKey, LeaseToken, SessionId, limits};

use super::{Event, Link, Round, Supervisor, event::Reply, leases::LEASE_MIN_MS};
use crate::{
    attempt::Told,
    convert,
    session::Dialled,
    spool::{Meta, StopCause},
};

/// What a Hello may take: the inventory is cut (tombstones last) before it.
const INVENTORY_BYTES: usize = limits::MESSAGE_BYTES / 2;
/// A generous size of one line of it, the step's name aside.
const ITEM_BYTES: usize = 100;

impl Supervisor {
    pub(super) fn hear(&mut self, event: Event, round: &mut Round) {
        match event {
            Event::Nothing => {}
            Event::Kept(reply) => drop(reply.send(self.kept())),
            Event::Dial { floor, reply } => {
                self.link = None;
                // The next session says what runs by itself.
                self.unannounced.clear();
                let dial = self.desk.dial(floor);
                round.dial = Some(dial);
                round.replies.push(Reply::Dialled(
                    reply,
                    Dialled {
                        dial,
                        inventory: self.inventory(),
                        crashed: self.crashed && self.sessions == 0,
                    },
                ));
            }
            Event::Opened {
                session,
                sent,
                heartbeat_ms,
                up,
                release,
            } => {
                self.sessions += 1;
                self.leases.set_heartbeat(heartbeat_ms);
                self.leases.answered(sent);
                self.link = Some(Link {
                    session: session.clone(),
                    up,
                    offers: 0,
                    granted: 0,
                    _release: release,
                });
                self.tell(Input::Opened(session), round);
            }
            Event::Closed => {
                self.link = None;
                self.tell(Input::Closed, round);
            }
            Event::Offer {
                token,
                session,
                key,
                workflow,
                work_json,
            } => {
                let meta = Meta {
                    key,
                    workflow,
                    work_json,
                    base: self.leases.base(Boot::now()),
                };
                self.offer(token, session, meta, round);
            }
            Event::Ack(token) => self.tell(Input::Ack { token }, round),
            // Without its record its logs would be swept at the next start; the server says it again in the next session.
            Event::Forget(token) if self.logging.contains(&token) => {}
            Event::Forget(token) => {
                self.unrecorded.forget(&token);
                self.tell(Input::Forget { token }, round);
            }
            Event::Stop { token, key, reason } => self.stop(token, key, &reason, round),
            Event::Beat { reply } => round.replies.push(Reply::Live(reply)),
            Event::Renewed { tokens, sent, stop } => {
                self.leases.renew(&tokens, sent, &self.context.boot);
                for token in stop.into_iter().filter(|token| tokens.contains(token)) {
                    self.asked_to_stop(token, "its lease is not renewed", round);
                }
            }
            Event::Attempt(token, told) => self.told(token, told, round),
            Event::Slow(token) => self.slow(&token),
            Event::Announce(token) => self.announce(&token),
            Event::LogsDone(token) => {
                self.logging.remove(&token);
                if self.removable.remove(&token) {
                    self.remove(token);
                }
            }
        }
    }

    /// Attempts that are not over, or whose logs are on their way.
    fn kept(&self) -> BTreeSet<LeaseToken> {
        let leases = self.desk.leases().iter();
        let live = leases.filter(|(_, lease)| lease.phase != Phase::Tombstone);
        let live = live.map(|(token, _)| token.clone());
        live.chain(self.logging.iter().cloned()).collect()
    }

    /// All that is live or unacknowledged, then tombstones as far as the message goes: the server can do without the
    /// last ones, which are forgotten in a later session.
    fn inventory(&self) -> Vec<proto::v1::InventoryItem> {
        let mut items: Vec<_> = self
            .desk
            .inventory()
            .filter_map(|(token, held)| {
                Some((held == protocol::Held::Done, token, self.metas.get(token)?, held))
            })
            .collect();
        items.sort_by_key(|(is_tomb, ..)| *is_tomb);
        let unrecorded = self.unrecorded.tokens();
        let mut bytes = ITEM_BYTES * unrecorded.len();
        let unrecorded = unrecorded.iter().map(convert::unknown_item);
        let known = items
            .into_iter()
            .take_while(|(is_tomb, _, meta, _)| {
                bytes += ITEM_BYTES + meta.key.step.len();
                !is_tomb || bytes < INVENTORY_BYTES
            })
            .map(|(_, token, meta, held)| convert::item(token, meta, held));
        unrecorded.chain(known).collect()
    }

    fn offer(&mut self, token: LeaseToken, session: SessionId, meta: Meta, round: &mut Round) {
        if let Some(link) = self.link.as_mut().filter(|link| link.session == session) {
            link.offers += 1;
        }
        let is_new = !self.desk.leases().contains_key(&token);
        let admit = if self.leaving {
            Err(Decline::Draining)
        } else if self.short {
            Err(Decline::NoSlot)
        } else {
            Ok(())
        };
        self.tell(
            Input::Offer {
                token: token.clone(),
                session,
                admit,
            },
            round,
        );
        if !is_new || !self.desk.leases().contains_key(&token) {
            return;
        }
        // A work that cannot be read is a result of its own, reported at the start.
        let goes = meta
            .work()
            .map_or(limits::DISCONNECT_RERUN_MS, |work| work.disconnect_ms);
        let base = meta.base;
        self.metas.insert(token.clone(), meta.clone());
        round.met.push((token.clone(), meta));
        if !self.is_live(&token) {
            return;
        }
        self.leases.insert(token.clone(), base, goes);
        if Boot::now() >= base.plus(goes.max(LEASE_MIN_MS)) {
            self.tell(Input::LeaseEnded { token }, round);
        } else {
            // Images and secrets of the host are here already: the intent goes to disk with the lease.
            self.tell(Input::Ready { token }, round);
        }
    }

    fn stop(&mut self, token: LeaseToken, key: AttemptKey, reason: &str, round: &mut Round) {
        if !self.desk.leases().contains_key(&token) && self.link.is_some() {
            let meta = Meta {
                key,
                workflow: String::new(),
                work_json: String::new(),
                base: Boot::now(),
            };
            self.metas.insert(token.clone(), meta.clone());
            round.met.push((token.clone(), meta));
        }
        self.asked_to_stop(token, reason, round);
    }

    fn asked_to_stop(&mut self, token: LeaseToken, reason: &str, round: &mut Round) {
        if self.is_live(&token) {
            tracing::info!(attempt = %self.shown(&token), reason, "asked to stop it");
            let cause = self.causes.entry(token.clone()).or_insert(StopCause::Asked);
            if *cause == StopCause::LeaseOver
                && let Some(reins) = self.reins.get(&token)
            {
                reins.asked();
            }
        }
        self.tell(Input::Stop { token }, round);
    }

    fn told(&mut self, token: LeaseToken, told: Told, round: &mut Round) {
        match told {
            Told::Started => {
                failpoint::reach("start.post");
                self.tell(Input::Started { token }, round);
            }
            Told::Ended(report) => self.tell(
                Input::Ended {
                    token,
                    result: *report,
                },
                round,
            ),
            Told::Vanished => {
                tracing::error!(attempt = %self.shown(&token), "it is lost: it may have run, and nobody knows how it ended");
                self.tell(
                    Input::Recovered {
                        token,
                        seen: Seen::Unknown,
                    },
                    round,
                );
            }
        }
    }

    fn slow(&mut self, token: &LeaseToken) {
        let starting = self
            .desk
            .leases()
            .get(token)
            .is_some_and(|lease| lease.phase == Phase::Starting);
        if starting {
            self.send(token, &protocol::agent::Message::Accepted, clock::wall());
        }
    }

    pub(super) fn is_live(&self, token: &LeaseToken) -> bool {
        self.desk
            .leases()
            .get(token)
            .is_some_and(|lease| matches!(lease.phase, Phase::Accepted | Phase::Starting | Phase::Running))
    }
}
