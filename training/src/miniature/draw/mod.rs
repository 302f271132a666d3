//! Paints scenes: 64×64 RGB, anti-aliased, a function of the scene and a seed.
//!
//! Backgrounds stay pale or dark and nearly grey, objects are saturated and outlined, so that no background swallows an
//! object. The size of an object does not depend on how many there are: it must not give the count away.

mod background;
mod figure;
mod layout;
mod odd;
mod outline;
pub mod palette;
mod sheet;
#[cfg(test)]
mod tests;

use image::RgbImage;
use tiny_skia::Pixmap;

pub(crate) use odd::{Odd, draw_odd};
pub use sheet::sheet;

use self::figure::Figure;
use super::{
    Random, SIDE,
    grammar::{Background, Colour, Object, Scene},
};

/// How often an object whose colour is not said has the colour it has in nature.
const NATURAL_RATE: f32 = 0.5;
/// How often a scene whose place is not said is on a plain background.
const PLAIN_RATE: f32 = 0.7;

/// A picture and what is truly in it.
#[derive(Debug, Clone)]
pub struct Drawing {
    /// The picture, 64×64.
    pub picture: RgbImage,
    /// The scene with colour and background as drawn, said or not.
    pub truth: Scene,
    /// The circle around each object.
    pub circles: Vec<Circle>,
}

/// Where an object is, in pixels; its outline stays inside but for a pixel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Circle {
    /// Centre, from the left.
    pub x: f32,
    /// Centre, from the top.
    pub y: f32,
    /// Radius.
    pub radius: f32,
}

/// Draws `scene`; what it leaves open is chosen by `seed`, like every pose.
pub fn draw(scene: &Scene, seed: u64) -> Drawing {
    draw_number(scene, scene.number(), seed)
}

/// As [`draw`], with any number of objects, whatever the scene says: none, or more than a prompt can ask for.
/// With one seed, scenes that differ in colour alone have the same layout and background, and other objects stand in the same
/// circles; their poses, and so what is drawn after them, are their own.
pub fn draw_number(scene: &Scene, number: u8, seed: u64) -> Drawing {
    draw_some_odd(scene, number, None, seed)
}

/// As [`draw_number`]; the first so many of the objects have another form.
pub(crate) fn draw_some_odd(scene: &Scene, number: u8, odd: Option<(Odd, usize)>, seed: u64) -> Drawing {
    let mut random = Random::new(seed);
    let colour = scene.colour.unwrap_or_else(|| unsaid_colour(scene.object, &mut random));
    let place = scene.background.unwrap_or_else(|| unsaid_place(&mut random));
    let poses = layout::poses(scene.object, number, &mut random);
    let mut canvas = blank();
    background::paint(&mut canvas, place, &mut random);
    let figure = Figure::of(scene.object);
    let fill = palette::shade(colour, &mut random);
    for (index, pose) in poses.iter().enumerate() {
        match odd {
            Some((odd, amount)) if index < amount => {
                Figure::new(odd.parts(&mut random)).paint(&mut canvas, pose, fill);
            }
            _ => figure.paint(&mut canvas, pose, fill),
        }
    }
    let truth = Scene { colour: Some(colour), background: Some(place), ..*scene };
    let circles = poses.iter().map(|pose| Circle { x: pose.x, y: pose.y, radius: pose.radius }).collect();
    Drawing { picture: to_rgb(&canvas), truth, circles }
}

/// An empty place.
pub fn draw_background(place: Background, seed: u64) -> RgbImage {
    let mut canvas = blank();
    background::paint(&mut canvas, place, &mut Random::new(seed));
    to_rgb(&canvas)
}

fn unsaid_colour(object: Object, random: &mut Random) -> Colour {
    if random.chance(NATURAL_RATE) { natural(object) } else { *random.pick(&Colour::ALL) }
}

fn unsaid_place(random: &mut Random) -> Background {
    if random.chance(PLAIN_RATE) { Background::Plain } else { *random.pick(&Background::ALL) }
}

fn natural(object: Object) -> Colour {
    match object {
        Object::Star | Object::Moon => Colour::Yellow,
        Object::Heart | Object::Car | Object::House => Colour::Red,
        Object::Fish | Object::Cat => Colour::Orange,
        Object::Mug => Colour::Blue,
        Object::Tree => Colour::Green,
        Object::Flower => Colour::Pink,
        Object::Umbrella => Colour::Purple,
        Object::Boat => Colour::Brown,
    }
}

fn blank() -> Pixmap {
    Pixmap::new(SIDE, SIDE).expect("the side is not zero")
}

fn to_rgb(canvas: &Pixmap) -> RgbImage {
    // Every pixel is opaque (backgrounds cover all), so premultiplied values are the colours themselves.
    let pixels = canvas.data().chunks_exact(4).flat_map(|rgba| [rgba[0], rgba[1], rgba[2]]).collect();
    RgbImage::from_raw(SIDE, SIDE, pixels).expect("three bytes for each pixel")
}
