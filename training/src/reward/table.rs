//! The report for people.

use std::fmt::Write;

use super::{
    Calibration,
    evaluate::{Row, Set},
    report::{CLIP, Report},
};
use crate::measure::Interval;

/// What a table says where there is nothing to say.
const NOTHING: &str = "–";

/// The whole report as Markdown.
pub(super) fn markdown(report: &Report) -> String {
    let mut text = format!("# {}\n\n", report.name);
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{}", learned(report));
    for set in Set::ALL {
        let rows: Vec<&Row> = report.rows.iter().filter(|row| row.set == set && row.category == "all").collect();
        if let Some(first) = rows.first() {
            let (votes, images, prompts) = (first.votes, first.images, first.prompts);
            let _ =
                writeln!(text, "\n## {} ({votes} held-out votes, {images} pictures, {prompts} prompts)\n", set.word());
            text.push_str(&scorers(&rows));
        }
    }
    let _ = writeln!(text, "\n## By category\n\n{}", categories(report));
    let _ = writeln!(text, "## Against the others\n\n{}", gains(report));
    text.push_str(
        "AUROC within prompts: of all pairs of a right and a wrong picture of one prompt, the share ranked right. Intervals: 95 %, \
         bootstrap over prompts of the mean over seeds. ECE: equal-mass bins. Truth: what the raters would say without error.\n",
    );
    text
}

fn learned(report: &Report) -> String {
    let recipe = &report.recipe;
    let mut text = String::from("| part | votes | pictures | thumbs up | right |\n|---|---|---|---|---|\n");
    for (part, facts) in &report.dataset.parts {
        let good = facts.good.map_or(NOTHING.into(), percent);
        let _ = writeln!(text, "| {part} | {} | {} | {} | {good} |", facts.votes, facts.images, percent(facts.up));
    }
    let held =
        if report.dataset.raters_held_out { "prompts and raters" } else { "prompts only: there are too few raters" };
    let _ = write!(
        text,
        "\nHeld out: {held}; votes left out because they cross parts: {}. ",
        report.dataset.votes_left_out
    );
    let shape = recipe.shape;
    let features = if shape.product { "both embeddings and their product" } else { "both embeddings" };
    let objective = recipe.objective;
    let _ = write!(
        text,
        "Head: {features}, two layers of {}; λ {}, T {}, N {}. ",
        shape.hidden, objective.auxiliary, objective.temperature, objective.prompts
    );
    let map = match &report.calibration {
        Calibration::Platt { slope, offset } => format!("σ({slope:.3} · logit {offset:+.3})"),
        Calibration::Isotonic { raw, .. } => format!("isotonic, {} knots", raw.len()),
    };
    let _ = writeln!(text, "Calibration: {map}.");
    text
}

fn scorers(rows: &[&Row]) -> String {
    let mut text = String::from(
        "| scorer | AUROC within prompts, truth | pooled, truth | accuracy, truth | within prompts, votes | pooled, votes | accuracy, votes | Brier | ECE before | ECE after | own prompt first of N |\n\
         |---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let raw = if row.scorer == CLIP { NOTHING.to_owned() } else { format!("{:.3}", row.ece_raw) };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {:.4} | {raw} | {:.3} | {} |",
            row.scorer,
            interval(row.truth_within),
            number(row.truth_auroc),
            row.truth_accuracy.map_or(NOTHING.into(), percent),
            interval(row.within),
            number(row.auroc),
            percent(row.accuracy),
            row.brier,
            row.ece,
            interval(row.top1),
        );
    }
    text
}

fn categories(report: &Report) -> String {
    let mut text = String::from(
        "| prompts | objects | pictures | reward: within, truth | CLIP: within, truth | reward: ECE | reward: own first | CLIP: own first |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    let of = |scorer: &'static str| report.rows.iter().filter(move |row| row.scorer == scorer && row.set != Set::Both);
    for row in of("reward").filter(|row| row.category != "all") {
        let clip = of(CLIP).find(|other| other.set == row.set && other.category == row.category);
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {:.3} | {} | {} |",
            row.category,
            row.set.word(),
            row.images,
            interval(row.truth_within),
            interval(clip.and_then(|clip| clip.truth_within)),
            row.ece,
            interval(row.top1),
            interval(clip.and_then(|clip| clip.top1)),
        );
    }
    text
}

fn gains(report: &Report) -> String {
    let mut text = String::from("| objects | over | AUROC within prompts, truth |\n|---|---|---|\n");
    for gain in &report.gains {
        let Interval { value, low, high } = gain.within;
        let _ = writeln!(text, "| {} | {} | {value:+.3} ({low:+.3} to {high:+.3}) |", gain.set.word(), gain.over);
    }
    text
}

fn interval(interval: Option<Interval>) -> String {
    interval.map_or(NOTHING.into(), |Interval { value, low, high }| format!("{value:.3} ({low:.3} to {high:.3})"))
}

fn number(number: Option<f64>) -> String {
    number.map_or(NOTHING.into(), |number| format!("{number:.3}"))
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}
