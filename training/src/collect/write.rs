//! The dataset's files.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::Path,
};

use serde_json::{Map, Value, json};

use super::{CollectError, Collection, Drawn, simulate::Cast};
use crate::miniature::rate::Vote;

/// Rows, below the dataset's directory.
const ROWS: &str = "data/votes.jsonl";

/// Writes a row for each vote and the card, each aside and renamed.
pub(super) fn dataset(collection: &Collection, drawn: &[Drawn], votes: &[Cast]) -> Result<(), CollectError> {
    let path = collection.out.join(ROWS);
    let rows = votes.iter().enumerate().map(|(sequence, cast)| row(sequence, cast, &drawn[cast.image]));
    replace(&path, |file| rows.map(|row| writeln!(file, "{row}")).collect())?;
    replace(&collection.out.join("README.md"), |file| file.write_all(card(drawn, votes).as_bytes()))?;
    tracing::info!("collect: {}", summary(drawn, votes));
    Ok(())
}

fn row(sequence: usize, cast: &Cast, drawn: &Drawn) -> Value {
    let mut row = Map::new();
    let mut set = |key: &str, value: Value| drop(row.insert(key.to_owned(), value));
    set("image_id", json!(drawn.image_id));
    set("rater", json!(cast.rater));
    set("rating", json!(if cast.vote == Vote::Up { "up" } else { "down" }));
    set("prompt", json!(drawn.ask.prompt));
    set("model_version", json!(drawn.model_version));
    set("reward_version", Value::Null);
    set("seed", json!(drawn.seed));
    set("sequence", json!(sequence));
    set("file_name", json!(drawn.file_name));
    if cast.vote == Vote::Skip {
        set("skipped", json!(true));
    }
    if let Some(part) = cast.split {
        set("split", json!(part.word()));
    }
    if let Some(scene) = drawn.ask.scene() {
        set("category", json!(scene.category().word()));
    }
    if let Some(truth) = cast.truth {
        set("truth", json!(truth));
    }
    Value::Object(row)
}

fn summary(drawn: &[Drawn], votes: &[Cast]) -> String {
    let count = |vote| votes.iter().filter(|cast| cast.vote == vote).count();
    let (up, down, skipped) = (count(Vote::Up), count(Vote::Down), count(Vote::Skip));
    format!("{} pictures, {} votes: {up} up, {down} down, {skipped} skipped", drawn.len(), votes.len())
}

fn card(drawn: &[Drawn], votes: &[Cast]) -> String {
    format!(
        "---\nlicense: mit\npretty_name: Votes on generated pictures\nconfigs:\n- config_name: default\n  data_files: data/*.jsonl\n---\n\n\
         # Votes on generated pictures\n\nMade by `plaudit-train collect`: {}.\n\n\
         A row of `data/` is one vote; `file_name` is the picture, `truth` what a rater without error would say (simulated raters only),\n\
         `split` the part: no prompt and no rater is in two, but `test` and `held_out` share raters. A row with `skipped` is no vote.\n",
        summary(drawn, votes)
    )
}

fn replace(path: &Path, fill: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>) -> Result<(), CollectError> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".new");
    let make = || {
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        let mut file = BufWriter::new(File::create(&aside)?);
        fill(&mut file)?;
        file.flush()?;
        file.get_ref().sync_all()?;
        fs::rename(&aside, path)
    };
    make().map_err(CollectError::io("write", path))
}
