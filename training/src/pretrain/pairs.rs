//! What the CLIP pair learns from: prompts with pictures that show them, and in the end pictures that show none of them.

use image::{Rgb, RgbImage, imageops};
use plaudit::pipeline::tokenize::Tokenizer;

use super::{
    pixels::{CHANNELS, clip_planes},
    tokenizer::LENGTH,
};
use crate::{
    miniature::{
        SIDE,
        draw::{Circle, Drawing, draw},
        grammar::{Category, Object, Scene},
    },
    random::Random,
    redraw::Original,
};

/// Pairs of a batch.
pub(super) const BATCH: usize = 64;
/// Spoiled pictures beside a batch.
pub(super) const SPOILED: usize = 16;
/// Numbers of a picture.
pub(super) const PICTURE: usize = CHANNELS * (SIDE * SIDE) as usize;
/// Share of a batch whose scenes differ from a neighbour's in one thing.
const HARD: usize = 4;
/// Added to the logit of a pair that is neither the row's own nor wrong: another picture that the prompt also describes.
const NEUTRAL: f32 = -30.0;
/// How often a prompt says everything; otherwise it says one thing, and then describes more pictures than its own.
const COMPLETE_RATE: f32 = 0.6;
/// How often a picture is one that the pack has redrawn, once it can.
const REDRAWN_RATE: f32 = 0.5;
/// Strengths of redrawing.
const STRENGTHS: (f32, f32) = (0.05, 0.35);
/// How often a picture is blurred, and how often it is noisy, once the pack draws; deviations at most, in pixels and of 255.
const WEAR_RATE: f32 = 0.3;
const BLUR: (f32, f32) = (0.3, 0.9);
const NOISE: f32 = 8.0;

/// One batch, row by row; spoiled pictures behind the others.
pub(super) struct Pairs {
    pub(super) ids: Vec<i64>,
    pub(super) pixels: Vec<f32>,
    /// `[BATCH, pictures]`.
    pub(super) neutral: Vec<f32>,
}

/// Makes batches, each a function of its number.
pub(super) struct Pairing {
    pub(super) tokenizer: Tokenizer,
    pub(super) seed: u64,
    /// Pictures that the pack has redrawn, with prompts that say all that is in them. Without any, batches are drawings only.
    pub(super) redrawn: Vec<(RgbImage, Scene)>,
}

/// A row of a batch, and the drawing where it is one.
struct Row {
    asked: Scene,
    truth: Scene,
    picture: RgbImage,
    drawing: Option<(Drawing, u64)>,
}

/// A drawing for the pack to draw again, and the prompt that says all that is in it.
pub(super) fn original(random: &mut Random) -> Original<String> {
    let scene = Scene::sample(category(random), &Object::ALL, random);
    let Drawing { picture, truth, .. } = draw(&scene, random.bits());
    Original { picture, known: truth.prompt(), prompt: truth, strength: random.uniform(STRENGTHS.0, STRENGTHS.1) }
}

impl Pairing {
    /// Pictures of a batch.
    pub(super) fn pictures(&self) -> usize {
        if self.redrawn.is_empty() { BATCH } else { BATCH + SPOILED }
    }

    pub(super) fn batch(&self, number: u64) -> Pairs {
        let mut random = Random::new(self.seed ^ number);
        let mut rows: Vec<Row> = Vec::with_capacity(BATCH);
        let mut pixels = vec![0.0; self.pictures() * PICTURE];
        let mut ids = Vec::with_capacity(BATCH * LENGTH);
        let (own, spoiled) = pixels.split_at_mut(BATCH * PICTURE);
        for planes in own.chunks_mut(PICTURE) {
            let row = self.row(rows.last(), rows.len(), &mut random);
            clip_planes(&self.worn(&row.picture, &mut random), planes);
            // The grammar's words are in the vocabulary, so no prompt is refused.
            let text = row.asked.paraphrase(&mut random);
            ids.extend(self.tokenizer.encode(&text).map(|tokens| tokens.ids).unwrap_or_default());
            rows.push(row);
        }
        let mut drawn = rows.iter().filter_map(|row| row.drawing.as_ref()).cycle();
        for planes in spoiled.chunks_mut(PICTURE) {
            let Some((drawing, seed)) = drawn.next() else { break };
            clip_planes(&self.worn(&spoil(drawing, *seed, &mut random), &mut random), planes);
        }
        let columns = self.pictures();
        let neutral = |at: usize| {
            let (row, column) = (at / columns, at % columns);
            let other = rows.get(column).filter(|_| row != column);
            if other.is_some_and(|other| describes(&rows[row].asked, &other.truth)) { NEUTRAL } else { 0.0 }
        };
        Pairs { ids, pixels, neutral: (0..BATCH * columns).map(neutral).collect() }
    }

    fn row(&self, last: Option<&Row>, at: usize, random: &mut Random) -> Row {
        if !self.redrawn.is_empty() && random.chance(REDRAWN_RATE) {
            let (picture, truth) = random.pick(&self.redrawn).clone();
            return Row { asked: said(&truth, category(random)), truth, picture, drawing: None };
        }
        let asked = match last {
            Some(last) if at.is_multiple_of(HARD) => last.asked.some_contrasts(1, random)[0].1,
            _ => Scene::sample(category(random), &Object::ALL, random),
        };
        let seed = random.bits();
        let drawing = draw(&asked, seed);
        Row { asked, truth: drawing.truth, picture: drawing.picture.clone(), drawing: Some((drawing, seed)) }
    }

    fn worn(&self, picture: &RgbImage, random: &mut Random) -> RgbImage {
        let mut worn = picture.clone();
        if self.redrawn.is_empty() {
            return worn;
        }
        if random.chance(WEAR_RATE) {
            worn = imageops::blur(&worn, random.uniform(BLUR.0, BLUR.1));
        }
        if random.chance(WEAR_RATE) {
            let deviation = random.uniform(0.0, NOISE);
            let noisy = |value: u8, noise: f32| (f32::from(value) + deviation * noise).round().clamp(0.0, 255.0) as u8;
            worn.iter_mut().for_each(|value| *value = noisy(*value, random.normal()));
        }
        worn
    }
}

fn category(random: &mut Random) -> Category {
    if random.chance(COMPLETE_RATE) { Category::Composition } else { *random.pick(&Category::ALL) }
}

/// What a prompt of a category says of it. More than one object are always counted: an unsaid count means one.
fn said(truth: &Scene, category: Category) -> Scene {
    let says = |one: Category| category == Category::Composition || category == one;
    Scene {
        object: truth.object,
        count: truth.count.filter(|_| says(Category::Count) || truth.number() > 1),
        colour: truth.colour.filter(|_| says(Category::Colour)),
        background: truth.background.filter(|_| says(Category::Background)),
    }
}

/// Whether a prompt is right about what was drawn.
fn describes(asked: &Scene, truth: &Scene) -> bool {
    asked.object == truth.object
        && asked.number() == truth.number()
        && (asked.colour.is_none() || asked.colour == truth.colour)
        && (asked.background.is_none() || asked.background == truth.background)
}

/// The drawing with its first objects spoiled in one way: a side is another object's, or paler until it is gone, or out of focus.
fn spoil(drawing: &Drawing, seed: u64, random: &mut Random) -> RgbImage {
    let picture = &drawing.picture;
    let way = random.below(3);
    let other = match way {
        0 => {
            let others: Vec<Object> = Object::ALL.into_iter().filter(|one| *one != drawing.truth.object).collect();
            draw(&Scene { object: *random.pick(&others), ..drawing.truth }, seed).picture
        }
        1 => RgbImage::from_pixel(SIDE, SIDE, ground(picture, drawing.circles.first())),
        _ => imageops::blur(picture, random.uniform(2.0, 4.0)),
    };
    let (sin, cos) = random.uniform(0.0, std::f32::consts::TAU).sin_cos();
    // Out of focus is all of an object; otherwise one side of a line through it is changed.
    let line = if way == 2 { f32::MIN } else { random.uniform(-0.2, 0.4) };
    let amount = 1 + random.below(drawing.circles.len().max(1));
    let mut spoiled = picture.clone();
    for circle in drawing.circles.iter().take(amount) {
        for (x, y, pixel) in spoiled.enumerate_pixels_mut() {
            let (dx, dy) = (x as f32 + 0.5 - circle.x, y as f32 + 0.5 - circle.y);
            if dx.hypot(dy) <= circle.radius + 1.5 && dx * cos + dy * sin > line * circle.radius {
                *pixel = *other.get_pixel(x, y);
            }
        }
    }
    spoiled
}

/// What the place looks like above or below an object.
fn ground(picture: &RgbImage, circle: Option<&Circle>) -> Rgb<u8> {
    let Some(circle) = circle else { return Rgb([200; 3]) };
    let reach = circle.radius + 3.0;
    let y = if circle.y >= reach { circle.y - reach } else { circle.y + reach };
    *picture.get_pixel((circle.x as u32).min(SIDE - 1), (y as u32).min(SIDE - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_says_what_its_category_says_and_never_a_wrong_number() {
        let truth: Scene = "three pink cars at night".parse().unwrap();
        assert_eq!(said(&truth, Category::Composition), truth);
        assert_eq!(said(&truth, Category::Object), "three cars".parse().unwrap());
        assert_eq!(said(&truth, Category::Background), "three cars at night".parse().unwrap());
        for category in Category::ALL {
            assert!(describes(&said(&truth, category), &truth));
        }
    }

    #[test]
    fn spoiling_changes_the_objects_and_nothing_else() {
        let mut random = Random::new(3);
        let scene: Scene = "two red hearts in the city".parse().unwrap();
        for seed in 0..30 {
            let drawing = draw(&scene, seed);
            let spoiled = spoil(&drawing, seed, &mut random);
            let near = |x: u32, y: u32| {
                let from =
                    |circle: &Circle| (x as f32 + 0.5 - circle.x).hypot(y as f32 + 0.5 - circle.y) - circle.radius;
                drawing.circles.iter().any(|circle| from(circle) <= 1.5)
            };
            let changed: Vec<(u32, u32)> = drawing
                .picture
                .enumerate_pixels()
                .filter(|(x, y, pixel)| spoiled.get_pixel(*x, *y) != *pixel)
                .map(|(x, y, _)| (x, y))
                .collect();
            assert!(!changed.is_empty(), "{seed}");
            assert!(changed.into_iter().all(|(x, y)| near(x, y)), "{seed}");
        }
    }
}
