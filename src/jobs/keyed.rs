//! Submissions under an `Idempotency-Key`, one at a time for each key.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

use crate::domain::Owner;

/// By owner and key; gone when nobody has it or waits for it.
type Turns = HashMap<(Owner, String), Weak<Turn<()>>>;

/// Whose turn it is, for each owner's key. Keys do not wait for one another: a slow commit delays its own only.
#[derive(Debug, Default)]
pub(super) struct Keyed {
    turns: Mutex<Turns>,
}

impl Keyed {
    /// Waits until nobody else submits under this owner's key, and keeps others from it while the guard is held.
    pub(super) async fn lock(&self, owner: &Owner, key: &str) -> OwnedMutexGuard<()> {
        self.turn(owner, key).lock_owned().await
    }

    fn turn(&self, owner: &Owner, key: &str) -> Arc<Turn<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| turn.strong_count() > 0);
        let entry = turns.entry((owner.clone(), key.to_owned())).or_default();
        entry.upgrade().unwrap_or_else(|| {
            let turn = Arc::new(Turn::new(()));
            *entry = Arc::downgrade(&turn);
            turn
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn equal_keys_wait_for_one_another_and_leave_nothing_behind() {
        let keyed = Keyed::default();
        let (alice, bob) = (Owner::session("alice"), Owner::session("bob"));
        let held = keyed.lock(&alice, "a").await;
        let _others = (keyed.lock(&alice, "b").await, keyed.lock(&bob, "a").await);
        let turn = keyed.turn(&alice, "a");
        assert!(turn.clone().try_lock_owned().is_err(), "somebody has it");
        drop(held);
        assert!(turn.clone().try_lock_owned().is_ok());
        drop((turn, _others));
        drop(keyed.lock(&bob, "c").await);
        let left = keyed.turns.lock().expect("nobody panicked").len();
        assert_eq!(left, 1, "only the last");
    }
}
