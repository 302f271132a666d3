//! Who votes on what: stable raters, and a crew for each part of the dataset.

use super::{CollectError, Part};
use crate::random::Random;

/// The simulated raters.
#[derive(Debug)]
pub(super) struct Panel {
    /// Raters of each part; [`Part::HeldOut`] has those of [`Part::Test`].
    crews: Vec<(Part, Vec<usize>)>,
    votes: usize,
    seed: u64,
}

impl Panel {
    /// Deals raters to the parts by their shares, so that none sees pictures of two parts.
    pub(super) fn new(raters: usize, votes: usize, seed: u64) -> Result<Self, CollectError> {
        let mut crews: Vec<(Part, Vec<usize>)> =
            Part::ALL.iter().filter(|part| part.crew() == **part).map(|part| (*part, Vec::new())).collect();
        for rater in 0..raters {
            // The middle of the rater's own stretch: small parts come last and are not cut off.
            let part = Part::at((rater as f64 + 0.5) / raters as f64);
            crews.iter_mut().filter(|crew| crew.0 == part).for_each(|crew| crew.1.push(rater));
        }
        fill(&mut crews, votes).ok_or(CollectError::Raters { raters, votes })?;
        Ok(Self { crews, votes, seed })
    }

    /// The raters of a picture, all different.
    pub(super) fn raters(&self, part: Part, image: &str) -> Vec<usize> {
        let crew = self.crews.iter().find(|crew| crew.0 == part.crew());
        let mut chosen = crew.map(|crew| crew.1.clone()).unwrap_or_default();
        Random::stream(self.seed, &format!("raters of {image}")).shuffle(&mut chosen);
        chosen.truncate(self.votes);
        chosen
    }
}

/// A crew's name for a rater.
pub(super) fn name(rater: usize) -> String {
    format!("simulated-{rater:03}")
}

/// Moves raters from the largest crew to those of fewer than `votes`.
fn fill(crews: &mut [(Part, Vec<usize>)], votes: usize) -> Option<()> {
    while let Some(poor) = crews.iter().position(|crew| crew.1.len() < votes) {
        let rich = (0..crews.len()).max_by_key(|&crew| crews[crew].1.len())?;
        if crews[rich].1.len() <= votes {
            return None;
        }
        let rater = crews[rich].1.pop()?;
        crews[poor].1.push(rater);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_rater_sees_two_parts_and_every_picture_has_different_raters() {
        for raters in [8, 9, 20, 50] {
            let panel = Panel::new(raters, 2, 0).expect("enough raters");
            let mut homes = vec![HashSet::new(); raters];
            for part in Part::ALL {
                for image in 0..100 {
                    let chosen = panel.raters(part, &image.to_string());
                    assert!(chosen.len() == 2 && chosen[0] != chosen[1], "{chosen:?}");
                    for &rater in &chosen {
                        homes[rater].insert(part.crew());
                    }
                }
            }
            assert!(homes.iter().all(|home| home.len() <= 1), "{homes:?}");
        }
    }

    #[test]
    fn too_few_raters_are_refused() {
        assert!(matches!(Panel::new(7, 2, 0), Err(CollectError::Raters { .. })));
    }
}
