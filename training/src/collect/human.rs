//! People's votes from a CSV file.

use std::{collections::HashMap, fs, path::Path};

use super::{CollectError, Drawn, Part, simulate::Cast};
use crate::miniature::rate::Vote;

/// A line of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HumanVote {
    /// An image's id, or its file's name with or without folders.
    pub image: String,
    /// Who voted.
    pub rater: String,
    /// What.
    pub vote: Vote,
    /// The line, from 1.
    pub line: usize,
}

/// The columns, in any order; others are ignored.
const COLUMNS: [&str; 3] = ["image", "rater", "rating"];
/// What a rating may be, in any case.
const RATINGS: [(&str, Vote); 9] = [
    ("up", Vote::Up),
    ("good", Vote::Up),
    ("1", Vote::Up),
    ("down", Vote::Down),
    ("bad", Vote::Down),
    ("0", Vote::Down),
    ("-1", Vote::Down),
    ("skip", Vote::Skip),
    ("", Vote::Skip),
];

/// Reads CSV (RFC 4180, without line breaks inside fields) with the columns `image`, `rater` and `rating`; a rating is up, down or skip
/// (or good and bad, 1 and 0).
///
/// # Errors
/// The first line that cannot be used, by number and reason.
pub fn parse(text: &str) -> Result<Vec<HumanVote>, (usize, String)> {
    let mut lines = text.lines().enumerate().map(|(at, line)| (at + 1, line));
    let (_, head) = lines.next().ok_or((1, "the file is empty".to_owned()))?;
    let head = fields(head.trim_start_matches('\u{feff}')).map_err(|fault| (1, fault))?;
    let place = |wanted: &&str| head.iter().position(|column| column.trim().eq_ignore_ascii_case(wanted));
    let missing = || format!("the first line names the columns; it needs {}", COLUMNS.join(", "));
    let places: Vec<usize> = COLUMNS.iter().map(place).collect::<Option<_>>().ok_or((1, missing()))?;
    let row = |(line, text): (usize, &str)| {
        let row = fields(text).map_err(|fault| (line, fault))?;
        let cell = |column: usize| row.get(places[column]).map(|cell| cell.trim().to_owned());
        let missing = || (line, format!("{} fields, but the first line names {}", row.len(), head.len()));
        let (image, rater, rating) = (cell(0).ok_or_else(missing)?, cell(1).ok_or_else(missing)?, cell(2));
        let rating = rating.ok_or_else(missing)?.to_lowercase();
        let known = RATINGS.iter().find(|(word, _)| *word == rating);
        let vote = known.ok_or((line, format!("`{rating}` is no rating; write up, down or skip")))?.1;
        if rater.is_empty() {
            return Err((line, "the vote names no rater".to_owned()));
        }
        Ok(HumanVote { image, rater, vote, line })
    };
    lines.filter(|(_, text)| !text.trim().is_empty()).map(row).collect()
}

/// The fields of one line.
fn fields(line: &str) -> Result<Vec<String>, String> {
    let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => field.extend(characters.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(std::mem::take(&mut field)),
            other => field.push(other),
        }
    }
    if quoted {
        return Err("a quotation mark is not closed".to_owned());
    }
    fields.push(field);
    Ok(fields)
}

/// Joins the file's votes with the pictures. Of several votes of one rater on one picture the last counts.
pub(super) fn votes(path: &Path, drawn: &[Drawn]) -> Result<Vec<Cast>, CollectError> {
    let text = fs::read_to_string(path).map_err(CollectError::io("read", path))?;
    let at = |line, fault| CollectError::Line { path: path.to_owned(), line, fault };
    let parsed = parse(&text).map_err(|(line, fault)| at(line, fault))?;
    let named = |(at, drawn): (usize, &Drawn)| [(drawn.image_id.clone(), at), (base(&drawn.file_name).to_owned(), at)];
    let images: HashMap<String, usize> = drawn.iter().enumerate().flat_map(named).collect();
    let mut cast: Vec<Cast> = Vec::with_capacity(parsed.len());
    let mut places = HashMap::new();
    for HumanVote { image, rater, vote, line } in parsed {
        let found = images.get(base(&image));
        let image = *found.ok_or_else(|| at(line, format!("`{image}` is none of the pictures of this collection")))?;
        let held_out = drawn[image].ask.part == Some(Part::HeldOut);
        let one = Cast { image, rater: rater.clone(), vote, truth: None, split: held_out.then_some(Part::HeldOut) };
        match places.entry((image, rater)) {
            std::collections::hash_map::Entry::Occupied(place) => cast[*place.get()] = one,
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(cast.len());
                cast.push(one);
            }
        }
    }
    Ok(cast)
}

fn base(name: &str) -> &str {
    name.rsplit(['/', '\\']).next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_votes_is_read_with_quotes_and_in_any_order_of_columns() {
        let text = "\u{feff}rating,image,comment,rater\nup,a.png,\"fine, \"\"really\"\"\",ann\nBAD,images/b.png,,bob\n\nskip,c,x,ann\n";
        let found = parse(text).expect("votes");
        let vote =
            |image: &str, rater: &str, vote, line| HumanVote { image: image.into(), rater: rater.into(), vote, line };
        let expected = [
            vote("a.png", "ann", Vote::Up, 2),
            vote("images/b.png", "bob", Vote::Down, 3),
            vote("c", "ann", Vote::Skip, 5),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_cannot_be_used_is_named_with_its_line() {
        let cases = [
            ("", 1, "empty"),
            ("image,rating\n", 1, "image, rater, rating"),
            ("image,rater,rating\na,b\n", 2, "2 fields"),
            ("image,rater,rating\na,b,up\na,b,perhaps\n", 3, "perhaps"),
            ("image,rater,rating\na,,up\n", 2, "no rater"),
            ("image,rater,rating\n\"a,b,up\n", 2, "not closed"),
        ];
        for (text, line, reason) in cases {
            let (found, fault) = parse(text).expect_err("a fault");
            assert!(found == line && fault.contains(reason), "{text:?}: {found} {fault}");
        }
    }
}
