//! People's votes from a CSV file.

use std::{
    collections::{HashMap, hash_map::Entry},
    path::Path,
};

use plaudit::feedback::dataset::{CsvVote, DatasetLimits, Rating, csv_votes};

use super::{Cast, CollectError, Drawn, Part};
use crate::miniature::rate::Vote;

/// Joins the file's votes with the pictures. Of several votes of one rater on one picture the last counts.
pub(super) fn votes(path: &Path, drawn: &[Drawn]) -> Result<Vec<Cast>, CollectError> {
    let named = |(at, drawn): (usize, &Drawn)| [(drawn.image_id.clone(), at), (base(&drawn.file_name).to_owned(), at)];
    let images: HashMap<String, usize> = drawn.iter().enumerate().flat_map(named).collect();
    let mut cast: Vec<Cast> = Vec::new();
    let mut places = HashMap::new();
    for vote in csv_votes(path, &DatasetLimits::default())? {
        let CsvVote { image_id, rater, rating, place, .. } = vote?;
        let unknown = || CollectError::Unknown { place: place.to_string(), image: image_id.clone() };
        let image = *images.get(base(&image_id)).ok_or_else(unknown)?;
        let split = drawn[image].ask.part.filter(|&part| part == Part::HeldOut);
        let vote = if rating == Rating::Up { Vote::Up } else { Vote::Down };
        let one = Cast { image, rater: rater.clone(), vote, truth: None, split };
        match places.entry((image, rater)) {
            Entry::Occupied(place) => cast[*place.get()] = one,
            Entry::Vacant(place) => {
                place.insert(cast.len());
                cast.push(one);
            }
        }
    }
    Ok(cast)
}

/// A file's name without its folders.
fn base(name: &str) -> &str {
    name.rsplit(['/', '\\']).next().unwrap_or(name)
}
