//! The report's pictures.

use super::{
    RewardError,
    evaluate::{Row, Set},
    report::Report,
};
use crate::report::{Bar, Bars, Reliability};

/// Scorers of the paper's Figure 3, in its order, as the bars are called.
const FIGURE3: [(&str, &str); 4] = [
    ("clip score", "CLIP score"),
    ("without auxiliary loss", "no auxiliary loss"),
    ("half the images", "half the images"),
    ("reward", "reward"),
];

/// The paper's Figure 3 on this dataset: how often the right one of two pictures of a prompt is preferred, seen and unseen objects.
pub(super) fn figure3(report: &Report) -> Result<String, RewardError> {
    let group = |set: Set| {
        let of =
            |name: &str| report.rows.iter().find(|row| row.scorer == name && row.set == set && row.category == "all");
        let bar = |&(name, label): &(&str, &str)| {
            let interval = of(name).and_then(|row: &Row| row.truth_within.or(row.within))?;
            Some(Bar { label: label.to_owned(), value: interval.value, low: interval.low, high: interval.high })
        };
        (set.word().to_owned(), FIGURE3.iter().filter_map(bar).collect())
    };
    let bars = Bars {
        title: "Of two pictures of a prompt, the right one scores higher".to_owned(),
        base: 0.5,
        top: 1.0,
        groups: vec![group(Set::Seen), group(Set::HeldOut)],
    };
    Ok(bars.svg()?)
}

/// Share of thumbs up against predicted probability, before and after calibration.
pub(super) fn calibration(report: &Report) -> Result<String, RewardError> {
    let series = ["raw", "calibrated"].map(str::to_owned).into_iter().zip(report.reliability.iter().cloned()).collect();
    let reliability =
        Reliability { title: "Predicted and observed share of thumbs up, held-out votes".to_owned(), series };
    Ok(reliability.svg()?)
}
