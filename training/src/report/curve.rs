//! The loss curve as an SVG that a browser can keep open: rewritten whole, by rename.

use std::path::{Path, PathBuf};

use plotters::prelude::*;

/// Picture size in pixels.
const SIZE: (u32, u32) = (960, 480);
/// Raw losses drawn at most; beyond it neighbours are averaged.
const POINTS: usize = 800;
/// Weight of the newest loss in the smooth line, for a curve of [`POINTS`] points.
const SMOOTHING: f64 = 0.05;
/// Share of the range left free above and below.
const MARGIN: f64 = 0.05;

/// Why a curve cannot be drawn.
#[derive(Debug, thiserror::Error)]
pub enum CurveError {
    /// The plotting library refused.
    #[error("cannot draw the curve of {title}: {reason}")]
    Draw {
        /// The curve's title.
        title: String,
        /// The library's answer.
        reason: String,
    },
    /// The file system refused.
    #[error("cannot write {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
}

/// Losses by step.
#[derive(Debug, Clone, Default)]
pub struct Curve {
    title: String,
    points: Vec<(f64, f64)>,
}

impl Curve {
    /// An empty curve.
    pub fn new(title: &str) -> Self {
        Self { title: title.to_owned(), points: Vec::new() }
    }

    /// Appends a point; one that is not finite is left out of the picture.
    pub fn push(&mut self, step: u64, loss: f32) {
        if loss.is_finite() {
            self.points.push((step as f64, f64::from(loss)));
        }
    }

    /// The picture: each loss in grey, their moving average in blue; the loss axis is logarithmic where all losses are positive.
    ///
    /// # Errors
    /// If the plotting library fails.
    pub fn svg(&self) -> Result<String, CurveError> {
        let thinned = thin(&self.points);
        let mut text = String::new();
        let drawn = {
            let root = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
            let positive = !thinned.is_empty() && thinned.iter().all(|&(_, loss)| loss > 0.0);
            let to_axis = |loss: f64| if positive { loss.log10() } else { loss };
            let points: Vec<(f64, f64)> = thinned.iter().map(|&(step, loss)| (step, to_axis(loss))).collect();
            let label = move |y: &f64| if positive { format!("{:.3e}", 10_f64.powf(*y)) } else { format!("{y:.3e}") };
            draw(&root, &self.title, &points, &label).and_then(|()| root.present().map_err(Into::into))
        };
        drawn.map_err(|reason| CurveError::Draw { title: self.title.clone(), reason: reason.to_string() })?;
        Ok(text)
    }

    /// Writes the picture aside and renames it to `path`.
    ///
    /// # Errors
    /// As [`Curve::svg`], and if the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), CurveError> {
        let aside = path.with_extension("svg.new");
        let io = |source| CurveError::Io { path: path.to_owned(), source };
        std::fs::write(&aside, self.svg()?).map_err(io)?;
        std::fs::rename(&aside, path).map_err(io)
    }
}

type DrawError = Box<dyn std::error::Error>;

fn draw(
    root: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    title: &str,
    points: &[(f64, f64)],
    label: &dyn Fn(&f64) -> String,
) -> Result<(), DrawError> {
    let last = points.last().map_or(1.0, |point| point.0.max(1.0));
    let (low, high) = range(points);
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(root)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(32)
        .y_label_area_size(76)
        .build_cartesian_2d(0.0..last, low..high)?;
    chart.configure_mesh().x_desc("step").x_label_formatter(&|x| format!("{x:.0}")).y_label_formatter(&label).draw()?;
    chart.draw_series(LineSeries::new(points.iter().copied(), &RGBColor(190, 190, 190)))?;
    chart.draw_series(LineSeries::new(smooth(points), RGBColor(30, 90, 200).stroke_width(2)))?;
    Ok(())
}

/// The loss axis' ends, with a margin.
fn range(points: &[(f64, f64)]) -> (f64, f64) {
    let low = points.iter().map(|point| point.1).fold(f64::INFINITY, f64::min);
    let high = points.iter().map(|point| point.1).fold(f64::NEG_INFINITY, f64::max);
    if low > high {
        return (0.0, 1.0);
    }
    let margin = MARGIN * (high - low).max(f64::EPSILON.sqrt() * high.abs().max(1.0));
    (low - margin, high + margin)
}

/// At most [`POINTS`] points: means over equal stretches.
fn thin(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let stretch = points.len().div_ceil(POINTS).max(1);
    let mean = |part: &[(f64, f64)]| {
        let n = part.len() as f64;
        (part.iter().map(|p| p.0).sum::<f64>() / n, part.iter().map(|p| p.1).sum::<f64>() / n)
    };
    points.chunks(stretch).map(mean).collect()
}

/// An exponential moving average without the start's bias.
fn smooth(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let (mut sum, mut weight) = (0.0, 0.0);
    let next = |&(step, loss): &(f64, f64)| {
        sum = sum * (1.0 - SMOOTHING) + SMOOTHING * loss;
        weight = weight * (1.0 - SMOOTHING) + SMOOTHING;
        (step, sum / weight)
    };
    points.iter().map(next).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_curve_draws() {
        let cases: [(&str, Vec<f32>); 5] = [
            ("empty", vec![]),
            ("one point", vec![1.0]),
            ("constant", vec![2.0; 5]),
            ("with a gap and a negative", vec![1.0, f32::NAN, -0.5]),
            ("long", (1..5000).map(|i| 1.0 / i as f32).collect()),
        ];
        for (name, losses) in cases {
            let mut curve = Curve::new(name);
            losses.iter().enumerate().for_each(|(step, &loss)| curve.push(step as u64, loss));
            let svg = curve.svg().unwrap();
            assert!(svg.starts_with("<svg") && svg.contains(name) && svg.contains("</svg>"), "{name}");
            assert!(svg.len() < 100_000, "{name}: {} bytes", svg.len());
        }
    }

    #[test]
    fn thinning_keeps_the_mean() {
        let points: Vec<(f64, f64)> = (0..1600).map(|i| (f64::from(i), f64::from(i % 2))).collect();
        assert!(thin(&points).len() <= POINTS && thin(&points).iter().all(|point| point.1 == 0.5));
    }
}
