//! Bars with intervals, and reliability, as SVG.

use plotters::prelude::*;

use super::CurveError;
use crate::measure::Bin;

/// Picture sizes in pixels.
const BARS: (u32, u32) = (900, 420);
const SQUARE: (u32, u32) = (480, 480);
/// Width of a bar, as a share of its place.
const WIDTH: f64 = 0.7;
/// Colours of bars and series, in order.
const COLOURS: [RGBColor; 4] =
    [RGBColor(150, 150, 150), RGBColor(120, 170, 220), RGBColor(90, 130, 190), RGBColor(30, 70, 140)];

/// A bar and where it lies with 95 %.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// What it is.
    pub label: String,
    /// Its height.
    pub value: f64,
    /// The interval's lower end.
    pub low: f64,
    /// The interval's upper end.
    pub high: f64,
}

/// Named groups of bars side by side.
#[derive(Debug, Clone, PartialEq)]
pub struct Bars {
    /// The caption.
    pub title: String,
    /// Where bars begin.
    pub base: f64,
    /// The axis' upper end.
    pub top: f64,
    /// Groups with their names.
    pub groups: Vec<(String, Vec<Bar>)>,
}

/// Observed shares against predicted probabilities.
#[derive(Debug, Clone, PartialEq)]
pub struct Reliability {
    /// The caption.
    pub title: String,
    /// Named series.
    pub series: Vec<(String, Vec<Bin>)>,
}

type Drawn = Result<(), Box<dyn std::error::Error>>;

impl Bars {
    /// The picture.
    ///
    /// # Errors
    /// If the plotting library fails.
    pub fn svg(&self) -> Result<String, CurveError> {
        svg(&self.title, BARS, |root| {
            root.fill(&WHITE)?;
            let root = root.titled(&self.title, ("sans-serif", 18))?;
            for (area, (name, bars)) in root.split_evenly((1, self.groups.len().max(1))).iter().zip(&self.groups) {
                self.group(area, name, bars)?;
            }
            Ok(())
        })
    }

    fn group(&self, area: &Area<'_>, name: &str, bars: &[Bar]) -> Drawn {
        let mut chart = ChartBuilder::on(area)
            .caption(name, ("sans-serif", 15))
            .margin(8)
            .x_label_area_size(28)
            .y_label_area_size(40)
            .build_cartesian_2d(0.0..bars.len().max(1) as f64, self.base..self.top)?;
        let label = |place: &f64| {
            let bar = bars.get(place.floor() as usize).filter(|_| (place.fract() - 0.5).abs() < 1e-6);
            bar.map_or_else(String::new, |bar| bar.label.clone())
        };
        chart.configure_mesh().disable_x_mesh().x_labels(2 * bars.len() + 1).x_label_formatter(&label).draw()?;
        for (place, bar) in bars.iter().enumerate() {
            let (middle, colour) = (place as f64 + 0.5, COLOURS[place % COLOURS.len()]);
            let (left, right) = (middle - WIDTH / 2.0, middle + WIDTH / 2.0);
            let body = Rectangle::new([(left, self.base), (right, bar.value.max(self.base))], colour.filled());
            let error = PathElement::new([(middle, bar.low), (middle, bar.high)], BLACK.stroke_width(2));
            let text = Text::new(format!("{:.3}", bar.value), (left, bar.high + 0.02), ("sans-serif", 13));
            chart.draw_series([body])?;
            chart.draw_series([error])?;
            chart.draw_series([text])?;
        }
        Ok(())
    }
}

impl Reliability {
    /// The picture, with the diagonal of perfect probabilities.
    ///
    /// # Errors
    /// If the plotting library fails.
    pub fn svg(&self) -> Result<String, CurveError> {
        svg(&self.title, SQUARE, |root| {
            root.fill(&WHITE)?;
            let mut chart = ChartBuilder::on(root)
                .caption(&self.title, ("sans-serif", 14))
                .margin(10)
                .x_label_area_size(34)
                .y_label_area_size(44)
                .build_cartesian_2d(0.0..1.0, 0.0..1.0)?;
            chart.configure_mesh().x_desc("predicted").y_desc("observed").draw()?;
            chart.draw_series(LineSeries::new([(0.0, 0.0), (1.0, 1.0)], BLACK.mix(0.4)))?;
            for (number, (name, bins)) in self.series.iter().enumerate() {
                let colour = COLOURS[(3 * number) % COLOURS.len()];
                let points: Vec<(f64, f64)> = bins.iter().map(|bin| (bin.predicted, bin.observed)).collect();
                let series = chart.draw_series(LineSeries::new(points.clone(), colour.stroke_width(2)))?;
                series
                    .label(name)
                    .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
                chart.draw_series(points.iter().map(|&point| Circle::new(point, 3, colour.filled())))?;
            }
            chart.configure_series_labels().background_style(WHITE.mix(0.8)).border_style(BLACK).draw()?;
            Ok(())
        })
    }
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn svg(title: &str, size: (u32, u32), draw: impl FnOnce(&Area<'_>) -> Drawn) -> Result<String, CurveError> {
    let mut text = String::new();
    let drawn = {
        let root = SVGBackend::with_string(&mut text, size).into_drawing_area();
        draw(&root).and_then(|()| root.present().map_err(Into::into))
    };
    drawn.map_err(|reason| CurveError::Draw { title: title.to_owned(), reason: reason.to_string() })?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_and_reliability_draw_whatever_there_is() {
        let bar = Bar { label: "reward".into(), value: 0.8, low: 0.75, high: 0.84 };
        for groups in [vec![], vec![("seen".to_owned(), vec![bar.clone(), bar]), ("unseen".to_owned(), vec![])]] {
            let svg = Bars { title: "figure".into(), base: 0.5, top: 1.0, groups }.svg().expect("a picture");
            assert!(svg.contains("figure") && svg.contains("</svg>"));
        }
        let bins =
            vec![Bin { predicted: 0.2, observed: 0.3, count: 5 }, Bin { predicted: 0.9, observed: 0.8, count: 5 }];
        let svg =
            Reliability { title: "reliability".into(), series: vec![("raw".into(), bins)] }.svg().expect("a picture");
        assert!(svg.contains("raw") && svg.contains("</svg>"));
    }
}
