//! Votes of simulated raters, and the truth they err about.

use rayon::prelude::*;

use super::{Cast, CollectError, Collection, Drawn, Part, panel, panel::Panel};
use crate::{
    miniature::{
        grammar::Scene,
        rate::{Rater, RaterSettings, judge, observe},
    },
    random::Random,
};

/// Votes on every picture, by its part's crew. A vote is a function of seed, rater and picture alone.
pub(super) fn votes(
    collection: &Collection,
    panel: &Panel,
    settings: RaterSettings,
    drawn: &[Drawn],
) -> Result<Vec<Cast>, CollectError> {
    let of = |(image, drawn): (usize, &Drawn)| on_picture(collection, panel, settings, image, drawn);
    let all: Vec<Vec<Cast>> = drawn.par_iter().enumerate().map(of).collect::<Result<_, _>>()?;
    Ok(all.into_iter().flatten().collect())
}

fn on_picture(
    collection: &Collection,
    panel: &Panel,
    settings: RaterSettings,
    image: usize,
    drawn: &Drawn,
) -> Result<Vec<Cast>, CollectError> {
    let prompt = &drawn.ask.prompt;
    let scene: Scene = prompt
        .parse()
        .map_err(|error| CollectError::Unratable { prompt: prompt.clone(), reason: format!("{error}") })?;
    let path = collection.out.join(&drawn.file_name);
    let picture = image::open(&path).map_err(|source| CollectError::Picture { path, source })?.to_rgb8();
    let seen = observe(&picture);
    let truth = Some(judge(&seen, &scene).is_good());
    let split = drawn.ask.part.or_else(|| scene.object.is_held_out().then_some(Part::HeldOut));
    let raters = panel.raters(split.unwrap_or(Part::Train), &drawn.image_id);
    let cast = |number: usize| {
        let rater = panel::name(number);
        let seed = Random::stream(collection.seed, &format!("{rater} on {}", drawn.image_id)).bits();
        let vote = Rater::new(settings, seed).vote_on(&seen, &scene);
        Cast { image, rater, vote, truth, split }
    };
    Ok(raters.into_iter().map(cast).collect())
}
