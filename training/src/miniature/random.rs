//! Choices that drawing and phrasing need of the crate's generator.

use crate::random::Random;

impl Random {
    /// True with the given probability.
    pub fn chance(&mut self, probability: f32) -> bool {
        self.unit() < f64::from(probability)
    }

    /// One of `items`, each equally likely.
    ///
    /// # Panics
    /// If there is none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}
