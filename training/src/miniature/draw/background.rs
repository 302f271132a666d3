//! Places: pale or dark, nearly grey, recognisable by their layout and tint.

use tiny_skia::{Color, PathBuilder, Pixmap, Rect, Transform};

use super::{
    figure::fill,
    palette::{solid, vary},
};
use crate::miniature::{Random, SIDE, grammar::Background};

/// Change of each channel of a place's colours from one scene to the next, of 255.
const TINT: f32 = 5.0;
const END: f32 = SIDE as f32;

pub(super) fn paint(canvas: &mut Pixmap, place: Background, random: &mut Random) {
    match place {
        Background::Plain => plain(canvas, random),
        Background::Beach => beach(canvas, random),
        Background::Forest => forest(canvas, random),
        Background::City => city(canvas, random),
        Background::Snow => snow(canvas, random),
        Background::Desert => desert(canvas, random),
        Background::Night => night(canvas, random),
    }
}

fn bar(canvas: &mut Pixmap, left: f32, top: f32, right: f32, bottom: f32, colour: Color) {
    let Some(rect) = Rect::from_ltrb(left, top, right, bottom) else { return };
    fill(canvas, &PathBuilder::from_rect(rect), colour, Transform::identity());
}

fn disc(canvas: &mut Pixmap, x: f32, y: f32, radius: f32, colour: Color) {
    if let Some(path) = PathBuilder::from_circle(x, y, radius) {
        fill(canvas, &path, colour, Transform::identity());
    }
}

fn polygon(canvas: &mut Pixmap, points: &[(f32, f32)], colour: Color) {
    let mut builder = PathBuilder::new();
    for (index, &(x, y)) in points.iter().enumerate() {
        if index == 0 { builder.move_to(x, y) } else { builder.line_to(x, y) }
    }
    builder.close();
    if let Some(path) = builder.finish() {
        fill(canvas, &path, colour, Transform::identity());
    }
}

/// Everything below a wavy line: `level + height · sin(phase + x / length)`.
fn hills(canvas: &mut Pixmap, level: f32, height: f32, length: f32, phase: f32, colour: Color) {
    const STEP: usize = 4;
    let crest = (0..=SIDE as usize).step_by(STEP).map(|x| x as f32);
    let mut points: Vec<(f32, f32)> = crest.map(|x| (x, level + height * (phase + x / length).sin())).collect();
    points.extend([(END, END), (0.0, END)]);
    polygon(canvas, &points, colour);
}

fn plain(canvas: &mut Pixmap, random: &mut Random) {
    const PAPERS: [[u8; 3]; 4] = [[240, 238, 234], [226, 228, 234], [234, 226, 226], [224, 230, 224]];
    let paper = *random.pick(&PAPERS);
    canvas.fill(vary(paper, TINT, random));
}

fn beach(canvas: &mut Pixmap, random: &mut Random) {
    canvas.fill(vary([208, 226, 238], TINT, random));
    let sea = random.uniform(14.0, 22.0);
    let shore = sea + random.uniform(13.0, 19.0);
    bar(canvas, 0.0, sea, END, shore + 4.0, vary([150, 182, 196], TINT, random));
    for _ in 0..5 {
        let (x, y) = (random.uniform(0.0, END), random.uniform(sea + 2.0, shore - 3.0));
        bar(canvas, x, y, x + random.uniform(4.0, 9.0), y + 1.0, solid([206, 222, 228]));
    }
    let phase = random.uniform(0.0, 6.0);
    hills(canvas, shore - 1.5, 1.5, 6.0, phase, solid([240, 242, 240]));
    hills(canvas, shore, 1.5, 6.0, phase, vary([232, 218, 186], TINT, random));
    for _ in 0..7 {
        disc(canvas, random.uniform(0.0, END), random.uniform(shore + 5.0, END), 0.8, solid([202, 188, 160]));
    }
}

fn forest(canvas: &mut Pixmap, random: &mut Random) {
    canvas.fill(vary([186, 204, 176], TINT, random));
    let trunk = vary([126, 114, 98], TINT, random);
    let ground = random.uniform(50.0, 56.0);
    hills(canvas, ground, 1.5, 9.0, random.uniform(0.0, 6.0), vary([146, 164, 132], TINT, random));
    let mut x = random.uniform(-2.0, 4.0);
    while x < END {
        let width = random.uniform(2.5, 4.5);
        bar(canvas, x, 0.0, x + width, ground + random.uniform(0.0, 5.0), trunk);
        x += width + random.uniform(6.0, 9.0);
    }
    let leaves = vary([128, 152, 116], TINT, random);
    let mut x = random.uniform(-4.0, 0.0);
    while x < END + 4.0 {
        disc(canvas, x, random.uniform(0.0, 5.0), random.uniform(5.0, 8.0), leaves);
        x += random.uniform(5.0, 8.0);
    }
}

fn city(canvas: &mut Pixmap, random: &mut Random) {
    canvas.fill(vary([222, 222, 226], TINT, random));
    let street = random.uniform(53.0, 57.0);
    let mut x = random.uniform(-4.0, 0.0);
    while x < END {
        let (width, top) = (random.uniform(8.0, 13.0), random.uniform(6.0, 32.0));
        let grey = 140 + random.below(36) as u8;
        bar(canvas, x, top, x + width, street, solid([grey, grey, grey + 8]));
        windows(canvas, x, top, width, street);
        x += width + random.uniform(0.5, 2.0);
    }
    bar(canvas, 0.0, street, END, END, solid([98, 98, 104]));
    let dash = random.uniform(0.0, 6.0);
    for index in 0..8 {
        let x = dash + 9.0 * index as f32;
        bar(canvas, x, street + 4.0, x + 5.0, street + 5.2, solid([228, 228, 224]));
    }
}

fn windows(canvas: &mut Pixmap, left: f32, top: f32, width: f32, street: f32) {
    const STEP: f32 = 4.0;
    let columns = ((width - 1.0) / STEP) as usize;
    let rows = ((street - top - 2.0) / STEP) as usize;
    let mut builder = PathBuilder::new();
    for (column, row) in (0..columns).flat_map(|column| (0..rows).map(move |row| (column, row))) {
        let (x, y) = (left + 1.5 + column as f32 * STEP, top + 2.0 + row as f32 * STEP);
        builder.extend_from_rect(x, y, 2.0, 2.0);
    }
    if let Some(path) = builder.finish() {
        fill(canvas, &path, solid([222, 220, 204]), Transform::identity());
    }
}

trait RectPath {
    fn extend_from_rect(&mut self, x: f32, y: f32, width: f32, height: f32);
}

impl RectPath for PathBuilder {
    fn extend_from_rect(&mut self, x: f32, y: f32, width: f32, height: f32) {
        if let Some(rect) = Rect::from_xywh(x, y, width, height) {
            self.push_rect(rect);
        }
    }
}

fn snow(canvas: &mut Pixmap, random: &mut Random) {
    canvas.fill(vary([190, 202, 220], TINT, random));
    let ground = random.uniform(30.0, 38.0);
    let fir = vary([150, 168, 174], TINT, random);
    for _ in 0..5 {
        let (x, base) = (random.uniform(0.0, END), ground + 3.0);
        let (half, height) = (random.uniform(3.0, 5.0), random.uniform(10.0, 15.0));
        polygon(canvas, &[(x, base - height), (x + half, base), (x - half, base)], fir);
    }
    hills(canvas, ground, 2.5, 10.0, random.uniform(0.0, 6.0), solid([234, 238, 246]));
    hills(canvas, ground + 14.0, 2.5, 13.0, random.uniform(0.0, 6.0), solid([248, 250, 252]));
    for _ in 0..22 {
        disc(canvas, random.uniform(0.0, END), random.uniform(0.0, ground), 0.9, solid([252, 252, 254]));
    }
}

fn desert(canvas: &mut Pixmap, random: &mut Random) {
    canvas.fill(vary([240, 228, 210], TINT, random));
    let horizon = random.uniform(24.0, 32.0);
    let cactus = vary([146, 162, 134], TINT, random);
    hills(canvas, horizon, 4.0, 11.0, random.uniform(0.0, 6.0), vary([220, 200, 174], TINT, random));
    for _ in 0..3 {
        let (x, y) = (random.uniform(3.0, END - 3.0), horizon + random.uniform(2.0, 8.0));
        bar(canvas, x - 1.2, y - 13.0, x + 1.2, y, cactus);
        bar(canvas, x - 4.2, y - 8.0, x + 4.2, y - 6.0, cactus);
        bar(canvas, x - 4.2, y - 11.0, x - 2.6, y - 6.0, cactus);
        bar(canvas, x + 2.6, y - 12.0, x + 4.2, y - 6.0, cactus);
    }
    hills(canvas, horizon + 14.0, 4.0, 13.0, random.uniform(0.0, 6.0), vary([204, 182, 158], TINT, random));
}

fn night(canvas: &mut Pixmap, random: &mut Random) {
    canvas.fill(vary([34, 38, 66], TINT, random));
    for _ in 0..26 {
        disc(
            canvas,
            random.uniform(0.0, END),
            random.uniform(0.0, 44.0),
            random.uniform(0.5, 0.9),
            solid([224, 224, 212]),
        );
    }
    hills(canvas, random.uniform(46.0, 52.0), 3.0, 9.0, random.uniform(0.0, 6.0), solid([20, 22, 38]));
}
