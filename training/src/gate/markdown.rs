//! The evidence for people.

use std::fmt::Write;

use super::{Bound, Compared, Evidence, Kind, Measure, Verdict};
use crate::measure::Interval;

/// What a table says where there is nothing to say.
const NOTHING: &str = "–";

/// The whole page.
pub(super) fn page(evidence: &Evidence) -> String {
    let mut text = format!("# {}: {}\n\n", evidence.kind.word(), evidence.verdict.word());
    // Writing to a string cannot fail.
    let _ = writeln!(text, "Champion {}, candidate {}.", evidence.champion, evidence.candidate);
    let _ = writeln!(text, "{}\n", reasons(evidence));
    text.push_str("| measure | on | champion | candidate | compared (95 %) | other seeds | bound | verdict |\n|---|---|---|---|---|---|---|---|\n");
    evidence.measures.iter().for_each(|measure| text.push_str(&row(measure)));
    let _ = writeln!(text, "\nAsked: `{}`.", evidence.asked);
    for left in &evidence.left_out {
        let _ = writeln!(text, "\nNot measured: {} ({}).", left.name, left.reason);
    }
    if evidence.kind == Kind::Generator {
        let _ = writeln!(text, "\n![champion left, candidate right](sheet.png)\n\nRows of the sheet:\n");
        evidence.on_sheet.iter().enumerate().for_each(|(row, prompt)| {
            let _ = writeln!(text, "{}. {}", row + 1, prompt.replace('\n', " "));
        });
    }
    let _ = writeln!(text, "\n![differences with intervals](differences.svg)");
    text
}

/// What decided.
fn reasons(evidence: &Evidence) -> String {
    let names = |verdict| {
        let name = |measure: &Measure| match measure.on.as_str() {
            "all" => measure.name.clone(),
            on => format!("{} ({on})", measure.name),
        };
        evidence.of(verdict).map(name).collect::<Vec<_>>().join(", ")
    };
    match evidence.verdict {
        Verdict::Pass => "Every interval lies within its bound.".to_owned(),
        Verdict::Fail => format!("Beyond the bound: {}.", names(Verdict::Fail)),
        Verdict::Inconclusive => {
            format!("Across the bound: {}. More prompts would tell.", names(Verdict::Inconclusive))
        }
    }
}

fn row(measure: &Measure) -> String {
    let figure = |figure: Option<f64>| figure.map_or(NOTHING.to_owned(), |figure| format!("{figure:.3}"));
    let sign = measure.compared == Compared::Difference;
    let beyond = if measure.beyond_noise() == Some(true) { ", beyond noise" } else { "" };
    let verdict = match measure.verdict {
        Verdict::Pass => measure.verdict.word().to_owned(),
        other => format!("**{}**", other.word()),
    };
    format!(
        "| {} | {} | {} | {} | {}{}{beyond} | {} | {} | {verdict} |\n",
        measure.name,
        measure.on,
        figure(measure.champion),
        figure(measure.candidate),
        if measure.compared == Compared::Ratio { "× " } else { "" },
        interval(&measure.found, sign),
        measure.reference.as_ref().map_or(NOTHING.to_owned(), |reference| interval(reference, sign)),
        bound(&measure.bound, sign),
    )
}

fn interval(Interval { value, low, high }: &Interval, sign: bool) -> String {
    match sign {
        true => format!("{value:+.3} ({low:+.3} to {high:+.3})"),
        false => format!("{value:.3} ({low:.3} to {high:.3})"),
    }
}

fn bound(bound: &Bound, sign: bool) -> String {
    let say = |number: f64| if sign { format!("{number:+.3}") } else { format!("{number:.3}") };
    match (bound.low, bound.high) {
        (Some(low), Some(high)) => format!("{} to {}", say(low), say(high)),
        (Some(low), None) => format!("≥ {}", say(low)),
        (None, Some(high)) => format!("≤ {}", say(high)),
        (None, None) => NOTHING.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_page_names_what_decided() {
        let found = |value: f64| Interval { value, low: value - 0.01, high: value + 0.01 };
        let reward = Measure::new(
            "reward",
            "all",
            Compared::Difference,
            [Some(0.6), Some(0.5)],
            found(-0.1),
            Bound::at_least(-0.03),
        );
        let kid = Measure::new("KID", "all", Compared::Distance, [None, None], found(0.5), Bound::at_most(0.6))
            .beside(Some(found(0.0)));
        let evidence =
            Evidence::new(Kind::Reward, "a@1".into(), "b@2".into(), json!({"votes": 3}), vec![reward, kid], vec![]);
        let page = evidence.markdown();
        assert_eq!(evidence.verdict, Verdict::Fail);
        for part in [
            "# reward: fail",
            "Beyond the bound: reward.",
            "-0.100 (-0.110 to -0.090)",
            "≥ -0.030",
            "beyond noise",
            "| – | – |",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert!(super::super::plot::differences(&evidence).expect("a picture").contains("</svg>"));
    }
}
