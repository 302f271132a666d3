//! Names the place: what is behind the objects, row by row, beside drawn examples of every place.

use std::sync::LazyLock;

use super::{
    components::{Region, regions},
    pixels::{EDGE, Pixels},
};
use crate::miniature::{
    draw::draw,
    grammar::{Background, Count, Object, Scene},
};

/// Bands that the picture is cut into, top to bottom.
const BANDS: usize = 8;
/// Numbers of a band: mean red, green, blue, deviation of brightness, and mean step of brightness to the right.
const NUMBERS: usize = 5;
/// Weight of deviation and step beside colours, whose range they do not reach.
const TEXTURE: f32 = 2.5;
/// Pixels around an object that belong to its outline, stem or wheels.
const RIM: i32 = 3;
/// Drawn examples of each place, half of them crowded.
const EXAMPLES: u64 = 60;
/// Seed of the examples; scenes to be rated use others.
const SEED: u64 = 0x5eed_b4c6;

type Look = [f32; BANDS * NUMBERS];

static EXAMPLES_OF_ALL: LazyLock<Vec<(Background, Look)>> = LazyLock::new(draw_examples);

pub(super) fn name(pixels: &Pixels, objects: &[Region]) -> Background {
    let seen = look(pixels, objects);
    let distance = |other: &Look| -> f32 { seen.iter().zip(other).map(|(a, b)| (a - b) * (a - b)).sum() };
    let nearest = EXAMPLES_OF_ALL.iter().min_by(|one, other| distance(&one.1).total_cmp(&distance(&other.1)));
    nearest.map_or(Background::Plain, |(place, _)| *place)
}

fn draw_examples() -> Vec<(Background, Look)> {
    let every = Background::ALL.into_iter().flat_map(|place| (0..EXAMPLES).map(move |index| (place, index)));
    let example = |(place, index): (Background, u64)| {
        let count = Count::new(if index.is_multiple_of(2) { 1 } else { Count::MAX });
        let object = Object::ALL[index as usize % Object::ALL.len()];
        let scene = Scene { count, background: Some(place), ..Scene::of(object) };
        let pixels = Pixels::of(&draw(&scene, SEED ^ index).picture);
        (place, look(&pixels, &regions(&pixels)))
    };
    every.map(example).collect()
}

fn look(pixels: &Pixels, objects: &[Region]) -> Look {
    let hidden = hidden(objects);
    let mut look = [0.0; BANDS * NUMBERS];
    let rows = EDGE / BANDS;
    let mut last = [0.0; NUMBERS];
    for band in 0..BANDS {
        let visible: Vec<usize> = (band * rows * EDGE..(band + 1) * rows * EDGE).filter(|&at| !hidden[at]).collect();
        // A band that is wholly hidden looks like the one above.
        last = numbers(pixels, &visible, &hidden).unwrap_or(last);
        look[band * NUMBERS..(band + 1) * NUMBERS].copy_from_slice(&last);
    }
    look
}

fn hidden(objects: &[Region]) -> Vec<bool> {
    let mut hidden = vec![false; EDGE * EDGE];
    for &at in objects.iter().flatten() {
        let (x, y) = ((at % EDGE) as i32, (at / EDGE) as i32);
        for (dy, dx) in (-RIM..=RIM).flat_map(|dy| (-RIM..=RIM).map(move |dx| (dy, dx))) {
            let (x, y) = (x + dx, y + dy);
            if (0..EDGE as i32).contains(&x) && (0..EDGE as i32).contains(&y) {
                hidden[y as usize * EDGE + x as usize] = true;
            }
        }
    }
    hidden
}

fn numbers(pixels: &Pixels, visible: &[usize], hidden: &[bool]) -> Option<[f32; NUMBERS]> {
    if visible.is_empty() {
        return None;
    }
    let amount = visible.len() as f32;
    let brightness = |at: usize| pixels.rgb[at].iter().sum::<f32>() / 3.0;
    let [r, g, b] =
        std::array::from_fn(|channel| visible.iter().map(|&at| pixels.rgb[at][channel]).sum::<f32>() / amount);
    let mean = (r + g + b) / 3.0;
    let deviation = (visible.iter().map(|&at| (brightness(at) - mean).powi(2)).sum::<f32>() / amount).sqrt();
    let pairs = visible.iter().filter(|&&at| at % EDGE + 1 < EDGE && !hidden[at + 1]);
    let step = pairs.map(|&at| (brightness(at + 1) - brightness(at)).abs()).sum::<f32>() / amount;
    Some([r, g, b, TEXTURE * deviation, TEXTURE * step])
}
