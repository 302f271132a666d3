//! Objects as figures: a coloured body with a dark outline, and dark or light parts.

use std::sync::LazyLock;

use tiny_skia::{Color, FillRule, Paint, Path, Pixmap, Stroke, Transform};

use super::{
    layout::Pose,
    outline,
    palette::{INK, LIGHT, STEM, solid},
};
use crate::miniature::grammar::Object;

/// Width of the line around a body, in units of the figure (half of it lies outside): 1.8 pixels at radius 9.
const LINE: f32 = 0.2;
/// How finely curves are flattened when outlines are prepared, for figures about ten pixels in radius.
const RESOLUTION: f32 = 20.0;

/// A figure inside the unit circle, y downwards.
pub(super) struct Figure {
    /// Painted first: what sticks out behind the body.
    behind: Option<Path>,
    body: Path,
    border: Path,
    dark: Option<Path>,
    light: Option<Path>,
    /// Largest lean, in degrees.
    pub(super) lean: f32,
}

/// The parts that `outline` gives for an object.
pub(super) struct Parts {
    pub(super) behind: Option<Path>,
    pub(super) body: Path,
    pub(super) dark: Option<Path>,
    pub(super) light: Option<Path>,
    pub(super) lean: f32,
}

static FIGURES: LazyLock<Vec<Figure>> =
    LazyLock::new(|| Object::ALL.into_iter().map(|object| Figure::new(outline::parts(object))).collect());

impl Figure {
    pub(super) fn of(object: Object) -> &'static Self {
        &FIGURES[object as usize]
    }

    pub(super) fn new(parts: Parts) -> Self {
        let stroke = Stroke { width: LINE, line_join: tiny_skia::LineJoin::Round, ..Stroke::default() };
        let border = parts.body.stroke(&stroke, RESOLUTION).expect("a body has an outline");
        Self { behind: parts.behind, body: parts.body, border, dark: parts.dark, light: parts.light, lean: parts.lean }
    }

    pub(super) fn paint(&self, canvas: &mut Pixmap, pose: &Pose, colour: Color) {
        let side = if pose.mirrored { -pose.radius } else { pose.radius };
        let place = Transform::from_scale(side, pose.radius).post_rotate(pose.lean).post_translate(pose.x, pose.y);
        let layers = [
            (self.behind.as_ref(), solid(STEM)),
            (Some(&self.border), solid(INK)),
            (Some(&self.body), colour),
            (self.dark.as_ref(), solid(INK)),
            (self.light.as_ref(), solid(LIGHT)),
        ];
        for (path, ink) in layers {
            if let Some(path) = path {
                fill(canvas, path, ink, place);
            }
        }
    }
}

/// Fills `path` on `canvas`, anti-aliased.
pub(super) fn fill(canvas: &mut Pixmap, path: &Path, colour: Color, place: Transform) {
    let mut paint = Paint { anti_alias: true, ..Paint::default() };
    paint.set_color(colour);
    canvas.fill_path(path, &paint, FillRule::Winding, place, None);
}
