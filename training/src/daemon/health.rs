//! Whether votes are fit to learn from, and why not.

use std::{
    collections::{HashMap, HashSet},
    fmt,
};

use plaudit::{
    domain::Rating,
    feedback::dataset::{self, Row},
};
use serde::Serialize;

use super::Soundness;

/// What is known of the votes that a round would learn from.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Health {
    /// Votes of raters who are trusted, old and new.
    pub votes: u64,
    /// Of those, the new ones; the figures below are of these.
    pub new: u64,
    /// New votes of raters in quarantine.
    pub quarantined: u64,
    /// Thumbs up.
    pub up: u64,
    /// Raters.
    pub raters: u64,
    /// Votes of the rater who has most, and the rater's name.
    pub most: u64,
    #[allow(missing_docs)]
    pub most_by: String,
    /// Pairs of votes on one picture, and how many agree.
    pub pairs: u64,
    #[allow(missing_docs)]
    pub agreeing: u64,
    /// Votes on gold items, and how many are right.
    pub gold: u64,
    #[allow(missing_docs)]
    pub gold_right: u64,
}

/// Why votes are not learned from.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "why")]
#[allow(missing_docs)]
pub enum Refusal {
    TooFew { votes: u64, least: u64 },
    TooFewRaters { raters: u64, least: u64 },
    OneSided { up: u64, of: u64, least: f64 },
    OneRater { rater: String, votes: u64, of: u64, most: f64 },
    Quarantined { votes: u64, of: u64, most: f64 },
    Disagreement { agreeing: u64, pairs: u64, least: f64 },
    Gold { right: u64, of: u64, least: f64 },
}

impl Refusal {
    /// Its name in metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::TooFew { .. } => "too_few",
            Self::TooFewRaters { .. } => "too_few_raters",
            Self::OneSided { .. } => "one_sided",
            Self::OneRater { .. } => "one_rater",
            Self::Quarantined { .. } => "quarantined",
            Self::Disagreement { .. } => "disagreement",
            Self::Gold { .. } => "gold",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |part: &u64, of: &u64| 100.0 * share(*part, *of);
        match self {
            Self::TooFew { votes, least } => {
                write!(f, "{votes} votes can be learned from, and {least} are needed (--min-votes)")
            }
            Self::TooFewRaters { raters, least } => {
                write!(f, "the new votes come from {raters} raters, and {least} are needed (--min-raters)")
            }
            Self::OneSided { up, of, least } => write!(
                f,
                "the new votes are one-sided: {up} of {of} are thumbs up ({:.1} %), and each kind needs {:.1} % (--min-minority)",
                percent(up, of),
                100.0 * least
            ),
            Self::OneRater { rater, votes, of, most } => write!(
                f,
                "{rater} cast {votes} of the {of} new votes ({:.1} %), and no rater may cast more than {:.1} % (--max-rater-share); \
                 `plaudit feedback stats` shows raters",
                percent(votes, of),
                100.0 * most
            ),
            Self::Quarantined { votes, of, most } => write!(
                f,
                "{votes} of the {of} new votes ({:.1} %) are in quarantine, and at most {:.1} % may be (--max-quarantined): \
                 look at their raters, and at the gold items' answers",
                percent(votes, of),
                100.0 * most
            ),
            Self::Disagreement { agreeing, pairs, least } => write!(
                f,
                "raters of one picture agree in {agreeing} of {pairs} pairs ({:.1} %), and {:.1} % are needed (--min-agreement)",
                percent(agreeing, pairs),
                100.0 * least
            ),
            Self::Gold { right, of, least } => write!(
                f,
                "{right} of {of} votes on gold items are right ({:.1} %), and {:.1} % are needed (--min-gold)",
                percent(right, of),
                100.0 * least
            ),
        }
    }
}

fn share(part: u64, of: u64) -> f64 {
    part as f64 / of.max(1) as f64
}

impl Health {
    /// Counts votes as they would be exported; those behind `after` are new. `gold`: right answers by picture.
    pub fn of<'a>(rows: impl IntoIterator<Item = &'a Row>, after: i64, gold: &HashMap<String, Rating>) -> Self {
        let mut health = Self::default();
        let mut raters: HashMap<(&str, &str), u64> = HashMap::new();
        let mut touched: HashSet<&str> = HashSet::new();
        let mut thumbs: HashMap<&str, [u64; 2]> = HashMap::new();
        for row in rows {
            let Some(rating) = row.rating else { continue };
            let (new, up) = (row.sequence > after, rating == dataset::Rating::Up);
            if row.quarantined == Some(true) {
                health.quarantined += u64::from(new);
                continue;
            }
            health.votes += 1;
            thumbs.entry(&row.image_id).or_default()[usize::from(up)] += 1;
            if !new {
                continue;
            }
            touched.insert(&row.image_id);
            health.new += 1;
            health.up += u64::from(up);
            *raters.entry((row.owner.as_deref().unwrap_or_default(), &row.rater)).or_default() += 1;
            if let Some(right) = gold.get(&row.image_id) {
                health.gold += 1;
                health.gold_right += u64::from((*right == Rating::Up) == up);
            }
        }
        health.raters = raters.len() as u64;
        // Of equal ones the first by name: the message must not change from look to look.
        let most = raters.into_iter().max_by(|one, other| one.1.cmp(&other.1).then_with(|| other.0.cmp(&one.0)));
        (health.most_by, health.most) =
            most.map_or_else(Default::default, |((_, name), votes)| (name.to_owned(), votes));
        for image in touched {
            let [down, up] = thumbs[image];
            let all = up + down;
            health.pairs += all * (all - 1) / 2;
            health.agreeing += (up * up.saturating_sub(1) + down * down.saturating_sub(1)) / 2;
        }
        health
    }

    /// Why nothing is learned from them, if so.
    pub fn refusal(&self, bounds: &Soundness) -> Option<Refusal> {
        let Self { votes, new, up, raters, most, pairs, agreeing, gold, gold_right, quarantined, .. } = *self;
        let least = |bound: u32| u64::from(bound);
        let (all_new, minority) = (new + quarantined, up.min(new - up));
        if share(quarantined, all_new) > bounds.max_quarantined {
            return Some(Refusal::Quarantined { votes: quarantined, of: all_new, most: bounds.max_quarantined });
        }
        if votes < least(bounds.min_votes) {
            return Some(Refusal::TooFew { votes, least: least(bounds.min_votes) });
        }
        if raters < least(bounds.min_raters) {
            return Some(Refusal::TooFewRaters { raters, least: least(bounds.min_raters) });
        }
        if share(most, new) > bounds.max_rater_share {
            let rater = self.most_by.clone();
            return Some(Refusal::OneRater { rater, votes: most, of: new, most: bounds.max_rater_share });
        }
        if share(minority, new) < bounds.min_minority {
            return Some(Refusal::OneSided { up, of: new, least: bounds.min_minority });
        }
        if gold >= least(bounds.min_gold_votes) && share(gold_right, gold) < bounds.min_gold {
            return Some(Refusal::Gold { right: gold_right, of: gold, least: bounds.min_gold });
        }
        let low = pairs >= least(bounds.min_pairs) && share(agreeing, pairs) < bounds.min_agreement;
        low.then_some(Refusal::Disagreement { agreeing, pairs, least: bounds.min_agreement })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::DaemonSettings;

    fn bounds() -> Soundness {
        Soundness {
            min_votes: 40,
            min_raters: 4,
            min_pairs: 10,
            min_gold_votes: 5,
            ..DaemonSettings::new("x").soundness
        }
    }

    /// `votes` votes of `raters` raters, two on each picture.
    fn rows(votes: usize, raters: usize, up: impl Fn(usize) -> bool) -> Vec<Row> {
        let row = |at: usize| Row {
            image_id: (at / 2).to_string(),
            rater: format!("r{}", at % raters),
            rating: Some(if up(at) { dataset::Rating::Up } else { dataset::Rating::Down }),
            sequence: at as i64 + 1,
            ..Row::default()
        };
        (0..votes).map(row).collect()
    }

    fn name(rows: &[Row], gold: &HashMap<String, Rating>) -> Option<&'static str> {
        Health::of(rows, 0, gold).refusal(&bounds()).map(|refusal| refusal.name())
    }

    #[test]
    fn each_fault_is_named_and_sound_votes_pass() {
        let none = HashMap::new();
        let sound = rows(100, 5, |at| at / 2 % 2 == 0);
        let quarantined = |votes: &[Row], share: usize| -> Vec<Row> {
            let one = |(at, row): (usize, &Row)| Row { quarantined: Some(at % share == 0), ..row.clone() };
            votes.iter().enumerate().map(one).collect()
        };
        let loud: Vec<Row> = sound
            .iter()
            .map(|row| match row.sequence % 2 {
                0 => Row { rater: "loud".into(), ..row.clone() },
                _ => row.clone(),
            })
            .collect();
        let cases: Vec<(Vec<Row>, Option<&str>)> = vec![
            (sound.clone(), None),
            (rows(38, 5, |at| at / 2 % 2 == 0), Some("too_few")),
            (rows(100, 3, |at| at / 2 % 2 == 0), Some("too_few_raters")),
            (rows(100, 5, |_| true), Some("one_sided")),
            (rows(100, 5, |_| false), Some("one_sided")),
            (rows(100, 5, |at| at % 2 == 0), Some("disagreement")),
            (loud, Some("one_rater")),
            (quarantined(&sound, 2), Some("quarantined")),
            (quarantined(&sound, 5), None),
        ];
        for (at, (rows, expected)) in cases.iter().enumerate() {
            assert_eq!(name(rows, &none), *expected, "case {at}");
        }
        let gold = |right: Rating| (0..20).map(|image| (image.to_string(), right)).collect();
        assert_eq!(name(&sound, &gold(Rating::Up)), Some("gold"), "half of them are wrong");
        let answers = (0..20).map(|image| (image.to_string(), if image % 2 == 0 { Rating::Up } else { Rating::Down }));
        assert_eq!(name(&sound, &answers.collect()), None);
    }

    #[test]
    fn only_new_votes_are_suspected_and_old_ones_count() {
        let mut votes = rows(200, 10, |at| at / 2 % 2 == 0);
        votes.extend(rows(40, 1, |_| true).into_iter().map(|row| Row { sequence: row.sequence + 200, ..row }));
        let health = Health::of(&votes, 200, &HashMap::new());
        assert_eq!((health.votes, health.new, health.raters, health.most), (240, 40, 1, 40));
        assert_eq!(health.refusal(&bounds()).map(|refusal| refusal.name()), Some("too_few_raters"));
        assert_eq!(Health::of(&votes, 0, &HashMap::new()).refusal(&bounds()), None);
    }

    #[test]
    fn a_refusal_says_what_was_found_and_which_setting_asked() {
        let health = Health::of(&rows(100, 5, |_| true), 0, &HashMap::new());
        let said = health.refusal(&bounds()).expect("one-sided").to_string();
        assert!(said.contains("100 of 100") && said.contains("--min-minority"), "{said}");
    }
}
