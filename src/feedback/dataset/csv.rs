//! Votes as CSV (RFC 4180): what people write in a spreadsheet. Pictures are named by their ids.

use std::{fs::File, path::Path};

use super::{DatasetError, DatasetLimits, Place, Rating, jsonl::Lines};

/// A vote of a CSV file with the columns `image_id`, `rater`, `rating` and, if it likes, `created` (Unix seconds).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvVote {
    /// The picture's name.
    pub image_id: String,
    /// Who voted.
    pub rater: String,
    /// The vote.
    pub rating: Rating,
    /// Unix seconds.
    pub created: Option<i64>,
    /// Where it stands.
    pub place: Place,
}

/// The votes of a file, and what is wrong with the lines that are none.
///
/// # Errors
/// The file cannot be read, or its first line does not name the three columns.
pub fn csv_votes(path: &Path, limits: &DatasetLimits) -> Result<Vec<Result<CsvVote, DatasetError>>, DatasetError> {
    let file = File::open(path).map_err(DatasetError::io(path))?;
    let mut lines = Lines::over(path.to_owned(), file, limits);
    let (place, head) = lines.next_line().ok_or_else(|| DatasetError::file(path, "the file is empty"))??;
    let columns = Columns::of(head.trim_start_matches('\u{feff}')).map_err(|why| DatasetError::row(&place, why))?;
    let lines = std::iter::from_fn(|| lines.next_line());
    Ok(lines.map(|line| line.and_then(|(place, line)| columns.vote(place, &line))).collect())
}

/// Which field of a line is which.
struct Columns {
    image_id: usize,
    rater: usize,
    rating: usize,
    created: Option<usize>,
}

impl Columns {
    fn of(head: &str) -> Result<Self, String> {
        let names = fields(head)?;
        let find = |name: &str| names.iter().position(|field| field.trim() == name);
        let must = |name: &str| {
            find(name).ok_or_else(|| format!("there is no column {name}; a first line is image_id,rater,rating"))
        };
        Ok(Self {
            image_id: must("image_id")?,
            rater: must("rater")?,
            rating: must("rating")?,
            created: find("created"),
        })
    }

    fn vote(&self, place: Place, line: &str) -> Result<CsvVote, DatasetError> {
        let wrong = |why: String| DatasetError::row(&place, why);
        let fields = fields(line).map_err(wrong)?;
        let field = |index: usize| fields.get(index).map(|text| text.trim().to_owned()).unwrap_or_default();
        let named = |name: &str, index: usize| match field(index) {
            text if text.is_empty() => Err(wrong(format!("{name} is empty"))),
            text => Ok(text),
        };
        let created = self.created.map(field).filter(|text| !text.is_empty());
        let created = created.map(|text| {
            text.parse().map_err(|_| wrong(format!("created is {text:?}; it is a number of Unix seconds")))
        });
        Ok(CsvVote {
            image_id: named("image_id", self.image_id)?,
            rater: named("rater", self.rater)?,
            rating: field(self.rating).parse().map_err(wrong)?,
            created: created.transpose()?,
            place: place.clone(),
        })
    }
}

/// The fields of a line. Quoted fields may hold commas and doubled quotes, but no line feeds: ids have none.
fn fields(line: &str) -> Result<Vec<String>, String> {
    let mut fields = vec![String::new()];
    let mut rest = line.chars().peekable();
    let mut quoted = false;
    while let Some(letter) = rest.next() {
        let field = fields.last_mut().ok_or("no field")?;
        match letter {
            '"' if quoted && rest.peek() == Some(&'"') => field.extend(rest.next()),
            '"' if quoted => quoted = false,
            '"' if field.is_empty() => quoted = true,
            ',' if !quoted => fields.push(String::new()),
            _ => field.push(letter),
        }
    }
    if quoted { Err("a quote is not closed in its line".into()) } else { Ok(fields) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Result<CsvVote, String>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("votes.csv");
        std::fs::write(&path, text).unwrap();
        match csv_votes(&path, &DatasetLimits::default()) {
            Ok(votes) => votes.into_iter().map(|vote| vote.map_err(|error| error.to_string())).collect(),
            Err(error) => vec![Err(error.to_string())],
        }
    }

    #[test]
    fn a_spreadsheets_file_is_read() {
        let votes = read(
            "\u{feff}rater,created,image_id,rating\r\n\"Bo, \"\"the\"\" second\",7,img_1,up\r\n\nann,,img_2,down\n",
        );
        let votes: Vec<_> = votes.into_iter().map(|vote| vote.expect("a vote")).collect();
        assert_eq!(votes[0].rater, "Bo, \"the\" second");
        assert_eq!((votes[0].created, votes[0].rating), (Some(7), Rating::Up));
        assert_eq!((votes[1].created, votes[1].place.row), (None, Some(4)));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let cases = [
            ("", "the file is empty"),
            ("image_id,rater\n", "line 1: there is no column rating"),
            ("image_id,rater,rating\ni,r,up\ni,r,maybe\n", "line 3: \"maybe\" is no rating"),
            ("image_id,rater,rating\ni,,up\n", "line 2: rater is empty"),
            ("image_id,rater,rating\n\"i,r,up\n", "line 2: a quote is not closed"),
            ("image_id,rater,rating,created\ni,r,up,noon\n", "line 2: created is \"noon\""),
        ];
        for (text, said) in cases {
            let faults: Vec<_> = read(text).into_iter().filter_map(Result::err).collect();
            assert!(faults.len() == 1 && faults[0].contains(said), "{text:?}: {faults:?}");
        }
    }
}
