//! PIL's resampling of 8-bit pictures, number for number: the filter is widened when shrinking, coefficients have 22 bits
//! after the point, and each pass rounds to a byte (Pillow, `libImaging/Resample.c`).
//!
//! Only what a crop keeps is computed: a strip of one pixel by thousands costs no more than its middle.

use std::ops::Range;

use image::RgbImage;

/// Bits after the point of a coefficient: 32, less 8 of the pixel and 2 for filters whose parts exceed the whole.
const PRECISION: u32 = 32 - 8 - 2;
/// Red, green, blue.
const COLOURS: usize = 3;

/// A kernel of PIL's, under its number in `resample`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// 1: three lobes.
    Lanczos,
    /// 2: a triangle.
    Bilinear,
    /// 3: Catmull–Rom's cubic, a = −½.
    Bicubic,
}

impl Filter {
    /// PIL's number to the filter, for those that are offered.
    pub fn of_number(number: u64) -> Option<Self> {
        match number {
            1 => Some(Self::Lanczos),
            2 => Some(Self::Bilinear),
            3 => Some(Self::Bicubic),
            _ => None,
        }
    }

    /// How far from its middle it reaches, in source pixels.
    fn support(self) -> f64 {
        match self {
            Self::Lanczos => 3.0,
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
        }
    }

    fn at(self, x: f64) -> f64 {
        match self {
            Self::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
            Self::Lanczos => 0.0,
            Self::Bilinear => (1.0 - x.abs()).max(0.0),
            Self::Bicubic => cubic(x.abs()),
        }
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (x * std::f64::consts::PI).sin() / (x * std::f64::consts::PI) }
}

fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

/// The source pixels that make one of the result, and their weights.
struct Taps {
    first: usize,
    weights: Vec<i32>,
}

/// Taps of the results `wanted` of an axis that goes from `from` to `to` pixels.
fn taps(filter: Filter, from: usize, to: usize, wanted: Range<usize>) -> Vec<Taps> {
    if from == to {
        return wanted.map(|first| Taps { first, weights: vec![1 << PRECISION] }).collect();
    }
    let scale = from as f64 / to as f64;
    let widened = scale.max(1.0);
    let support = filter.support() * widened;
    let one = |at: usize| {
        let centre = (at as f64 + 0.5) * scale;
        let first = (centre - support + 0.5).max(0.0) as usize;
        let end = ((centre + support + 0.5) as usize).min(from);
        let weights: Vec<f64> = (first..end).map(|x| filter.at((x as f64 - centre + 0.5) * (1.0 / widened))).collect();
        let sum: f64 = weights.iter().sum();
        let fixed = |weight: f64| (weight / sum * f64::from(1_u32 << PRECISION)).round() as i32;
        Taps { first, weights: weights.into_iter().map(fixed).collect() }
    };
    wanted.map(one).collect()
}

/// The same as a matrix `[wanted, from]`, for those who need the map itself and not its bytes.
pub(super) fn matrix(filter: Filter, from: usize, to: usize, wanted: Range<usize>) -> Vec<f32> {
    let row = |taps: Taps| {
        let mut row = vec![0.0; from];
        for (place, weight) in row[taps.first..].iter_mut().zip(taps.weights) {
            *place = weight as f32 / (1_u32 << PRECISION) as f32;
        }
        row
    };
    taps(filter, from, to, wanted).into_iter().flat_map(row).collect()
}

fn byte(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, i32::from(u8::MAX)) as u8
}

/// Rows of bytes, all of one length.
struct Rows<'a> {
    bytes: &'a [u8],
    pitch: usize,
}

impl Rows<'_> {
    fn from(&self, first: usize) -> impl Iterator<Item = &[u8]> {
        self.bytes.chunks_exact(self.pitch.max(1)).skip(first)
    }
}

/// `image` at `size` (width, height), of which the columns and rows `kept` are computed: u8 `[rows, columns, 3]`.
///
/// `kept` must lie inside of `size`.
pub(super) fn resize(
    image: &RgbImage,
    filter: Filter,
    size: (usize, usize),
    kept: (Range<usize>, Range<usize>),
) -> Vec<u8> {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let columns = taps(filter, width, size.0, kept.0);
    let rows = taps(filter, height, size.1, kept.1);
    let source = Rows { bytes: image.as_raw(), pitch: width * COLOURS };
    if vertical_first((width, height), size) {
        let used = span(&columns);
        let pitch = used.len() * COLOURS;
        let low = down(&source, used.start * COLOURS..used.end * COLOURS, &rows, 0);
        return across(&Rows { bytes: &low, pitch }, 0..rows.len(), &columns, used.start);
    }
    let used = span(&rows);
    let pitch = columns.len() * COLOURS;
    let narrow = across(&source, used.clone(), &columns, 0);
    down(&Rows { bytes: &narrow, pitch }, 0..pitch, &rows, used.start)
}

/// Each pass rounds, so their order shows. Pillow 13 goes down first where that takes more than twice as many pixels from the height
/// as from the width.
fn vertical_first(from: (usize, usize), to: (usize, usize)) -> bool {
    let lost = |from: usize, to: usize| from as i64 - to as i64;
    let (width, height) = (lost(from.0, to.0), lost(from.1, to.1));
    height > 0 && height > 2 * width
}

/// The source pixels that any of the taps reads.
fn span(taps: &[Taps]) -> Range<usize> {
    let first = taps.iter().map(|taps| taps.first).min().unwrap_or(0);
    first..taps.iter().map(|taps| taps.first + taps.weights.len()).max().unwrap_or(first)
}

/// Of the rows `wanted`, a pixel for every tap; the source begins at pixel `offset` of what taps count in.
fn across(source: &Rows<'_>, wanted: Range<usize>, columns: &[Taps], offset: usize) -> Vec<u8> {
    let mut made = Vec::with_capacity(wanted.len() * columns.len() * COLOURS);
    for row in source.from(wanted.start).take(wanted.len()) {
        for Taps { first, weights } in columns {
            let mut sums = [1 << (PRECISION - 1); COLOURS];
            for (pixel, weight) in row[(first - offset) * COLOURS..].chunks_exact(COLOURS).zip(weights) {
                sums.iter_mut().zip(pixel).for_each(|(sum, &value)| *sum += i32::from(value) * weight);
            }
            made.extend(sums.map(byte));
        }
    }
    made
}

/// A row for every tap, of the bytes `part` of each row; the source begins at row `offset` of what taps count in.
fn down(source: &Rows<'_>, part: Range<usize>, rows: &[Taps], offset: usize) -> Vec<u8> {
    let mut made = Vec::with_capacity(rows.len() * part.len());
    let mut sums = vec![0; part.len()];
    for Taps { first, weights } in rows {
        sums.fill(1 << (PRECISION - 1));
        for (row, weight) in source.from(first - offset).zip(weights) {
            sums.iter_mut().zip(&row[part.clone()]).for_each(|(sum, &value)| *sum += i32::from(value) * weight);
        }
        made.extend(sums.iter().map(|&sum| byte(sum)));
    }
    made
}
