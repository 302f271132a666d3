//! Which of n things a place in an endless order is: every epoch has each once, in an order of its own.

use crate::random::Random;

/// An endless shuffled order.
#[derive(Debug, Clone)]
pub(super) struct Deck {
    cards: Vec<usize>,
    name: &'static str,
    seed: u64,
    epoch: Option<u64>,
    order: Vec<usize>,
}

impl Deck {
    /// Of `cards`, which are not empty; decks of other names have other orders.
    pub(super) fn new(cards: Vec<usize>, name: &'static str, seed: u64) -> Self {
        Self { cards, name, seed, epoch: None, order: Vec::new() }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.cards.len()
    }

    /// The card at a place, which depends on the seed alone and not on what was asked before.
    pub(super) fn at(&mut self, place: u64) -> usize {
        let (epoch, within) = (place / self.cards.len() as u64, place % self.cards.len() as u64);
        if self.epoch != Some(epoch) {
            self.order.clone_from(&self.cards);
            Random::stream(self.seed, &format!("{} epoch {epoch}", self.name)).shuffle(&mut self.order);
            self.epoch = Some(epoch);
        }
        self.order[within as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_epoch_deals_each_card_once_wherever_one_begins() {
        let mut deck = Deck::new(vec![3, 5, 8, 13, 21], "test", 1);
        let dealt: Vec<usize> = (0..15).map(|place| deck.at(place)).collect();
        for epoch in dealt.chunks(5) {
            let mut sorted = epoch.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, [3, 5, 8, 13, 21]);
        }
        assert_ne!(dealt[..5], dealt[5..10]);
        let mut other = Deck::new(vec![3, 5, 8, 13, 21], "test", 1);
        assert_eq!((7..15).map(|place| other.at(place)).collect::<Vec<_>>(), dealt[7..]);
    }
}
