//! Figures as SVG: objectives and shares of hostile raters over rounds, arms side by side.

use plotters::prelude::*;

use super::measure::{ArmFigures, MeasuredLeg};
use crate::{
    measure::Interval,
    report::{Bar, Bars, CurveError},
};

const SIZE: (u32, u32) = (860, 420);
/// Told apart also by those who see no colours: dark to light.
const COLOURS: [RGBColor; 6] = [
    RGBColor(30, 70, 140),
    RGBColor(200, 120, 20),
    RGBColor(40, 130, 70),
    RGBColor(150, 60, 130),
    RGBColor(90, 90, 90),
    RGBColor(190, 40, 40),
];
/// Share of the range left free above and below.
const MARGIN: f64 = 0.1;

type Drawn = Result<(), Box<dyn std::error::Error>>;

/// Each leg's figure after each round, with its interval.
pub(super) fn rounds(
    title: &str,
    legs: &[MeasuredLeg],
    figure: fn(&ArmFigures) -> Option<Interval>,
) -> Result<String, CurveError> {
    let series: Vec<(&str, Vec<(f64, Interval)>)> = legs
        .iter()
        .map(|leg| {
            let points = leg.by_round.iter().enumerate().filter_map(|(round, arm)| Some((round as f64, figure(arm)?)));
            (leg.name.as_str(), points.collect())
        })
        .collect();
    let mut text = String::new();
    let drawn = {
        let root = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        lines(&root, title, &series).and_then(|()| root.present().map_err(Into::into))
    };
    drawn.map_err(|reason| CurveError::Draw { title: title.to_owned(), reason: reason.to_string() })?;
    Ok(text)
}

fn lines(
    root: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    title: &str,
    series: &[(&str, Vec<(f64, Interval)>)],
) -> Drawn {
    let all = || series.iter().flat_map(|(_, points)| points);
    let last = all().map(|(round, _)| *round).fold(1.0, f64::max);
    let low = all().map(|(_, interval)| interval.low).fold(f64::INFINITY, f64::min);
    let high = all().map(|(_, interval)| interval.high).fold(f64::NEG_INFINITY, f64::max);
    let (low, high) = if low < high { (low, high) } else { (0.0, 1.0) };
    let margin = MARGIN * (high - low);
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(root)
        .caption(title, ("sans-serif", 17))
        .margin(12)
        .x_label_area_size(34)
        .y_label_area_size(54)
        .build_cartesian_2d(-0.1..last + 0.1, low - margin..high + margin)?;
    chart
        .configure_mesh()
        .x_desc("round")
        .x_label_formatter(&|x| format!("{x:.0}"))
        .x_labels(last as usize + 1)
        .draw()?;
    for (number, (name, points)) in series.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        // Side by side, so that intervals do not hide each other.
        let beside = 0.02 * (number as f64 - series.len() as f64 / 2.0);
        let line = points.iter().map(|(round, interval)| (round + beside, interval.value));
        chart
            .draw_series(LineSeries::new(line, colour.stroke_width(2)))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
        for (round, interval) in points {
            let ends = [(round + beside, interval.low), (round + beside, interval.high)];
            chart.draw_series([PathElement::new(ends, colour.stroke_width(1))])?;
            chart.draw_series([Circle::new((round + beside, interval.value), 3, colour.filled())])?;
        }
    }
    chart.configure_series_labels().background_style(WHITE.mix(0.8)).border_style(BLACK.mix(0.3)).draw()?;
    Ok(())
}

/// The arms of a leg on seen and on held-out objects, by the report judge.
pub(super) fn arms(leg: &MeasuredLeg) -> Result<String, CurveError> {
    let bar = |arm: &ArmFigures, which: usize| {
        let Interval { value, low, high } = arm.judged[which]?;
        let label = arm.name.replace(", ", "\n").replace("best of ", "of ").replace(" steps", "");
        Some(Bar { label: label.replace('\n', " "), value, low, high })
    };
    let group =
        |name: &str, which: usize| (name.to_owned(), leg.arms.iter().filter_map(|arm| bar(arm, which)).collect());
    let title = format!("{}: right by the report judge", leg.name);
    Bars { title, base: 0.0, top: 1.05, groups: vec![group("seen objects", 1), group("held-out objects", 2)] }.svg()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::{Leg, measure::Arm};

    fn figures(value: f64) -> ArmFigures {
        let interval = Some(Interval { value, low: value - 0.1, high: value + 0.1 });
        ArmFigures {
            name: "base, 20 steps".into(),
            version: "m@1".into(),
            arm: Arm::Plain,
            calls: 20,
            judged: [interval; 3],
            right: [interval; 3],
            reward: interval,
            saturation: None,
            diversity: None,
        }
    }

    #[test]
    fn whatever_there_is_draws() {
        let leg = |rounds: usize| MeasuredLeg {
            name: format!("leg of {rounds}"),
            leg: Leg::default(),
            by_round: (0..rounds).map(|round| figures(0.5 + 0.05 * round as f64)).collect(),
            arms: vec![figures(0.5); rounds],
            versus: Vec::new(),
            gains: Vec::new(),
        };
        for legs in [vec![], vec![leg(0)], vec![leg(1)], vec![leg(6), leg(3), leg(0)]] {
            let svg = rounds("over rounds", &legs, |arm| arm.judged[0]).expect("a picture");
            assert!(svg.contains("over rounds") && svg.contains("</svg>"));
            for leg in &legs {
                assert!(arms(leg).expect("a picture").contains("</svg>"));
            }
        }
    }
}
