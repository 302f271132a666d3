//! Votes, pictures and prompts of a dataset.

use std::{collections::HashMap, path::Path};

use plaudit::feedback::dataset::{DatasetLimits, Rating, Reader, Row};
use sha2::{Digest, Sha256};

use super::RewardError;
use crate::{collect::Part, miniature::grammar::Scene};

/// A prompt's text and what else is known of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Prompt {
    pub(crate) text: String,
    pub(crate) category: Option<String>,
    /// Prompts of one meaning share it; it is what figures are grouped by and parts are dealt by.
    pub(crate) meaning: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Image {
    pub(crate) id: String,
    /// SHA-256 of its file, where the dataset says.
    pub(crate) sha256: Option<String>,
    pub(crate) prompt: usize,
    /// Which of its prompt's pictures, from 0 in the order of their ids.
    pub(crate) rank: usize,
    pub(crate) truth: Option<bool>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Vote {
    pub(crate) image: usize,
    pub(crate) rater: String,
    pub(crate) good: bool,
    /// In training, 0 to 1.
    pub(crate) weight: f32,
    pub(crate) part: Option<Part>,
}

/// A dataset by number.
#[derive(Debug, Clone, Default)]
pub(crate) struct Data {
    pub(crate) prompts: Vec<Prompt>,
    pub(crate) meanings: Vec<String>,
    pub(crate) images: Vec<Image>,
    pub(crate) votes: Vec<Vote>,
    /// Over all rows, in order.
    pub(crate) sha256: String,
}

impl Data {
    /// Reads every row. Skipped and quarantined rows are no votes, but their pictures count.
    pub(crate) fn read(folder: &Path) -> Result<Self, RewardError> {
        let mut builder = Builder::default();
        for entry in Reader::open(folder, &DatasetLimits::default())?.entries() {
            let entry = entry?;
            let fault = |fault: String| RewardError::Row { place: entry.place.to_string(), fault };
            if entry.image.is_none() {
                return Err(fault("the row names no picture".to_owned()));
            }
            builder.add(&entry.row).map_err(fault)?;
        }
        let mut data = builder.data;
        if data.votes.is_empty() {
            return Err(RewardError::NoVotes { path: folder.to_owned() });
        }
        data.sha256 = crate::checkpoint::hex(&builder.hasher.finalize());
        data.rank();
        Ok(data)
    }

    pub(crate) fn prompt_of(&self, image: usize) -> &Prompt {
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

/// Gives numbers to names.
#[derive(Default)]
struct Builder {
    data: Data,
    prompts: HashMap<String, usize>,
    meanings: HashMap<String, usize>,
    images: HashMap<String, usize>,
    hasher: Sha256,
}

impl Builder {
    fn add(&mut self, row: &Row) -> Result<(), String> {
        let line = serde_json::to_vec(row).map_err(|error| error.to_string())?;
        self.hasher.update(line);
        let part = match row.split.as_deref() {
            None => None,
            Some(word) => Some(Part::from_word(word).ok_or_else(|| {
                let known = Part::ALL.map(Part::word).join(", ");
                format!("split is `{word}`; the parts are {known}")
            })?),
        };
        let image = self.image(row);
        let rating = row.rating.filter(|_| row.quarantined != Some(true));
        self.data.votes.extend(rating.map(|rating| Vote {
            image,
            rater: row.rater.clone(),
            good: rating == Rating::Up,
            weight: row.weight.map_or(1.0, |weight| weight as f32),
            part,
        }));
        Ok(())
    }

    fn image(&mut self, row: &Row) -> usize {
        if let Some(&number) = self.images.get(&row.image_id) {
            return number;
        }
        let prompt = self.prompt(&row.prompt, row.category.clone());
        let number = self.data.images.len();
        let (id, sha256) = (row.image_id.clone(), row.image_sha256.clone());
        self.data.images.push(Image { id, sha256, prompt, rank: 0, truth: row.truth });
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
pub(super) fn meaning(text: &str) -> String {
    let words = || text.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>().join(" ");
    text.parse::<Scene>().map_or_else(|_| words().trim_end_matches(['.', '!']).to_owned(), |scene| scene.prompt())
}

#[cfg(test)]
pub(super) mod tests {
    use plaudit::feedback::dataset::{Card, Format, Writer};

    use super::*;

    /// A dataset whose pictures are 1×1 and differ by their image id.
    pub(in crate::reward) fn write(folder: &Path, rows: &[Row]) {
        let mut writer = Writer::create(folder, Format::JsonLines, Card::default()).expect("a writer");
        for row in rows {
            let shade = row.image_id.bytes().fold(0_u8, u8::wrapping_add);
            let picture = image::RgbImage::from_pixel(1, 1, image::Rgb([shade; 3]));
            let mut bytes = std::io::Cursor::new(Vec::new());
            picture.write_to(&mut bytes, image::ImageFormat::Png).expect("a picture");
            writer.push(row.clone(), bytes.get_ref()).expect("a row");
        }
        writer.finish(0, rows.len() as i64).expect("a dataset");
    }

    fn row(image: &str, rater: &str, rating: Option<Rating>, prompt: &str) -> Row {
        Row {
            image_id: image.into(),
            rater: rater.into(),
            rating,
            skipped: rating.is_none().then_some(true),
            prompt: prompt.into(),
            model_version: "m@1".into(),
            ..Row::default()
        }
    }

    #[test]
    fn paraphrases_share_a_meaning_and_rows_share_pictures() {
        let folder = tempfile::tempdir().expect("a folder");
        let (up, down) = (Some(Rating::Up), Some(Rating::Down));
        let rows = [
            Row { split: Some("train".into()), truth: Some(true), ..row("b", "ann", up, "a star at the beach") },
            row("b", "bob", down, "a star at the beach"),
            row("a", "ann", None, "a picture of a star on the beach"),
            Row { weight: Some(0.5), ..row("c", "ann", up, "A dog on a sofa.") },
            Row { quarantined: Some(true), ..row("c", "eve", down, "A dog on a sofa.") },
        ];
        write(&folder.path().join("set"), &rows);
        let data = Data::read(&folder.path().join("set")).expect("data");
        assert_eq!((data.images.len(), data.votes.len(), data.prompts.len()), (3, 3, 3));
        assert_eq!(data.meanings, ["a star on the beach", "a dog on a sofa"]);
        assert_eq!(data.prompts.iter().map(|prompt| prompt.meaning).collect::<Vec<_>>(), [0, 0, 1]);
        assert_eq!((data.images[0].truth, data.votes[0].part), (Some(true), Some(Part::Train)));
        assert_eq!(data.votes.iter().map(|vote| vote.weight).collect::<Vec<_>>(), [1.0, 1.0, 0.5]);
    }

    #[test]
    fn what_cannot_be_learned_from_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let odd = Row { split: Some("dev".into()), ..row("a", "ann", Some(Rating::Up), "a star") };
        write(&folder.path().join("odd"), &[odd]);
        let error = Data::read(&folder.path().join("odd")).expect_err("a fault").to_string();
        assert!(error.contains("`dev`") && error.contains("held_out"), "{error}");
        write(&folder.path().join("skips"), &[row("a", "ann", None, "a star")]);
        assert!(matches!(Data::read(&folder.path().join("skips")), Err(RewardError::NoVotes { .. })));
    }
}
