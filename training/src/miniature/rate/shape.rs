//! Names a region by its silhouette: nearest drawn examples in a frame given by the region's own moments. Lumps are examples of nothing.

use std::sync::LazyLock;

use image::RgbImage;

use super::{
    components::{Region, regions},
    pixels::{EDGE, Pixels},
};
use crate::{
    miniature::{
        draw::{Odd, draw, draw_odd},
        grammar::{Background, Colour, Object, Scene},
    },
    random::Random,
};

/// Cells along each side of a silhouette.
const GRID: usize = 16;
/// Half the frame's side, in root-mean-square radii of the region.
const FRAME: f32 = 2.3;
/// Drawn examples of each object.
const EXAMPLES: usize = 220;
/// Examples of other forms of stars and moons, and of lumps.
const ODD: [(Odd, Option<Object>, u64); 3] =
    [(Odd::Star, Some(Object::Star), 160), (Odd::Moon, Some(Object::Moon), 120), (Odd::Lump, None, 400)];
/// Nearest examples that vote.
const NEAREST: usize = 7;
/// Squared distance between unit silhouettes (0 equal, 2 disjoint) beyond which a region is nothing known.
const STRANGE: f32 = 0.24;
/// A region is a lump where the nearest lump is nearer than this share of the way to the nearest object: what is about as near to an object
/// is the object, blurred.
const LUMPISH: f32 = 0.6;
/// What is no farther from an object than so many times its distance to the nearest one could pass for it: who asked for a car takes for a car
/// what could as well be an umbrella.
const PASSING: f32 = 1.25;
/// Seed of the examples; scenes to be rated use others.
const SEED: u64 = 0x5eed_5a9e;

type Silhouette = Vec<f32>;

struct Example {
    /// `None`: a lump.
    object: Option<Object>,
    silhouette: Silhouette,
}

static EXAMPLES_OF_ALL: LazyLock<Vec<Example>> = LazyLock::new(draw_examples);

/// What a region looks like.
pub(super) struct Likeness {
    /// The object that it is, if it is near enough to one.
    pub(super) object: Option<Object>,
    /// Squared distance to the nearest drawn example of any.
    pub(super) strangeness: f32,
    /// Objects that it could pass for, by their place in [`Object::ALL`].
    pub(super) passes: [bool; Object::ALL.len()],
}

/// Compares a region with all examples.
pub(super) fn recognise(pixels: &Pixels, region: &Region) -> Likeness {
    let silhouette = silhouette(pixels, region);
    let (mut nearest, mut lump) = (Vec::with_capacity(EXAMPLES_OF_ALL.len()), f32::INFINITY);
    let mut of_each = [f32::INFINITY; Object::ALL.len()];
    for example in EXAMPLES_OF_ALL.iter() {
        let distance = distance(&silhouette, &example.silhouette);
        match example.object {
            Some(object) => {
                nearest.push((distance, object));
                of_each[object as usize] = distance.min(of_each[object as usize]);
            }
            None => lump = lump.min(distance),
        }
    }
    nearest.select_nth_unstable_by(NEAREST, |one, other| one.0.total_cmp(&other.0));
    nearest.truncate(NEAREST);
    let strangeness = of_each.into_iter().fold(f32::INFINITY, f32::min);
    let mut votes = [0.0; Object::ALL.len()];
    nearest.iter().for_each(|&(distance, object)| votes[object as usize] += 1.0 / (distance + f32::EPSILON));
    let winner = Object::ALL.into_iter().max_by(|&one, &other| votes[one as usize].total_cmp(&votes[other as usize]));
    let object = winner.filter(|_| strangeness <= STRANGE && lump >= LUMPISH * strangeness);
    let near = |distance: f32| distance <= STRANGE.min(PASSING * strangeness) && lump >= LUMPISH * distance;
    let passes = Object::ALL.map(|each| object == Some(each) || object.is_some() && near(of_each[each as usize]));
    Likeness { object, strangeness, passes }
}
fn distance(one: &Silhouette, other: &Silhouette) -> f32 {
    one.iter().zip(other).map(|(a, b)| (a - b) * (a - b)).sum()
}

fn draw_examples() -> Vec<Example> {
    let mut random = Random::stream(SEED, "shapes");
    let mut examples = Vec::with_capacity(EXAMPLES * Object::ALL.len());
    // One thing is drawn, so the largest region is it.
    let example = |object: Option<Object>, picture: &RgbImage| {
        let pixels = Pixels::of(picture);
        regions(&pixels).first().map(|region| Example { object, silhouette: silhouette(&pixels, region) })
    };
    for object in Object::ALL {
        for seed in 0..EXAMPLES as u64 {
            let scene = Scene {
                colour: Some(*random.pick(&Colour::ALL)),
                background: Some(*random.pick(&Background::ALL)),
                ..Scene::of(object)
            };
            examples.extend(example(Some(object), &draw(&scene, SEED ^ seed).picture));
        }
    }
    for (odd, object, amount) in ODD {
        examples.extend((0..amount).filter_map(|seed| example(object, &draw_odd(odd, SEED ^ seed))));
    }
    examples
}

/// The region's chroma on a grid around its centre of mass, its spread as the unit of length; a unit vector.
fn silhouette(pixels: &Pixels, region: &Region) -> Silhouette {
    let inside = grown(region);
    let weight = |at: usize| if inside[at] { (pixels.chroma[at] / pixels.strongest).min(1.0) } else { 0.0 };
    let (x, y, spread) = moments(region, weight);
    let cell = 2.0 * FRAME * spread / GRID as f32;
    let mut values: Silhouette = (0..GRID * GRID)
        .map(|index| {
            let column = (index % GRID) as f32 - (GRID as f32 - 1.0) / 2.0;
            let row = (index / GRID) as f32 - (GRID as f32 - 1.0) / 2.0;
            bilinear(weight, x + column * cell, y + row * cell)
        })
        .collect();
    let length = values.iter().map(|value| value * value).sum::<f32>().sqrt().max(f32::EPSILON);
    values.iter_mut().for_each(|value| *value /= length);
    values
}

fn moments(region: &Region, weight: impl Fn(usize) -> f32) -> (f32, f32, f32) {
    let place = |at: usize| ((at % EDGE) as f32, (at / EDGE) as f32);
    let sum = |value: &dyn Fn(f32, f32) -> f32| -> f32 {
        region.iter().map(|&at| weight(at) * value(place(at).0, place(at).1)).sum()
    };
    let mass = sum(&|_, _| 1.0);
    let (cx, cy) = (sum(&|x, _| x) / mass, sum(&|_, y| y) / mass);
    let spread = (sum(&|x, y| (x - cx) * (x - cx) + (y - cy) * (y - cy)) / mass).sqrt();
    (cx, cy, spread.max(1.0))
}

/// The region and the pixels beside it, whose anti-aliased part belongs to it.
fn grown(region: &Region) -> Vec<bool> {
    let mut inside = vec![false; EDGE * EDGE];
    for &at in region {
        inside[at] = true;
        let (x, y) = (at % EDGE, at / EDGE);
        let beside = [
            (x > 0, at.wrapping_sub(1)),
            (x + 1 < EDGE, at + 1),
            (y > 0, at.wrapping_sub(EDGE)),
            (y + 1 < EDGE, at + EDGE),
        ];
        beside.into_iter().filter(|(exists, _)| *exists).for_each(|(_, at)| inside[at] = true);
    }
    inside
}

fn bilinear(weight: impl Fn(usize) -> f32, x: f32, y: f32) -> f32 {
    let (left, top) = (x.floor(), y.floor());
    let at = |column: f32, row: f32| {
        let inside = |value: f32| (0.0..EDGE as f32).contains(&value);
        if inside(column) && inside(row) { weight(row as usize * EDGE + column as usize) } else { 0.0 }
    };
    let (right, down) = (x - left, y - top);
    (at(left, top) * (1.0 - right) + at(left + 1.0, top) * right) * (1.0 - down)
        + (at(left, top + 1.0) * (1.0 - right) + at(left + 1.0, top + 1.0) * right) * down
}
