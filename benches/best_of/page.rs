//! The report: JSON for machines, Markdown and a picture for people.

use std::fmt::Write;

use anyhow::{Result, anyhow};
use plaudit::pipeline::Request;
use plotters::prelude::*;
use serde::Serialize;

use crate::{
    Arguments,
    picks::{self, Compared, Mean, Pruning, mean},
    table::{Candidate, Prompt},
};

/// Candidates that are pruned, as in the paper's rejection sampling.
pub(crate) const WHOLE: usize = 16;
/// Candidates that may survive.
const SURVIVORS: [usize; 5] = [1, 2, 3, 4, 6];
/// Points that a pruned choice may be worse by, at 95 %.
const MARGIN: f64 = -0.02;
/// Size of the picture in pixels.
const SIZE: (u32, u32) = (900, 520);

/// A point of the curve over N.
#[derive(Debug, Serialize)]
struct Point {
    n: usize,
    reward: Mean,
    by_reward: Mean,
    by_clip: Mean,
    predicted: f64,
    truth: Mean,
}

#[derive(Debug, Serialize)]
struct Report {
    prompts: usize,
    candidates: usize,
    within_auroc: f64,
    within_auroc_of_clip: f64,
    curve: Vec<Point>,
    pruning: Vec<Compared>,
}

/// Computes and writes everything.
pub(crate) fn write(arguments: &Arguments, prompts: &[Prompt]) -> Result<()> {
    let report = report(arguments, prompts);
    let folder = &arguments.output;
    std::fs::write(folder.join("report.json"), serde_json::to_string_pretty(&report)? + "\n")?;
    let text = markdown(&report);
    std::fs::write(folder.join("report.md"), &text)?;
    std::fs::write(folder.join("best_of.svg"), figure(&report)?)?;
    print!("{text}");
    Ok(())
}

fn report(arguments: &Arguments, prompts: &[Prompt]) -> Report {
    let (seed, reward) = (arguments.seed, |candidate: &Candidate| candidate.reward);
    let within_auroc = picks::within_auroc(prompts, reward);
    let sizes = (0..).map(|power| 1 << power).take_while(|n| *n <= arguments.candidates);
    let point = |n: usize| Point {
        n,
        reward: mean(&picks::of_n(prompts, n, reward, |pick| f64::from(pick.reward)), seed),
        by_reward: mean(&picks::of_n(prompts, n, reward, Candidate::good), seed),
        by_clip: mean(&picks::of_n(prompts, n, |candidate| candidate.clip, Candidate::good), seed),
        predicted: mean(&picks::predicted(prompts, n, within_auroc, seed), seed).mean,
        truth: mean(&picks::of_n(prompts, n, reward, |pick| f64::from(u8::from(pick.truth))), seed),
    };
    let steps = Request::default().steps;
    let quick =
        arguments.previews.iter().flat_map(|&steps| SURVIVORS.map(|survivors| Pruning::Previews { steps, survivors }));
    let funnel =
        arguments.estimates.iter().flat_map(|&call| SURVIVORS.map(|survivors| Pruning::Estimates { call, survivors }));
    let prunings = quick.chain(funnel).filter(|pruning| pruning.cost(WHOLE, steps) < 1.0);
    Report {
        prompts: prompts.len(),
        candidates: arguments.candidates,
        within_auroc,
        within_auroc_of_clip: picks::within_auroc(prompts, |candidate| candidate.clip),
        curve: sizes.map(point).collect(),
        pruning: prunings.map(|pruning| picks::compared(prompts, WHOLE, steps, pruning, seed)).collect(),
    }
}

fn percent(mean: Mean) -> String {
    format!("{:.1} ({:.1} to {:.1})", 100.0 * mean.mean, 100.0 * mean.low, 100.0 * mean.high)
}

fn markdown(report: &Report) -> String {
    let mut text = format!(
        "# Best of N\n\n{} prompts, {} candidates each. AUROC within prompts against the report judge: reward {:.3}, CLIP {:.3}.\n\
         Percent of picks that the report judge takes, with 95 % intervals over prompts.\n\n\
         | N | chosen by reward | predicted by the AUROC | chosen by CLIP | rule rater, chosen by reward | reward of the pick |\n\
         |---|---|---|---|---|---|\n",
        report.prompts, report.candidates, report.within_auroc, report.within_auroc_of_clip
    );
    for point in &report.curve {
        let Point { n, reward, by_reward, by_clip, predicted, truth } = point;
        let (by_reward, by_clip, truth) = (percent(*by_reward), percent(*by_clip), percent(*truth));
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| {n} | {by_reward} | {:.1} | {by_clip} | {truth} | {:.3} |",
            100.0 * predicted,
            reward.mean
        );
    }
    let _ = write!(
        text,
        "\n## Leaving candidates out early, of {WHOLE}\n\nPoints of difference, with 95 % intervals. `pays`: not worse than the whole \
         choice by more than {:.0} points, and better than as many whole candidates as it costs.\n\n\
         | pruning | saved | right | against all {WHOLE} | equal cost | against it | pays |\n|---|---|---|---|---|---|---|\n",
        -100.0 * MARGIN
    );
    for row in &report.pruning {
        let pays = row.against_whole.low >= MARGIN && row.against_equal.low > 0.0;
        let name = match row.pruning {
            Pruning::Previews { steps, survivors } => format!("{steps}-step looks, {survivors} drawn in full"),
            Pruning::Estimates { call, survivors } => format!("estimates after {call} calls, {survivors} go on"),
        };
        let (good, whole, equal) = (percent(row.good), percent(row.against_whole), percent(row.against_equal));
        let _ = writeln!(
            text,
            "| {name} | {:.0} % | {good} | {whole} | best of {} | {equal} | {} |",
            100.0 * row.saved,
            row.equal,
            if pays { "yes" } else { "no" }
        );
    }
    text
}

fn figure(report: &Report) -> Result<String> {
    let mut text = String::new();
    draw(report, &mut text).map_err(|error| anyhow!("cannot draw the figure: {error}"))?;
    Ok(text)
}

/// A name, a colour, and what is drawn of each point.
type Line = (&'static str, RGBColor, fn(&Point) -> Mean);

fn draw(report: &Report, text: &mut String) -> Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::with_string(text, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let last = report.curve.last().map_or(1.0, |point| (point.n as f64).log2()).max(1.0);
    let mut chart = ChartBuilder::on(&root)
        .caption("Right pictures among the best of N, by the report judge", ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..last, 0.0..1.0)?;
    chart
        .configure_mesh()
        .x_desc("candidates N")
        .y_desc("share right")
        .x_labels(report.curve.len())
        .x_label_formatter(&|x| format!("{:.0}", x.exp2()))
        .draw()?;
    let at = |point: &Point| (point.n as f64).log2();
    let lines: [Line; 2] = [
        ("chosen by reward", RGBColor(30, 90, 200), |point| point.by_reward),
        ("chosen by CLIP", RGBColor(200, 110, 30), |point| point.by_clip),
    ];
    for (name, colour, of) in lines {
        let line = report.curve.iter().map(|point| (at(point), of(point).mean));
        let series = chart.draw_series(LineSeries::new(line, colour.stroke_width(2)))?;
        series.label(name).legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
        chart.draw_series(report.curve.iter().map(|point| {
            let Mean { low, high, .. } = of(point);
            PathElement::new([(at(point), low), (at(point), high)], colour.stroke_width(1))
        }))?;
    }
    let grey = RGBColor(120, 120, 120);
    let line = report.curve.iter().map(|point| (at(point), point.predicted));
    let series = chart.draw_series(DashedLineSeries::new(line, 5, 4, grey.stroke_width(2)))?;
    series
        .label(format!("predicted by an AUROC of {:.2}", report.within_auroc))
        .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], grey));
    chart.configure_series_labels().position(SeriesLabelPosition::LowerRight).border_style(BLACK).draw()?;
    root.present()?;
    Ok(())
}
