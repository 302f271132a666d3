//! Faults that a drawing can have, each on some of its objects.

use image::{Rgb, RgbImage, imageops};

use crate::{
    miniature::{
        SIDE,
        draw::{Circle, Drawing, draw_background},
        grammar::{Background, Colour},
    },
    random::Random,
};

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Some objects are of another kind.
    OtherKind,
    /// Some have another colour.
    OtherColour,
    /// Some have two colours.
    TwoColours,
    /// Some are two kinds at once, side by side.
    Grafted,
    /// Rows of some are torn apart.
    Torn,
    /// Some are turned within themselves.
    Swirled,
    /// Some are seen through.
    Ghostly,
    /// Some lack a piece.
    Bitten,
    /// Some lack their left or right edge: a mug its handle, a fish its tail.
    Docked,
    /// All are shapeless blobs of their colour.
    Lumps,
}

impl Fault {
    pub(super) const ALL: [Self; 10] = [
        Self::OtherKind,
        Self::OtherColour,
        Self::TwoColours,
        Self::Grafted,
        Self::Torn,
        Self::Swirled,
        Self::Ghostly,
        Self::Bitten,
        Self::Docked,
        Self::Lumps,
    ];

    /// Objects that a drawing must have for it: one stranger needs company.
    pub(super) fn least(self) -> u8 {
        if self.is_stranger() { 2 } else { 1 }
    }

    /// Whether it puts strangers among the objects.
    pub(super) fn is_stranger(self) -> bool {
        matches!(self, Self::OtherKind | Self::OtherColour)
    }
}

/// Reach beyond a circle, in pixels, where the outline ends.
const RIM: f32 = 1.6;

/// Gives the first `amount` objects of `drawing` the fault; `twin` has the strangers at the same places.
pub(super) fn commit(
    fault: Fault,
    picture: &mut RgbImage,
    drawing: &Drawing,
    twin: &RgbImage,
    amount: usize,
    random: &mut Random,
) {
    let all = fault == Fault::Lumps;
    for circle in drawing.circles.iter().take(if all { usize::MAX } else { amount }) {
        let old = picture.clone();
        let around = Around::new(&old, circle, random);
        let paint: Box<dyn Fn(f32, f32) -> Option<Rgb<u8>> + '_> = match fault {
            Fault::OtherKind | Fault::OtherColour => Box::new(|dx, dy| Some(around.of(twin, dx, dy))),
            Fault::TwoColours | Fault::Grafted => {
                Box::new(|dx, dy| around.beyond(dx, dy, 0.0).then(|| around.of(twin, dx, dy)))
            }
            Fault::Torn => Box::new(|dx, dy| {
                let slip =
                    around.size * if ((dy / around.stripe).floor() as i64).rem_euclid(2) == 0 { 1.0 } else { -1.0 };
                Some(around.of(&old, dx + slip, dy))
            }),
            Fault::Swirled => Box::new(|dx, dy| {
                let turn = around.turn * (1.0 - dx.hypot(dy) / around.reach);
                let (sin, cos) = turn.sin_cos();
                Some(around.of(&old, dx * cos - dy * sin, dx * sin + dy * cos))
            }),
            Fault::Ghostly => Box::new(|dx, dy| Some(blend(around.of(&old, dx, dy), around.ground(dy), around.veil))),
            Fault::Bitten => Box::new(|dx, dy| around.beyond(dx, dy, around.bite).then(|| around.ground(dy))),
            Fault::Docked => Box::new(|dx, dy| (dx * around.side > around.edge).then(|| around.ground(dy))),
            Fault::Lumps => Box::new(|dx, dy| Some(around.lump(dx, dy))),
        };
        repaint(picture, circle, paint);
    }
}

fn repaint(picture: &mut RgbImage, circle: &Circle, paint: impl Fn(f32, f32) -> Option<Rgb<u8>>) {
    let reach = circle.radius + RIM;
    for y in 0..SIDE {
        for x in 0..SIDE {
            let (dx, dy) = (x as f32 + 0.5 - circle.x, y as f32 + 0.5 - circle.y);
            if dx * dx + dy * dy <= reach * reach
                && let Some(colour) = paint(dx, dy)
            {
                picture.put_pixel(x, y, colour);
            }
        }
    }
}

fn blend(one: Rgb<u8>, other: Rgb<u8>, share: f32) -> Rgb<u8> {
    Rgb(std::array::from_fn(|c| (f32::from(one[c]) + share * (f32::from(other[c]) - f32::from(one[c]))) as u8))
}

/// An object's surroundings, and the fault's own numbers for it.
struct Around<'a> {
    picture: &'a RgbImage,
    circle: Circle,
    reach: f32,
    direction: (f32, f32),
    size: f32,
    stripe: f32,
    turn: f32,
    veil: f32,
    bite: f32,
    side: f32,
    edge: f32,
    colour: Rgb<u8>,
    /// Width to height of a lump, its root.
    stretch: f32,
    corners: f32,
    lobes: [f32; 3],
    /// How far horns stand out of the upper side, in radii, and how many there are around the whole of it.
    horns: f32,
    teeth: f32,
}

impl<'a> Around<'a> {
    fn new(picture: &'a RgbImage, circle: &Circle, random: &mut Random) -> Self {
        let (sin, cos) = random.uniform(0.0, std::f32::consts::TAU).sin_cos();
        let side = if random.chance(0.5) { 1.0 } else { -1.0 };
        let colour = crate::miniature::draw::palette::centre(*random.pick(&Colour::ALL));
        Self {
            picture,
            circle: *circle,
            reach: circle.radius + RIM,
            direction: (cos, sin),
            size: random.uniform(2.5, 5.0),
            stripe: random.uniform(2.5, 6.0),
            turn: side * random.uniform(1.6, 3.2),
            veil: random.uniform(0.55, 0.85),
            bite: random.uniform(-0.1, 0.25),
            side,
            edge: circle.radius * random.uniform(0.3, 0.48),
            colour: Rgb(colour),
            stretch: random.uniform(0.85, 1.18),
            corners: if random.chance(0.5) { 2.0 } else { random.uniform(3.0, 9.0) },
            horns: if random.chance(0.4) { random.uniform(0.12, 0.3) } else { 0.0 },
            teeth: random.uniform(7.0, 13.0),
            lobes: std::array::from_fn(|_| random.uniform(0.0, std::f32::consts::TAU)),
        }
    }

    /// The pixel of `from` at this offset from the circle's centre.
    fn of(&self, from: &RgbImage, dx: f32, dy: f32) -> Rgb<u8> {
        let at = |centre: f32, offset: f32| (centre + offset).floor().clamp(0.0, SIDE as f32 - 1.0) as u32;
        *from.get_pixel(at(self.circle.x, dx), at(self.circle.y, dy))
    }

    /// Whether the offset lies beyond a line `share` of the radius from the centre, in the chosen direction.
    fn beyond(&self, dx: f32, dy: f32, share: f32) -> bool {
        dx * self.direction.0 + dy * self.direction.1 > share * self.circle.radius
    }

    /// What the place looks like in this row: the nearer side of the circle that is inside the picture.
    fn ground(&self, dy: f32) -> Rgb<u8> {
        let beside = self.reach + 1.5;
        let right = self.circle.x + beside < SIDE as f32;
        self.of(self.picture, if right { beside } else { -beside }, dy)
    }

    /// A blob with an outline: a circle, or something nearer to a square, with waves.
    fn lump(&self, dx: f32, dy: f32) -> Rgb<u8> {
        let angle = dy.atan2(dx);
        let waves = 0.1 * (2.0 * angle + self.lobes[0]).sin() + 0.08 * (3.0 * angle + self.lobes[1]).sin();
        let edge = self.circle.radius * (0.72 + waves + 0.04 * (5.0 * angle + self.lobes[2]).sin());
        let upper = (-angle.sin()).max(0.0).sqrt();
        let edge = edge + self.circle.radius * self.horns * upper * (self.teeth * angle + self.lobes[0]).sin();
        let (across, down) = ((dx / self.stretch).abs(), (dy * self.stretch).abs());
        let distance = (across.powf(self.corners) + down.powf(self.corners)).powf(1.0 / self.corners);
        match distance {
            distance if distance < edge - 1.2 => self.colour,
            distance if distance < edge + 0.4 => Rgb([38, 32, 42]),
            _ => self.ground(dy),
        }
    }
}

/// Pictures without a scene: an empty field, static, stripes, or something seen without glasses.
pub(super) fn nothing(random: &mut Random) -> RgbImage {
    let any = |random: &mut Random| Rgb([random.below(256) as u8, random.below(256) as u8, random.below(256) as u8]);
    match random.below(4) {
        0 => RgbImage::from_pixel(SIDE, SIDE, any(random)),
        1 => {
            let grain = [64, 32, 16, 8][random.below(4)];
            let strength = random.uniform(30.0, 120.0);
            let grains = RgbImage::from_fn(grain, grain, |_, _| {
                Rgb(std::array::from_fn(|_| (128.0 + strength * random.normal()).clamp(0.0, 255.0) as u8))
            });
            imageops::resize(&grains, SIDE, SIDE, imageops::FilterType::CatmullRom)
        }
        2 => {
            let (one, two, width) = (any(random), any(random), 2 + random.below(12) as u32);
            let upright = random.chance(0.5);
            RgbImage::from_fn(SIDE, SIDE, |x, y| {
                let across = if upright { x } else { y };
                if (across / width).is_multiple_of(2) { one } else { two }
            })
        }
        _ => {
            let mut place = draw_background(*random.pick(&Background::ALL), random.bits());
            for _ in 0..3 {
                let (x, y, colour) = (random.below(48), random.below(48), any(random));
                imageops::replace(&mut place, &RgbImage::from_pixel(16, 16, colour), x as i64, y as i64);
            }
            imageops::blur(&place, random.uniform(5.0, 9.0))
        }
    }
}
