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
const STRANGE: f32 = 0.16;
/// Seed of the examples; scenes to be rated use others.
const SEED: u64 = 0x5eed_5a9e;

type Silhouette = Vec<f32>;

struct Example {
    /// `None`: a lump.
    object: Option<Object>,
    silhouette: Silhouette,
}

static EXAMPLES_OF_ALL: LazyLock<Vec<Example>> = LazyLock::new(draw_examples);

/// What a region looks like: the object, if it is near enough to one, and the squared distance to the nearest example.
pub(super) fn recognise(pixels: &Pixels, region: &Region) -> (Option<Object>, f32) {
    let silhouette = silhouette(pixels, region);
    let mut nearest: Vec<(f32, Option<Object>)> =
        EXAMPLES_OF_ALL.iter().map(|example| (distance(&silhouette, &example.silhouette), example.object)).collect();
    nearest.select_nth_unstable_by(NEAREST, |one, other| one.0.total_cmp(&other.0));
    nearest.truncate(NEAREST);
    let closest = nearest.iter().map(|(distance, _)| *distance).fold(f32::INFINITY, f32::min);
    /// A lump's vote: what is as near to an object as to a lump is the object, blurred.
    const DOUBT: f32 = 0.1;
    /// The lumps' place, after the objects'.
    const LUMP: usize = Object::ALL.len();
    let mut votes = [0.0; LUMP + 1];
    for (distance, object) in nearest {
        let place = object.map_or(LUMP, |object| object as usize);
        votes[place] += if object.is_some() { 1.0 } else { DOUBT } / (distance + f32::EPSILON);
    }
    let candidates = Object::ALL.into_iter().map(Some).chain([None]);
    let weight = |object: Option<Object>| votes[object.map_or(LUMP, |object| object as usize)];
    let winner = candidates.max_by(|&one, &other| weight(one).total_cmp(&weight(other))).flatten();
    (winner.filter(|_| closest <= STRANGE), closest)
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
