//! Votes, pictures and prompts of a dataset.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::RewardError;
use crate::{collect::Part, miniature::grammar::Scene};

/// What training needs of a row.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Row {
    pub(super) image_id: String,
    pub(super) rater: String,
    pub(super) rating: String,
    pub(super) prompt: String,
    pub(super) file_name: String,
    #[serde(default)]
    pub(super) split: Option<String>,
    #[serde(default)]
    pub(super) category: Option<String>,
    #[serde(default)]
    pub(super) truth: Option<bool>,
    #[serde(default)]
    pub(super) skipped: Option<bool>,
}

/// A prompt's text and what else is known of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Prompt {
    pub(super) text: String,
    pub(super) category: Option<String>,
    /// Prompts of one meaning share it; it is what figures are grouped by and parts are dealt by.
    pub(super) meaning: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Image {
    pub(super) id: String,
    pub(super) path: PathBuf,
    pub(super) prompt: usize,
    /// Which of its prompt's pictures, from 0 in the order of their ids.
    pub(super) rank: usize,
    pub(super) truth: Option<bool>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Vote {
    pub(super) image: usize,
    pub(super) rater: String,
    pub(super) good: bool,
    pub(super) part: Option<Part>,
}

/// A dataset by number.
#[derive(Debug, Clone, Default)]
pub(super) struct Data {
    pub(super) prompts: Vec<Prompt>,
    pub(super) meanings: Vec<String>,
    pub(super) images: Vec<Image>,
    pub(super) votes: Vec<Vote>,
}

impl Data {
    /// Reads every row of `folder/data/*.jsonl`. Skipped rows are no votes, but their pictures count.
    pub(super) fn read(folder: &Path) -> Result<Self, RewardError> {
        let mut builder = Builder::default();
        for path in files(&folder.join("data"))? {
            let text = fs::read_to_string(&path).map_err(RewardError::io("read", &path))?;
            for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
                let fault = |fault: String| RewardError::Row { path: path.clone(), line: at + 1, fault };
                let row: Row = serde_json::from_str(line).map_err(|error| fault(error.to_string()))?;
                builder.add(folder, row).map_err(fault)?;
            }
        }
        let mut data = builder.data;
        if data.votes.is_empty() {
            return Err(RewardError::NoVotes { path: folder.to_owned() });
        }
        data.rank();
        Ok(data)
    }

    pub(super) fn prompt_of(&self, image: usize) -> &Prompt {
        &self.prompts[self.images[image].prompt]
    }

    /// The meaning's number of a picture's prompt.
    pub(super) fn meaning_of(&self, image: usize) -> usize {
        self.prompt_of(image).meaning
    }

    fn rank(&mut self) {
        let mut order: Vec<usize> = (0..self.images.len()).collect();
        order.sort_by(|&one, &other| self.images[one].id.cmp(&self.images[other].id));
        let mut counts = vec![0; self.prompts.len()];
        for image in order {
            let count = &mut counts[self.images[image].prompt];
            self.images[image].rank = *count;
            *count += 1;
        }
    }
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, RewardError> {
    let entries = fs::read_dir(folder).map_err(RewardError::io("list", folder))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(RewardError::io("list", folder))?.path();
        paths.extend(path.extension().is_some_and(|extension| extension == "jsonl").then_some(path));
    }
    paths.sort();
    Ok(paths)
}

/// Gives numbers to names.
#[derive(Default)]
struct Builder {
    data: Data,
    prompts: HashMap<String, usize>,
    meanings: HashMap<String, usize>,
    images: HashMap<String, usize>,
}

impl Builder {
    fn add(&mut self, folder: &Path, row: Row) -> Result<(), String> {
        let part = match row.split.as_deref() {
            None | Some("") => None,
            Some(word) => Some(Part::from_word(word).ok_or_else(|| format!("`{word}` is no part"))?),
        };
        let good = match row.rating.as_str() {
            "up" => true,
            "down" => false,
            other => return Err(format!("`{other}` is no rating; up or down is")),
        };
        let image = self.image(folder, &row);
        if row.skipped != Some(true) {
            self.data.votes.push(Vote { image, rater: row.rater, good, part });
        }
        Ok(())
    }

    fn image(&mut self, folder: &Path, row: &Row) -> usize {
        if let Some(&number) = self.images.get(&row.image_id) {
            return number;
        }
        let prompt = self.prompt(&row.prompt, row.category.clone());
        let path = folder.join(&row.file_name);
        let number = self.data.images.len();
        self.data.images.push(Image { id: row.image_id.clone(), path, prompt, rank: 0, truth: row.truth });
        self.images.insert(row.image_id.clone(), number);
        number
    }

    fn prompt(&mut self, text: &str, category: Option<String>) -> usize {
        if let Some(&number) = self.prompts.get(text) {
            return number;
        }
        let meaning = meaning(text);
        let next = self.meanings.len();
        let number = *self.meanings.entry(meaning.clone()).or_insert(next);
        if number == next {
            self.data.meanings.push(meaning);
        }
        self.data.prompts.push(Prompt { text: text.to_owned(), category, meaning: number });
        self.prompts.insert(text.to_owned(), self.data.prompts.len() - 1);
        self.data.prompts.len() - 1
    }
}

/// What equal prompts have in common: the grammar's own words where it knows the text, else the words without case and ends.
fn meaning(text: &str) -> String {
    let words = || text.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>().join(" ");
    text.parse::<Scene>().map_or_else(|_| words().trim_end_matches(['.', '!']).to_owned(), |scene| scene.prompt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paraphrases_share_a_meaning_and_rows_share_pictures() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("data")).expect("a folder");
        let row = |image: &str, rater: &str, rating: &str, prompt: &str, rest: &str| {
            format!(r#"{{"image_id":"{image}","rater":"{rater}","rating":"{rating}","prompt":"{prompt}","file_name":"images/{image}.png"{rest}}}"#)
        };
        let rows = [
            row("b", "ann", "up", "a star at the beach", r#","split":"train","truth":true"#),
            row("b", "bob", "down", "a star at the beach", r#","split":"train""#),
            row("a", "ann", "down", "a picture of a star on the beach", r#","skipped":true"#),
            row("c", "ann", "up", "A dog on a sofa.", r#","unknown":1"#),
        ];
        fs::write(folder.path().join("data/votes.jsonl"), rows.join("\n")).expect("a file");
        let data = Data::read(folder.path()).expect("data");
        assert_eq!((data.images.len(), data.votes.len(), data.prompts.len()), (3, 3, 3));
        assert_eq!(data.meanings, ["a star on the beach", "a dog on a sofa"]);
        assert_eq!(data.prompts.iter().map(|prompt| prompt.meaning).collect::<Vec<_>>(), [0, 0, 1]);
        assert_eq!((data.images[0].truth, data.votes[0].part), (Some(true), Some(Part::Train)));
    }

    #[test]
    fn a_row_that_cannot_be_used_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("data")).expect("a folder");
        let path = folder.path().join("data/votes.jsonl");
        for (row, reason) in [
            (r#"{"image_id":"a","rater":"b","rating":"fine","prompt":"c","file_name":"d"}"#, "no rating"),
            (r#"{"image_id":"a","rater":"b","rating":"up","prompt":"c","file_name":"d","split":"x"}"#, "no part"),
            (r#"{"image_id":"a"}"#, "missing field"),
        ] {
            fs::write(&path, row).expect("a file");
            let error = Data::read(folder.path()).expect_err("a fault").to_string();
            assert!(error.contains("line 1") && error.contains(reason), "{error}");
        }
        fs::write(&path, "").expect("a file");
        assert!(matches!(Data::read(folder.path()), Err(RewardError::NoVotes { .. })));
    }
}
