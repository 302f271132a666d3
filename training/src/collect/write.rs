//! The dataset.

use std::{
    fs,
    time::{SystemTime, UNIX_EPOCH},
};

use plaudit::feedback::dataset::{Card, Rating, Row, Writer};

use super::{Cast, CollectError, Collection, Drawn, Voters};
use crate::miniature::rate::Vote;

/// The dataset, below the collection's directory, and where one that is replaced goes.
const DATASET: &str = "dataset";
const REPLACED: &str = "dataset.replaced";

/// Writes a row for each vote. A dataset of an earlier run is moved aside once the new one is whole.
pub(super) fn dataset(collection: &Collection, drawn: &[Drawn], votes: &[Cast]) -> Result<(), CollectError> {
    let place = collection.out.join(DATASET);
    let aside = collection.out.join("dataset.new");
    let mut writer = Writer::create(&aside, collection.format, card(collection))?;
    let created = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64);
    for (sequence, cast) in votes.iter().enumerate() {
        let drawn = &drawn[cast.image];
        let path = collection.out.join(&drawn.file_name);
        let picture = fs::read(&path).map_err(CollectError::io("read", &path))?;
        writer.push(row(cast, drawn, sequence as i64 + 1, created), &picture)?;
    }
    writer.finish(1, votes.len() as i64)?;
    if place.exists() {
        let replaced = collection.out.join(REPLACED);
        if replaced.exists() {
            fs::remove_dir_all(&replaced).map_err(CollectError::io("remove", &replaced))?;
        }
        fs::rename(&place, &replaced).map_err(CollectError::io("move aside", &place))?;
    }
    fs::rename(&aside, &place).map_err(CollectError::io("move", &place))?;
    tracing::info!("collect: {}: {}", place.display(), summary(drawn, votes));
    Ok(())
}

fn row(cast: &Cast, drawn: &Drawn, sequence: i64, created: i64) -> Row {
    let skipped = cast.vote == Vote::Skip;
    let rating = if cast.vote == Vote::Up { Rating::Up } else { Rating::Down };
    Row {
        image_id: drawn.image_id.clone(),
        rater: cast.rater.clone(),
        rating: (!skipped).then_some(rating),
        skipped: skipped.then_some(true),
        prompt: drawn.ask.prompt.clone(),
        model_version: drawn.model_version.clone(),
        seed: drawn.seed,
        created,
        sequence,
        split: cast.split.map(|part| part.word().to_owned()),
        category: drawn.ask.scene().map(|scene| scene.category().word().to_owned()),
        truth: cast.truth,
        ..Row::default()
    }
}

fn summary(drawn: &[Drawn], votes: &[Cast]) -> String {
    let count = |vote| votes.iter().filter(|cast| cast.vote == vote).count();
    let (up, down, skipped) = (count(Vote::Up), count(Vote::Down), count(Vote::Skip));
    format!("{} pictures, {} votes: {up} up, {down} down, {skipped} skipped", drawn.len(), votes.len())
}

fn card(collection: &Collection) -> Card {
    let voters = match &collection.voters {
        Voters::Simulated { raters, votes, settings } => format!(
            "{raters} simulated raters gave {votes} votes a picture; {:.0} % of their answers are turned round, {:.0} % skipped. \
             `truth` is what a rater without error says. No prompt and no rater is in two parts (`split`), but that `test` and \
             `held_out` share raters.",
            100.0 * settings.error_rate,
            100.0 * settings.skip_rate
        ),
        Voters::People(_) | Voters::Nobody => "People gave thumbs up or down.".to_owned(),
    };
    let collected =
        format!("Pictures were drawn by `plaudit-train collect`, {} of each prompt. {voters}", collection.images);
    Card { collected, ..Card::default() }
}
