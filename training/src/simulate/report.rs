//! The report: JSON for machines, Markdown, plots, contact sheets, and one page that holds all of it.

use std::{fmt::Write, path::PathBuf};

use image::RgbImage;
use serde::Serialize;

use super::{
    Pooled, SimulateError, Simulation, html,
    leg::replace,
    measure::{ArmFigures, Measured, MeasuredLeg, Versus, Which},
    plots, studio,
    studio::Series,
};
use crate::{measure::Interval, miniature::draw::sheet};

/// Number of the form of `report.json`.
const SCHEMA: u32 = 1;
/// Prompts on a contact sheet, half of them about held-out objects as in the protocol.
const ON_SHEET: usize = 20;
/// How much larger pictures are on it.
const SCALE: u32 = 2;
const NOTHING: &str = "–";

/// Everything that `report.json` says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// `SCHEMA`.
    pub schema: u32,
    /// Whether every leg is done and measured.
    pub whole: bool,
    /// What was asked for.
    pub asked: serde_json::Value,
    /// Legs.
    pub legs: Vec<MeasuredLeg>,
    /// Legs of several seeds together.
    pub pooled: Vec<Pooled>,
}

/// Writes every file; where the page is.
pub(super) fn write(simulation: &Simulation, measured: &Measured) -> Result<PathBuf, SimulateError> {
    let out = &simulation.out;
    let report = Report {
        schema: SCHEMA,
        whole: measured.whole,
        asked: asked(simulation),
        legs: measured.legs.clone(),
        pooled: measured.pooled.clone(),
    };
    replace(&out.join("report.json"), &serde_json::to_vec_pretty(&report).unwrap_or_default())?;
    let text = markdown(&report);
    replace(&out.join("report.md"), text.as_bytes())?;
    let mut figures = vec![
        (
            "judged.svg".to_owned(),
            plots::rounds("Right by the report judge, over rounds", &report.legs, |arm| arm.judged[0])?,
        ),
        ("held-out.svg".to_owned(), plots::rounds("The same, held-out objects", &report.legs, |arm| arm.judged[2])?),
        ("reward.svg".to_owned(), plots::rounds("Reward, over rounds", &report.legs, |arm| arm.reward)?),
    ];
    for leg in report.legs.iter().filter(|leg| !leg.arms.is_empty()) {
        figures.push((format!("arms-{}.svg", leg.name), plots::arms(leg)?));
    }
    for (name, svg) in &figures {
        replace(&out.join(name), svg.as_bytes())?;
    }
    let mut sheets = Vec::new();
    for leg in report.legs.iter().filter(|leg| !leg.arms.is_empty()) {
        let (name, bytes) = (format!("sheet-{}.png", leg.name), contact(simulation, measured, leg)?);
        replace(&out.join(&name), &bytes)?;
        sheets.push((leg.name.clone(), bytes));
    }
    let page = out.join("report.html");
    replace(&page, html::page(&text, &figures, &sheets, &prompts_on_sheet(measured)).as_bytes())?;
    Ok(page)
}

fn asked(simulation: &Simulation) -> serde_json::Value {
    let Simulation { raters, rounds, side_rounds, prompts, pictures, votes, steps, shares, protocol, seed, .. } =
        simulation;
    let learning = &simulation.daemon.learning;
    serde_json::json!({
        "raters": raters, "rounds": rounds, "side_rounds": side_rounds, "prompts": prompts, "pictures": pictures, "votes": votes,
        "steps": steps, "shares": shares, "protocol": protocol, "seed": seed,
        "reward_steps": learning.reward_steps, "tune_steps": learning.tune_steps, "tune_rate": learning.tune_rate, "tune_strength": learning.tune_strength,
        "gate_prompts": simulation.daemon.passing.gate_prompts,
    })
}

/// The prompts of the sheets, one of every so many.
fn prompts_on_sheet(measured: &Measured) -> Vec<(usize, String)> {
    let every = (measured.asks.len() / ON_SHEET).max(1);
    // Odd, so that seen and held-out objects, which take turns, are both on it.
    let every = if every.is_multiple_of(2) { every + 1 } else { every };
    measured.asks.iter().enumerate().step_by(every).take(ON_SHEET).map(|(at, ask)| (at, ask.prompt.clone())).collect()
}

/// Rows of prompts: the base's pictures, a gap, the last champion's of the same seeds.
fn contact(simulation: &Simulation, measured: &Measured, leg: &MeasuredLeg) -> Result<Vec<u8>, SimulateError> {
    let series = Series::plain(&simulation.protocol);
    let versions = [leg.by_round.first(), leg.by_round.last()];
    let (mut cells, columns) = (Vec::new(), 2 * series.count as u32 + 1);
    for (prompt, _) in prompts_on_sheet(measured) {
        for (side, version) in versions.iter().flatten().enumerate() {
            let pictures = studio::read(simulation, &version.version, series, prompt)?;
            if side == 1 {
                let (width, height) = pictures.first().map_or((1, 1), RgbImage::dimensions);
                cells.push(RgbImage::from_pixel(width, height, image::Rgb([255; 3])));
            }
            cells.extend(pictures);
        }
    }
    let page = if cells.is_empty() { RgbImage::new(1, 1) } else { sheet(&cells, columns, SCALE) };
    let mut bytes = std::io::Cursor::new(Vec::new());
    let path = simulation.out.join("sheet.png");
    let picture = |source| SimulateError::Picture { path, source };
    page.write_to(&mut bytes, image::ImageFormat::Png).map_err(picture)?;
    Ok(bytes.into_inner())
}

fn percent(interval: Option<Interval>) -> String {
    interval.map_or(NOTHING.to_owned(), |Interval { value, low, high }| {
        format!("{:.1} ({:.1} to {:.1})", 100.0 * value, 100.0 * low, 100.0 * high)
    })
}

fn figure(interval: Option<Interval>) -> String {
    interval.map_or(NOTHING.to_owned(), |interval| format!("{:.3}", interval.value))
}

/// The text of `report.md`.
fn markdown(report: &Report) -> String {
    let mut text = "# What votes made of the model\n\n".to_owned();
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "Percent with 95 % intervals over prompts. *Judge*: the report judge, which nothing in the loop has heard. *Rule*: what simulated raters see."
    );
    if !report.whole {
        text.push_str("\n**Not finished: some legs or pictures are missing. Run the same again.**\n");
    }
    text.push_str("\n## Legs\n\nTuned less base, alone at the usual cost, in points; raters: share of prompts on which two thirds prefer the tuned one, and the base.\n\n| leg | rounds | released | judge, base | judge, tuned | difference | seen | held-out | raters | rule, base | rule, tuned |\n|---|---|---|---|---|---|---|---|---|---|---|\n");
    report.legs.iter().for_each(|leg| text.push_str(&leg_row(leg)));
    seeds(&mut text, &report.pooled);
    for leg in &report.legs {
        let _ = writeln!(text, "\n## {}\n", leg.name);
        rounds(&mut text, leg);
        arms(&mut text, &leg.arms);
        versus(&mut text, &leg.versus);
    }
    let _ = writeln!(text, "\nAsked: `{}`.", report.asked);
    text
}

fn leg_row(leg: &MeasuredLeg) -> String {
    let released = leg.leg.rounds.iter().filter(|round| round.done == "released").count();
    let (first, last) = (leg.by_round.first(), leg.by_round.last());
    let judged = |arm: Option<&ArmFigures>| percent(arm.and_then(|arm| arm.judged[0]));
    let right = |arm: Option<&ArmFigures>| percent(arm.and_then(|arm| arm.right[0]));
    // Tuned against base, alone, is the first comparison, of all prompts, seen and held-out objects.
    let difference = |at: usize| percent(leg.versus.get(at).and_then(|versus| versus.judged));
    let raters = leg.versus.first().map_or(NOTHING.to_owned(), |versus| {
        let share = |part: usize| 100.0 * part as f64 / versus.tally.all().max(1) as f64;
        format!("{:.1}, {:.1}", share(versus.tally.wins), share(versus.tally.losses))
    });
    format!(
        "| {} | {} | {released} | {} | {} | {} | {} | {} | {raters} | {} | {} |\n",
        leg.name,
        leg.leg.rounds.len(),
        judged(first),
        judged(last),
        difference(0),
        difference(1),
        difference(2),
        right(first),
        right(last)
    )
}

/// Legs of several seeds together.
fn seeds(text: &mut String, pooled: &[Pooled]) {
    if pooled.is_empty() {
        return;
    }
    text.push_str("\n## Over seeds\n\nTuned less base by the judge, in points; intervals over prompts of the mean over seeds, and each seed's own.\n\n| objective | hostile | after round | seeds | all | seen | held-out | by seed: all | seen | held-out |\n|---|---|---|---|---|---|---|---|---|---|\n");
    for one in pooled {
        let [all, seen, held_out] = one.judged.map(percent);
        let each = |which: usize| -> String {
            let figure = |of: &[Option<f64>; 3]| of[which].map_or(NOTHING.to_owned(), |x| format!("{:+.1}", 100.0 * x));
            one.by_seed.iter().map(figure).collect::<Vec<_>>().join(", ")
        };
        let _ = writeln!(
            text,
            "| {} | {:.0} % | {} | {} | {all} | {seen} | {held_out} | {} | {} | {} |",
            one.objective,
            100.0 * one.hostile,
            one.rounds,
            one.seeds.len(),
            each(0),
            each(1),
            each(2)
        );
    }
}

fn rounds(text: &mut String, leg: &MeasuredLeg) {
    text.push_str("| round | votes: honest, lenient, careless, hostile (right) | drawn, right | in quarantine | daemon | trial | judge | held-out | rule | reward | chroma | diversity |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n");
    for (number, arm) in leg.by_round.iter().enumerate() {
        let measured = format!(
            "{} | {} | {} | {} | {} | {}",
            percent(arm.judged[0]),
            percent(arm.judged[2]),
            percent(arm.right[0]),
            figure(arm.reward),
            figure(arm.saturation),
            arm.diversity.map_or(NOTHING.to_owned(), |value| format!("{value:.3}"))
        );
        let Some(round) = number.checked_sub(1).and_then(|before| leg.leg.rounds.get(before)) else {
            let _ = writeln!(text, "| base | {NOTHING} | {NOTHING} | {NOTHING} | {NOTHING} | {NOTHING} | {measured} |");
            continue;
        };
        let votes = super::RaterKind::ALL.map(|kind| {
            let [votes, right] = round.votes.get(&kind).copied().unwrap_or_default();
            format!("{votes} ({:.0} %)", 100.0 * right as f64 / votes.max(1) as f64)
        });
        let away: Vec<String> =
            round.quarantined.iter().map(|(kind, many)| format!("{many} {}", kind.word())).collect();
        let trial = round.trial.as_ref().map_or(NOTHING.to_owned(), |trial| {
            format!("{}{}", trial.state, if trial.by_operator { ", by the operator" } else { "" })
        });
        let right = 100.0 * round.drawn[1] as f64 / round.drawn[0].max(1) as f64;
        let (votes, away, said) = (votes.join(", "), away.join(", "), round.said.replace('|', "/"));
        let _ = writeln!(
            text,
            "| {number} | {votes} | {}, {right:.1} % | {away} | {said} | {trial} | {measured} |",
            round.drawn[0]
        );
    }
}

fn arms(text: &mut String, arms: &[ArmFigures]) {
    if arms.is_empty() {
        return;
    }
    text.push_str("\n| pictures | calls each | judge | judge, seen | judge, held-out | rule | reward | chroma | diversity |\n|---|---|---|---|---|---|---|---|---|\n");
    for arm in arms {
        let [all, seen, held_out] = arm.judged.map(percent);
        let diversity = arm.diversity.map_or(NOTHING.to_owned(), |value| format!("{value:.3}"));
        let (right, reward, chroma) = (percent(arm.right[0]), figure(arm.reward), figure(arm.saturation));
        let _ = writeln!(
            text,
            "| {} | {} | {all} | {seen} | {held_out} | {right} | {reward} | {chroma} | {diversity} |",
            arm.name, arm.calls
        );
    }
}

fn versus(text: &mut String, all: &[Versus]) {
    if all.is_empty() {
        return;
    }
    text.push_str("\nRaters, two-thirds of whom must prefer a side (share of prompts; judge: difference in points):\n\n| side | against | prompts | wins | loses | ties | judge |\n|---|---|---|---|---|---|---|\n");
    for one in all {
        let share = |part: usize| 100.0 * part as f64 / one.tally.all().max(1) as f64;
        let on = match one.on {
            Which::All => "all",
            Which::Seen => "seen",
            Which::HeldOut => "held-out",
        };
        let (wins, losses, ties) = (share(one.tally.wins), share(one.tally.losses), share(one.tally.ties));
        let _ = writeln!(
            text,
            "| {} | {} | {on} | {wins:.1} | {losses:.1} | {ties:.1} | {} |",
            one.side,
            one.against,
            percent(one.judged)
        );
    }
}
