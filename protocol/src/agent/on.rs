//! What the desk makes of an input. Every arm is a row of `docs/protocol.md`.

use super::{Action, Desk, Ending, Ignored, Input, Lease, Message, Phase, Seen};
use crate::Decline;

type Answer<T, S, R> = Result<Vec<Action<T, S, R>>, Ignored>;

impl<T: Clone + Ord, S: Clone + Eq, R: Clone> Desk<T, S, R> {
    /// Takes an input; the answer is to be carried out in its order before the next input for the same lease.
    ///
    /// # Errors
    /// [`Ignored`] when it changes nothing and asks for nothing.
    pub fn on(&mut self, input: Input<T, S, R>) -> Answer<T, S, R> {
        match input {
            Input::Opened(session) => Ok(self.opened(session)),
            Input::Closed => {
                self.session = None;
                Ok(Vec::new())
            }
            Input::Offer {
                token,
                session,
                admit,
            } => self.offer(token, session, admit),
            Input::Ready { token } => self.ready(token),
            Input::Started { token } => self.started(token),
            Input::Ended { token, result } => self.ended(token, result),
            Input::Recovered { token, seen } => self.recovered(token, seen),
            Input::Stop { token } if !self.leases.contains_key(&token) => self.stop_unheard(token),
            Input::Stop { token } | Input::LeaseEnded { token } => self.stop(token),
            Input::Ack { token } => self.ack(token),
            Input::Forget { token } => self.forget(token),
        }
    }

    /// Says all again that is not certain to have arrived.
    fn opened(&mut self, session: S) -> Vec<Action<T, S, R>> {
        self.session = Some(session);
        self.leases
            .iter()
            .filter_map(|(token, lease)| say(token, lease))
            .collect()
    }

    fn offer(&mut self, token: T, session: S, admit: Result<(), Decline>) -> Answer<T, S, R> {
        if self.session.as_ref() != Some(&session) {
            return Err(Ignored::StaleSession);
        }
        if let Some(lease) = self.leases.get(&token) {
            return say(&token, lease).map(|action| vec![action]).ok_or(Ignored::Over);
        }
        let admit = admit.and(if self.free_slots() > 0 {
            Ok(())
        } else {
            Err(Decline::NoSlot)
        });
        let phase = match admit {
            Ok(()) => Phase::Accepted,
            Err(why) => Phase::Finished {
                ending: Ending::Declined { why },
            },
        };
        Ok(self.enter(
            token,
            Lease {
                session,
                phase,
                stopping: false,
            },
        ))
    }

    /// A stop that overtook its offer: a record of it refuses the offer.
    fn stop_unheard(&mut self, token: T) -> Answer<T, S, R> {
        let Some(session) = self.session.clone() else {
            return Err(Ignored::StaleSession);
        };
        let ending = Ending::Declined {
            why: Decline::Unheard,
        };
        Ok(self.enter(
            token,
            Lease {
                session,
                phase: Phase::Finished { ending },
                stopping: true,
            },
        ))
    }

    fn ready(&mut self, token: T) -> Answer<T, S, R> {
        match self.phase(&token)? {
            Phase::Accepted => {
                let mut actions = self.go(&token, Phase::Starting);
                actions.push(Action::Start { token });
                Ok(actions)
            }
            _ => Err(Ignored::NotNow),
        }
    }

    fn started(&mut self, token: T) -> Answer<T, S, R> {
        match self.phase(&token)? {
            Phase::Starting => Ok(self.running(token)),
            _ => Err(Ignored::NotNow),
        }
    }

    fn ended(&mut self, token: T, result: R) -> Answer<T, S, R> {
        match self.phase(&token)? {
            Phase::Accepted | Phase::Starting | Phase::Running => {
                Ok(self.finish(&token, Ending::Finished { result }))
            }
            Phase::Finished { .. } | Phase::Tombstone => Err(Ignored::NotNow),
        }
    }

    fn recovered(&mut self, token: T, seen: Seen<R>) -> Answer<T, S, R> {
        match (self.phase(&token)?, seen) {
            (Phase::Finished { .. } | Phase::Tombstone, _) => Err(Ignored::NotNow),
            (Phase::Accepted | Phase::Starting, Seen::Running) => Ok(self.running(token)),
            (Phase::Running, Seen::Running) if self.is_stopping(&token) => Ok(vec![Action::Stop { token }]),
            (Phase::Running, Seen::Running) => Err(Ignored::NotNow),
            (_, Seen::Exited(result)) => Ok(self.finish(&token, Ending::Finished { result })),
            // The intent comes before the start, so without it there was none.
            (Phase::Accepted, Seen::NeverStarted | Seen::Unknown) => Err(Ignored::NotNow),
            (Phase::Starting, Seen::NeverStarted) if self.is_stopping(&token) => {
                Ok(self.finish(&token, Ending::Released))
            }
            (Phase::Starting, Seen::NeverStarted) => Ok(vec![Action::Start { token }]),
            (Phase::Starting, Seen::Unknown) | (Phase::Running, Seen::NeverStarted | Seen::Unknown) => {
                Ok(self.finish(&token, Ending::Lost))
            }
        }
    }

    fn stop(&mut self, token: T) -> Answer<T, S, R> {
        let lease = self.leases.get_mut(&token).ok_or(Ignored::Unknown)?;
        match lease.phase {
            Phase::Accepted => Ok(self.finish(&token, Ending::Released)),
            Phase::Starting | Phase::Running if lease.stopping => Ok(vec![Action::Stop { token }]),
            Phase::Starting | Phase::Running => {
                lease.stopping = true;
                let persist = Action::Persist {
                    token: token.clone(),
                    lease: lease.clone(),
                };
                Ok(vec![persist, Action::Stop { token }])
            }
            Phase::Finished { .. } => Ok(say(&token, lease).into_iter().collect()),
            Phase::Tombstone => Err(Ignored::Over),
        }
    }

    fn ack(&mut self, token: T) -> Answer<T, S, R> {
        match self.phase(&token)? {
            Phase::Finished { .. } => {
                // What is left goes first: a crash between finds the report still spooled and comes here again.
                let mut actions = vec![Action::Remove { token: token.clone() }];
                actions.extend(self.go(&token, Phase::Tombstone));
                Ok(actions)
            }
            Phase::Tombstone => Err(Ignored::Over),
            _ => Err(Ignored::NotNow),
        }
    }

    fn forget(&mut self, token: T) -> Answer<T, S, R> {
        let lease = self.leases.get(&token).ok_or(Ignored::Unknown)?;
        // A copy of the offer may still be on its way in the session that it is bound to.
        let is_safe = self.session.as_ref() != Some(&lease.session);
        if !matches!(lease.phase, Phase::Tombstone) || !is_safe {
            return Err(Ignored::NotNow);
        }
        self.leases.remove(&token);
        Ok(vec![Action::Erase { token }])
    }

    fn phase(&self, token: &T) -> Result<&Phase<R>, Ignored> {
        self.leases
            .get(token)
            .map(|lease| &lease.phase)
            .ok_or(Ignored::Unknown)
    }

    fn is_stopping(&self, token: &T) -> bool {
        self.leases.get(token).is_some_and(|lease| lease.stopping)
    }

    fn running(&mut self, token: T) -> Vec<Action<T, S, R>> {
        let mut actions = self.go(&token, Phase::Running);
        if self.is_stopping(&token) {
            actions.push(Action::Stop { token });
        }
        actions
    }

    fn finish(&mut self, token: &T, ending: Ending<R>) -> Vec<Action<T, S, R>> {
        self.go(token, Phase::Finished { ending })
    }

    fn go(&mut self, token: &T, phase: Phase<R>) -> Vec<Action<T, S, R>> {
        match self.leases.get(token).cloned() {
            Some(lease) => self.enter(token.clone(), Lease { phase, ..lease }),
            None => Vec::new(),
        }
    }

    /// On disk first, then told.
    fn enter(&mut self, token: T, lease: Lease<S, R>) -> Vec<Action<T, S, R>> {
        let told = match lease.phase {
            Phase::Starting => None,
            _ => say(&token, &lease),
        };
        self.live += usize::from(lease.is_live());
        let before = self.leases.insert(token.clone(), lease.clone());
        self.live -= usize::from(before.is_some_and(|lease| lease.is_live()));
        std::iter::once(Action::Persist { token, lease })
            .chain(told)
            .collect()
    }
}

/// What an agent says of a lease; nothing of a tombstone, for the server has said that it knows.
fn say<T: Clone, S, R: Clone>(token: &T, lease: &Lease<S, R>) -> Option<Action<T, S, R>> {
    let report = match &lease.phase {
        Phase::Accepted | Phase::Starting => Message::Accepted,
        Phase::Running => Message::Started,
        Phase::Finished { ending } => Message::Ended(ending.clone()),
        Phase::Tombstone => return None,
    };
    Some(Action::Send {
        token: token.clone(),
        report,
    })
}
