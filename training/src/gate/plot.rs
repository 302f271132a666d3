//! Differences with intervals, each in units of its bound.

use plotters::prelude::*;

use super::{Bound, Compared, Evidence, Measure, Verdict};
use crate::report::CurveError;

/// Width of the picture, of its labels, and height of a row, in pixels.
const WIDTH: u32 = 900;
const LABELS: u32 = 250;
const ROW: u32 = 26;
const MARGIN: u32 = 90;
/// What lies farther out is drawn at the border, in bounds.
const FARTHEST: f64 = 3.0;
const GREEN: RGBColor = RGBColor(40, 130, 70);
const AMBER: RGBColor = RGBColor(200, 140, 20);
const WRONG: RGBColor = RGBColor(190, 40, 40);

type Drawn = Result<(), Box<dyn std::error::Error>>;

/// The picture: a row a measure, the allowed stretch from −1 to 1 shaded.
pub(super) fn differences(evidence: &Evidence) -> Result<String, CurveError> {
    let mut text = String::new();
    let title = format!("{} against {}: {}", evidence.candidate, evidence.champion, evidence.verdict.word());
    let height = MARGIN + ROW * evidence.measures.len().max(1) as u32;
    let drawn = {
        let root = SVGBackend::with_string(&mut text, (WIDTH, height)).into_drawing_area();
        chart(&root, &title, &evidence.measures).and_then(|()| root.present().map_err(Into::into))
    };
    drawn.map_err(|reason| CurveError::Draw { title, reason: reason.to_string() })?;
    Ok(text)
}

fn chart(root: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>, title: &str, measures: &[Measure]) -> Drawn {
    let rows = measures.len().max(1) as f64;
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(root)
        .caption(title, ("sans-serif", 16))
        .margin(10)
        .x_label_area_size(34)
        .y_label_area_size(LABELS)
        .build_cartesian_2d(-FARTHEST..FARTHEST, 0.0..rows)?;
    let label = |place: &f64| {
        let measure = measures.iter().rev().nth(place.floor() as usize).filter(|_| (place.fract() - 0.5).abs() < 1e-6);
        measure.map_or_else(String::new, |measure| format!("{}, {}", measure.name, measure.on))
    };
    chart
        .configure_mesh()
        .disable_y_mesh()
        .y_labels(2 * measures.len() + 1)
        .y_label_formatter(&label)
        .x_desc("in bounds")
        .draw()?;
    for (place, measure) in measures.iter().rev().enumerate() {
        let y = place as f64 + 0.5;
        let (from, to) = allowed(measure);
        chart.draw_series([Rectangle::new([(from, y - 0.3), (to, y + 0.3)], BLACK.mix(0.07).filled())])?;
        let colour = match measure.verdict {
            Verdict::Pass => GREEN,
            Verdict::Inconclusive => AMBER,
            Verdict::Fail => WRONG,
        };
        let [low, value, high] =
            [measure.found.low, measure.found.value, measure.found.high].map(|at| scaled(measure, at));
        if value.is_finite() {
            chart.draw_series([PathElement::new([(low, y), (high, y)], colour.stroke_width(2))])?;
            chart.draw_series([Circle::new((value, y), 4, colour.filled())])?;
        }
    }
    chart.draw_series([PathElement::new([(0.0, 0.0), (0.0, rows)], BLACK.mix(0.5))])?;
    Ok(())
}

/// A figure less what equal packs give, in units of the bound.
fn scaled(measure: &Measure, figure: f64) -> f64 {
    let equal = equal(measure);
    ((figure - equal) / unit(measure)).clamp(-FARTHEST, FARTHEST)
}

fn equal(measure: &Measure) -> f64 {
    if measure.compared == Compared::Ratio { 1.0 } else { 0.0 }
}

/// How far the bound is from what equal packs give.
fn unit(measure: &Measure) -> f64 {
    let Bound { low, high } = measure.bound;
    low.into_iter().chain(high).map(|end| (end - equal(measure)).abs()).fold(f64::EPSILON, f64::max)
}

/// The stretch within the bound.
fn allowed(measure: &Measure) -> (f64, f64) {
    let end = |end: Option<f64>, open: f64| end.map_or(open, |end| scaled(measure, end));
    (end(measure.bound.low, -FARTHEST), end(measure.bound.high, FARTHEST))
}
