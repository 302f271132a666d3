//! Whether a rater looks at what is rated: agreement on gold items, agreement with others, time.

use crate::domain::Rating;

use super::FeedbackSettings;

/// A vote of a rater, beside what is known of its picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Up or down.
    pub rating: Rating,
    /// Milliseconds that the picture was in view, where the application told.
    pub dwell_ms: Option<u32>,
    /// The right answer, where it is a gold item.
    pub gold: Option<Rating>,
    /// Thumbs up of others less thumbs down of others.
    pub margin: i64,
    /// Thumbs of others.
    pub others: i64,
}

/// Why a rater's votes have no part in training for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// Too many gold items were answered wrongly.
    Gold,
    /// Others say the opposite too often.
    Agreement,
    /// Votes come faster than anybody looks.
    Dwell,
}

impl Reason {
    /// Its name in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gold => "gold",
            Self::Agreement => "agreement",
            Self::Dwell => "dwell",
        }
    }
}

/// Why these votes are not to be trusted, if so. Each measure needs [`FeedbackSettings::min_looks`] votes that it can
/// measure: nobody is judged by a few. Gold goes first: it cannot be outvoted.
pub fn judge(looks: &[Look], settings: &FeedbackSettings) -> Option<Reason> {
    let shared = |look: &&Look| look.others >= i64::from(settings.min_others) && look.margin != 0;
    let agrees = |look: &Look| (look.margin > 0) == (look.rating == Rating::Up);
    let share = |right: usize, of: usize| (of >= settings.min_looks as usize).then(|| right as f64 / of as f64);
    let gold: Vec<&Look> = looks.iter().filter(|look| look.gold.is_some()).collect();
    let right = gold.iter().filter(|look| look.gold == Some(look.rating)).count();
    if share(right, gold.len()).is_some_and(|right| right < settings.min_gold) {
        return Some(Reason::Gold);
    }
    let common: Vec<&Look> = looks.iter().filter(shared).collect();
    let agreed = common.iter().filter(|look| agrees(look)).count();
    if share(agreed, common.len()).is_some_and(|agreed| agreed < settings.min_agreement) {
        return Some(Reason::Agreement);
    }
    let timed: Vec<u32> = looks.iter().filter_map(|look| look.dwell_ms).collect();
    let quick = timed.iter().filter(|&&dwell| dwell < settings.min_dwell).count();
    share(quick, timed.len()).is_some_and(|quick| quick > settings.max_quick).then_some(Reason::Dwell)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look() -> Look {
        Look { rating: Rating::Up, dwell_ms: None, gold: None, margin: 0, others: 0 }
    }

    fn settings() -> FeedbackSettings {
        FeedbackSettings::default()
    }

    /// `wrong` of `all` looks are as the first, the rest as the second.
    fn mixed(wrong: usize, all: usize, bad: Look, good: Look) -> Vec<Look> {
        (0..all).map(|i| if i < wrong { bad } else { good }).collect()
    }

    #[test]
    fn each_measure_finds_who_does_not_look_and_spares_who_does() {
        let gold = |right: bool| Look { gold: Some(if right { Rating::Up } else { Rating::Down }), ..look() };
        let others = |margin| Look { margin, others: 3, ..look() };
        let timed = |dwell| Look { dwell_ms: Some(dwell), ..look() };
        let cases = [
            (mixed(8, 10, gold(false), gold(true)), Some(Reason::Gold)),
            (mixed(2, 10, gold(false), gold(true)), None),
            (mixed(8, 10, others(-3), others(3)), Some(Reason::Agreement)),
            (mixed(3, 10, others(-3), others(3)), None),
            (mixed(9, 10, timed(20), timed(900)), Some(Reason::Dwell)),
            (mixed(3, 10, timed(20), timed(900)), None),
        ];
        for (looks, expected) in cases {
            assert_eq!(judge(&looks, &settings()), expected, "{looks:?}");
        }
    }

    #[test]
    fn nobody_is_judged_by_a_few_votes_or_by_one_other_rater() {
        let few = settings().min_looks as usize - 1;
        let bad = Look { gold: Some(Rating::Down), margin: -3, others: 3, dwell_ms: Some(1), ..look() };
        assert_eq!(judge(&vec![bad; few], &settings()), None);
        let one_other = Look { margin: -1, others: 1, ..look() };
        assert_eq!(judge(&[one_other; 50], &settings()), None);
        let undecided = Look { margin: 0, others: 8, ..look() };
        assert_eq!(judge(&[undecided; 50], &settings()), None);
        assert_eq!(judge(&[look(); 50], &settings()), None, "without a time nothing is too quick");
    }
}
