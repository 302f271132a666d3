//! Ways in which a drawing goes wrong.

use image::{Rgb, RgbImage, imageops};

use crate::{
    miniature::{
        SIDE,
        draw::{Circle, draw},
        grammar::{Category, Object, Scene},
    },
    random::Random,
};

/// Ways of [`spoil`].
pub(super) const WAYS: usize = 6;
/// Those in which the pack spoils objects that it draws poorly.
pub(super) const POOR_WAYS: [usize; 2] = [4, 5];
/// How often a block has a crown.
const CROWNED: f32 = 0.4;
/// How often it has a rim, as mugs have, and how often a speck of light.
const RIMMED: f32 = 0.4;
const SPECKED: f32 = 0.3;
/// Pixels around an object's circle that belong to its outline.
const OUTLINE: f32 = 1.5;

/// Takes from `other` what lies in the circle where `part` of the offset from its centre holds.
pub(super) fn replace(picture: &mut RgbImage, other: &RgbImage, circle: &Circle, part: impl Fn(f32, f32) -> bool) {
    for (x, y, dx, dy) in inside(circle) {
        if part(dx, dy) {
            picture.put_pixel(x, y, *other.get_pixel(x, y));
        }
    }
}

/// Spoils the object in `circle`: 0 half of it is another object, 1 half of it is missing, 2 it is melted, 3 it is nearly gone,
/// 4 it is a block of its colour with an outline, 5 what stands out at a side is missing: a handle, a tail. The other
/// object is taken from `other`.
pub(super) fn spoil(
    way: usize,
    picture: &mut RgbImage,
    other: &RgbImage,
    circle: &Circle,
    colour: [u8; 3],
    random: &mut Random,
) {
    let angle = random.uniform(0.0, std::f32::consts::TAU);
    let half = |dx: f32, dy: f32| dx * angle.cos() + dy * angle.sin() > 0.0;
    match way {
        0 => replace(picture, other, circle, half),
        1 => smear(picture, circle, 1.0, half),
        2 => melt(picture, circle, random),
        3 => smear(picture, circle, random.uniform(0.6, 0.85), |_, _| true),
        4 => block(picture, circle, Rgb(colour), random),
        _ => {
            let (side, trunk) = (if random.chance(0.5) { 1.0 } else { -1.0 }, circle.radius * random.uniform(0.3, 0.5));
            smear(picture, circle, 1.0, |dx, _| side * dx > trunk);
        }
    }
}

/// What has no scene at all: noise, one colour, a blur, or two scenes at once.
pub(super) fn rubbish(random: &mut Random) -> RgbImage {
    let scene = |random: &mut Random| {
        let scene = Scene::sample(Category::Composition, &Object::ALL, random);
        draw(&scene, random.bits()).picture
    };
    match random.below(4) {
        0 => {
            let (mean, deviation) = (random.uniform(60.0, 200.0), random.uniform(20.0, 90.0));
            let coarse = 1 << random.below(4);
            let small = RgbImage::from_fn(SIDE / coarse, SIDE / coarse, |_, _| {
                Rgb([(); 3].map(|()| (mean + deviation * random.normal()).clamp(0.0, 255.0) as u8))
            });
            imageops::resize(&small, SIDE, SIDE, imageops::FilterType::Triangle)
        }
        1 => {
            let colour = Rgb([(); 3].map(|()| random.below(256) as u8));
            RgbImage::from_pixel(SIDE, SIDE, colour)
        }
        2 => imageops::blur(&scene(random), random.uniform(4.0, 8.0)),
        _ => {
            let (one, two) = (scene(random), scene(random));
            RgbImage::from_fn(SIDE, SIDE, |x, y| mixed(*one.get_pixel(x, y), *two.get_pixel(x, y), 0.5))
        }
    }
}

/// Pixels of the circle with their offsets from its centre.
fn inside(circle: &Circle) -> impl Iterator<Item = (u32, u32, f32, f32)> {
    let Circle { x: cx, y: cy, radius } = *circle;
    let reach = radius + OUTLINE;
    let all = (0..SIDE).flat_map(|y| (0..SIDE).map(move |x| (x, y)));
    let offset = move |(x, y): (u32, u32)| (x, y, x as f32 + 0.5 - cx, y as f32 + 0.5 - cy);
    all.map(offset).filter(move |(_, _, dx, dy)| dx.hypot(*dy) <= reach)
}

fn mixed(one: Rgb<u8>, two: Rgb<u8>, share: f32) -> Rgb<u8> {
    let mix = |c: usize| (f32::from(one.0[c]) * (1.0 - share) + f32::from(two.0[c]) * share) as u8;
    Rgb([mix(0), mix(1), mix(2)])
}

/// Covers a part with what lies beside the circle in the same row: places hardly change along a row.
fn smear(picture: &mut RgbImage, circle: &Circle, share: f32, part: impl Fn(f32, f32) -> bool) {
    let before = picture.clone();
    let reach = circle.radius + OUTLINE + 1.0;
    let (left, right) = (circle.x - reach, circle.x + reach);
    let beside = if left >= 0.0 { left } else { right.min(SIDE as f32 - 1.0) } as u32;
    for (x, y, dx, dy) in inside(circle) {
        if part(dx, dy) {
            picture.put_pixel(x, y, mixed(*before.get_pixel(x, y), *before.get_pixel(beside, y), share));
        }
    }
}

/// Bends the object by waves far larger than a hand that trembles.
fn melt(picture: &mut RgbImage, circle: &Circle, random: &mut Random) {
    let before = picture.clone();
    let (size, turns) = (random.uniform(3.5, 6.0), random.uniform(0.35, 0.8));
    let (first, second) = (random.uniform(0.0, 6.0), random.uniform(0.0, 6.0));
    for (x, y, dx, dy) in inside(circle) {
        let fade = (1.0 - dx.hypot(dy) / (circle.radius + OUTLINE)).sqrt();
        let from_x = x as f32 + fade * size * (dy * turns + first).sin();
        let from_y = y as f32 + fade * size * (dx * turns + second).cos();
        let bound = |value: f32| value.round().clamp(0.0, SIDE as f32 - 1.0) as u32;
        picture.put_pixel(x, y, *before.get_pixel(bound(from_x), bound(from_y)));
    }
}

/// A rounded box, |dx / a|^p + |dy / b|^p ≤ 1 with another p in each quarter, where the object was; sometimes with teeth on its upper edge, a rim, or a
/// speck of light.
fn block(picture: &mut RgbImage, circle: &Circle, colour: Rgb<u8>, random: &mut Random) {
    const INK: Rgb<u8> = Rgb([38, 32, 42]);
    const LIGHT: Rgb<u8> = Rgb([246, 246, 240]);
    smear(picture, circle, 1.0, |_, _| true);
    let powers: [f32; 4] = std::array::from_fn(|_| random.uniform(2.0, 8.0));
    let half_width = circle.radius * random.uniform(0.65, 0.95);
    let half_height = circle.radius * random.uniform(0.6, 0.9);
    let crown = if random.chance(CROWNED) { random.uniform(0.3, 0.9) * half_height } else { 0.0 };
    let rim = if random.chance(RIMMED) { random.uniform(1.8, 3.2) } else { 0.0 };
    let speck = random.chance(SPECKED).then(|| {
        let reach = 0.6 * circle.radius;
        (random.uniform(-reach, reach), random.uniform(-reach, reach))
    });
    let (tooth, first) = (random.uniform(3.0, 6.0), random.uniform(0.0, 1.0));
    for (x, y, dx, dy) in inside(circle) {
        // What is above the middle is pushed down between two teeth.
        let notch = ((dx / tooth + first).rem_euclid(1.0) - 0.5).abs() * 2.0;
        let dy = if dy < 0.0 { (dy - crown * notch).max(-circle.radius - OUTLINE) } else { dy };
        let power = powers[usize::from(dx > 0.0) + 2 * usize::from(dy > 0.0)];
        let size = ((dx / half_width).abs().powf(power) + (dy / half_height).abs().powf(power)).powf(1.0 / power);
        let depth = (1.0 - size) * half_height;
        if depth > 0.0 {
            let edge = if dy < 0.0 && dx.abs() < 0.8 * half_width { rim.max(1.6) } else { 1.6 };
            let lit = speck.is_some_and(|(at_x, at_y)| (dx - at_x).hypot(dy - at_y) < 1.2);
            let paint = match (depth < edge, lit) {
                (true, _) => INK,
                (false, true) => LIGHT,
                (false, false) => colour,
            };
            picture.put_pixel(x, y, paint);
        }
    }
}
