//! The shapes themselves, in the unit circle with y downwards.

use std::f32::consts::{PI, TAU};

use tiny_skia::{Path, PathBuilder, Rect};

use super::figure::Parts;
use crate::miniature::grammar::Object;

type Point = (f32, f32);

/// Degrees that things which stand upright may lean.
const UPRIGHT: f32 = 12.0;
/// Corners that stand for a curve drawn point by point.
const CORNERS: usize = 24;

pub(super) fn parts(object: Object) -> Parts {
    match object {
        Object::Star => star(),
        Object::Heart => heart(),
        Object::Fish => fish(),
        Object::Mug => mug(0.56, 0.28),
        Object::Tree => tree(),
        Object::Car => car(),
        Object::Cat => cat(),
        Object::House => house(),
        Object::Moon => moon(),
        Object::Flower => flower(),
        Object::Umbrella => umbrella(),
        Object::Boat => boat(),
    }
}

pub(super) fn path(draw: impl FnOnce(&mut PathBuilder)) -> Path {
    let mut builder = PathBuilder::new();
    draw(&mut builder);
    builder.finish().expect("the shape is not empty")
}

fn some(draw: impl FnOnce(&mut PathBuilder)) -> Option<Path> {
    Some(path(draw))
}

pub(super) fn polygon(builder: &mut PathBuilder, points: &[Point]) {
    for (index, &(x, y)) in points.iter().enumerate() {
        if index == 0 { builder.move_to(x, y) } else { builder.line_to(x, y) }
    }
    builder.close();
}

fn bar(builder: &mut PathBuilder, left: f32, top: f32, right: f32, bottom: f32) {
    // Clockwise like every polygon here, so that overlapping parts add up under the winding rule.
    polygon(builder, &[(left, top), (right, top), (right, bottom), (left, bottom)]);
}

fn ellipse(builder: &mut PathBuilder, (x, y): Point, rx: f32, ry: f32) {
    builder.push_oval(Rect::from_ltrb(x - rx, y - ry, x + rx, y + ry).expect("radii are positive"));
}

fn arc((x, y): Point, radius: f32, from: f32, to: f32) -> impl Iterator<Item = Point> {
    (0..=CORNERS).map(move |step| {
        let angle = from + (to - from) * step as f32 / CORNERS as f32;
        (x + radius * angle.cos(), y + radius * angle.sin())
    })
}

/// A body that stands for itself.
pub(super) fn parts_of(body: Path, lean: f32) -> Parts {
    Parts { behind: None, body, dark: None, light: None, lean }
}

fn star() -> Parts {
    pointed(5, 0.45)
}

/// A star with so many points; `inner` is how far the corners between them are from the centre.
pub(super) fn pointed(points: usize, inner: f32) -> Parts {
    let corner = |index: usize| {
        let angle = index as f32 * PI / points as f32 - PI / 2.0;
        let radius = if index.is_multiple_of(2) { 1.0 } else { inner };
        (radius * angle.cos(), radius * angle.sin())
    };
    let corners: Vec<Point> = (0..2 * points).map(corner).collect();
    // A turn by a point's share gives the same star, so half of it either way is every pose there is.
    parts_of(path(|b| polygon(b, &corners)), 180.0 / points as f32)
}

fn heart() -> Parts {
    let body = path(|b| {
        b.move_to(0.0, 0.92);
        b.cubic_to(-0.35, 0.55, -0.98, 0.2, -0.98, -0.32);
        b.cubic_to(-0.98, -0.98, -0.18, -1.02, 0.0, -0.45);
        b.cubic_to(0.18, -1.02, 0.98, -0.98, 0.98, -0.32);
        b.cubic_to(0.98, 0.2, 0.35, 0.55, 0.0, 0.92);
        b.close();
    });
    Parts { behind: None, body, dark: None, light: None, lean: 18.0 }
}

fn fish() -> Parts {
    let body = path(|b| {
        ellipse(b, (-0.24, 0.0), 0.74, 0.54);
        polygon(b, &[(0.2, 0.0), (0.98, -0.58), (0.8, 0.0), (0.98, 0.58)]);
        polygon(b, &[(-0.4, -0.42), (0.2, -0.78), (0.2, -0.2)]);
    });
    let light = some(|b| ellipse(b, (-0.56, -0.12), 0.16, 0.16));
    Parts { behind: None, body, dark: None, light, lean: 18.0 }
}

/// `outer` and `inner` are the radii of its handle.
pub(super) fn mug(outer: f32, inner: f32) -> Parts {
    let body = path(|b| {
        polygon(b, &[(-0.82, -0.68), (0.42, -0.68), (0.36, 0.74), (-0.76, 0.74)]);
        let outer = arc((0.4, 0.0), outer, -PI / 2.0, PI / 2.0);
        let inner = arc((0.4, 0.0), inner, PI / 2.0, -PI / 2.0);
        polygon(b, &outer.chain(inner).collect::<Vec<_>>());
    });
    let dark = some(|b| ellipse(b, (-0.2, -0.64), 0.5, 0.14));
    Parts { behind: None, body, dark, light: None, lean: UPRIGHT }
}

fn tree() -> Parts {
    let body = path(|b| {
        polygon(b, &[(0.0, -1.0), (0.44, -0.38), (-0.44, -0.38)]);
        polygon(b, &[(0.0, -0.7), (0.6, 0.12), (-0.6, 0.12)]);
        polygon(b, &[(0.0, -0.3), (0.76, 0.62), (-0.76, 0.62)]);
    });
    let behind = some(|b| bar(b, -0.18, 0.5, 0.18, 1.0));
    Parts { behind, body, dark: None, light: None, lean: 8.0 }
}

fn car() -> Parts {
    let body = path(|b| {
        polygon(b, &[(-1.0, -0.08), (0.86, -0.08), (1.0, 0.1), (1.0, 0.42), (-1.0, 0.42)]);
        polygon(b, &[(-0.66, 0.0), (-0.42, -0.6), (0.28, -0.6), (0.6, 0.0)]);
    });
    let dark = some(|b| {
        ellipse(b, (-0.52, 0.44), 0.28, 0.28);
        ellipse(b, (0.52, 0.44), 0.28, 0.28);
    });
    let light = some(|b| {
        polygon(b, &[(-0.4, -0.1), (-0.28, -0.42), (-0.12, -0.42), (-0.12, -0.1)]);
        polygon(b, &[(0.06, -0.1), (0.06, -0.42), (0.18, -0.42), (0.36, -0.1)]);
    });
    Parts { behind: None, body, dark, light, lean: UPRIGHT }
}

fn cat() -> Parts {
    let body = path(|b| {
        ellipse(b, (0.0, 0.2), 0.86, 0.68);
        polygon(b, &[(-0.84, 0.2), (-0.78, -0.94), (-0.1, -0.4)]);
        polygon(b, &[(0.78, -0.94), (0.84, 0.2), (0.1, -0.4)]);
    });
    let light = some(|b| {
        ellipse(b, (-0.34, 0.06), 0.17, 0.17);
        ellipse(b, (0.34, 0.06), 0.17, 0.17);
    });
    let dark = some(|b| polygon(b, &[(-0.16, 0.36), (0.16, 0.36), (0.0, 0.58)]));
    Parts { behind: None, body, dark, light, lean: 14.0 }
}

fn house() -> Parts {
    let body = path(|b| {
        bar(b, -0.64, -0.1, 0.64, 0.84);
        polygon(b, &[(0.0, -0.94), (0.96, 0.0), (-0.96, 0.0)]);
    });
    let dark = some(|b| bar(b, -0.42, 0.28, -0.06, 0.84));
    let light = some(|b| bar(b, 0.14, 0.18, 0.46, 0.5));
    Parts { behind: None, body, dark, light, lean: 8.0 }
}

fn moon() -> Parts {
    crescent(0.5, 0.95)
}

/// `centre` of the inner circle: the farther, the fatter; `horn`: where the horns are, as an angle seen from the outer circle's centre.
pub(super) fn crescent(centre: f32, horn: f32) -> Parts {
    let body = path(|b| {
        let outer = arc((-0.1, 0.0), 0.96, horn, TAU - horn);
        // The inner circle passes through both horns.
        let (hx, hy) = (-0.1 + 0.96 * horn.cos(), 0.96 * horn.sin());
        let (radius, angle) = ((hx - centre).hypot(hy), hy.atan2(hx - centre));
        let inner = arc((centre, 0.0), radius, TAU - angle, angle);
        polygon(b, &outer.chain(inner).collect::<Vec<_>>());
    });
    parts_of(body, 25.0)
}

fn flower() -> Parts {
    const PETALS: usize = 6;
    let head = (0.0, -0.34);
    let body = path(|b| {
        for petal in 0..PETALS {
            let angle = petal as f32 * TAU / PETALS as f32;
            ellipse(b, (head.0 + 0.4 * angle.cos(), head.1 + 0.4 * angle.sin()), 0.27, 0.27);
        }
        ellipse(b, head, 0.34, 0.34);
    });
    let behind = some(|b| {
        bar(b, -0.09, -0.3, 0.09, 1.0);
        polygon(b, &[(0.0, 0.9), (0.1, 0.5), (0.6, 0.42), (0.45, 0.78)]);
    });
    let light = some(|b| ellipse(b, head, 0.22, 0.22));
    Parts { behind, body, dark: None, light, lean: UPRIGHT }
}

fn umbrella() -> Parts {
    let body = path(|b| {
        let dome = arc((0.0, 0.1), 0.98, PI, TAU);
        let scallops = (0..3).flat_map(|third| arc((0.653 - third as f32 * 0.653, 0.1), 0.3266, 0.0, -PI));
        polygon(b, &dome.chain(scallops).collect::<Vec<_>>());
    });
    let behind = some(|b| {
        bar(b, -0.09, -1.0, 0.09, 0.8);
        let hook = arc((0.2, 0.74), 0.29, PI, 0.0);
        polygon(b, &hook.chain(arc((0.2, 0.74), 0.11, 0.0, PI)).collect::<Vec<_>>());
    });
    Parts { behind, body, dark: None, light: None, lean: 16.0 }
}

fn boat() -> Parts {
    let body = path(|b| {
        polygon(b, &[(-0.96, 0.3), (0.96, 0.3), (0.6, 0.84), (-0.6, 0.84)]);
        polygon(b, &[(0.0, -0.96), (0.74, 0.36), (0.0, 0.36)]);
    });
    let behind = some(|b| {
        polygon(b, &[(0.0, -0.9), (0.0, 0.36), (-0.88, 0.36)]);
    });
    let light = some(|b| polygon(b, &[(-0.16, -0.36), (-0.16, 0.18), (-0.54, 0.18)]));
    Parts { behind, body, dark: None, light, lean: UPRIGHT }
}
