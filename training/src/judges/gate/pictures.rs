//! What the gate learns from: scenes as drawn, scenes with a stranger among the objects, and spoiled ones.

use image::RgbImage;

use super::spoil;
use crate::{
    judges::{
        redraw::Original,
        shown::{OTHER_COLOUR, OTHER_OBJECT, POORLY_REDRAWN, Sample, Shown},
    },
    miniature::{
        draw::{Drawing, Odd, draw_number, draw_some_odd, palette},
        grammar::{Category, Colour, Object, Scene},
    },
    random::Random,
};

/// Shares of what is drawn; what is left is whole scenes.
const STRANGER: f32 = 0.10;
const MOTLEY: f32 = 0.08;
const SPOILED: f32 = 0.28;
const RUBBISH: f32 = 0.04;
/// How often what is spoiled is one of the objects that the pack draws poorly, in a way in which it does.
const POOR: f32 = 0.35;
/// How often it is mugs that are blocks without a handle.
const BLOCKS: f32 = 0.3;
/// How often stars and mugs of a whole scene have the pack's forms of them.
const ODD_FORM: f32 = 0.4;
/// How often a whole scene has a number that no prompt asks for: none, seven, eight.
const ODD_NUMBER: f32 = 0.12;
const ODD_NUMBERS: [u8; 4] = [0, 7, 7, 8];
/// How often what the pack redraws is a whole scene, and the strengths of these: from a change of texture to one of outlines.
const REDRAWN_WHOLE: f32 = 0.5;
const OUTLINES: (f32, f32) = (0.05, 0.35);
/// Strengths at which anything is redrawn with its own prompt: the pack makes of a fault what it makes of its own faults,
/// and has not the steps to mend it.
const FAULTS: (f32, f32) = (0.05, 0.22);

/// A drawing of a scene that says everything, and the seed that draws others of the same layout.
struct Basis {
    scene: Scene,
    number: u8,
    seed: u64,
    drawing: Drawing,
}

impl Basis {
    fn draw(random: &mut Random, odd: f32) -> Self {
        Self::draw_of(&Object::ALL, random, odd)
    }

    fn draw_of(objects: &[Object], random: &mut Random, odd: f32) -> Self {
        let mut scene = Scene::sample(Category::Composition, objects, random);
        let number = if random.chance(odd) { *random.pick(&ODD_NUMBERS) } else { scene.number() };
        if random.chance(0.5) && number == scene.number() {
            // Generated pictures of short prompts leave colour and place open, as drawings do.
            scene = Scene { colour: None, background: None, ..scene };
        }
        let seed = random.bits();
        let drawing = draw_number(&scene, number, seed);
        Self { scene, number, seed, drawing }
    }

    /// The same with everything said: others of the same layout can then be drawn from the same seed.
    fn said(self) -> Self {
        let scene = self.drawing.truth;
        let drawing = draw_number(&scene, self.number, self.seed);
        Self { scene, drawing, ..self }
    }

    /// The same layout with other objects; everything must be said.
    fn with_object(&self, random: &mut Random) -> RgbImage {
        let others: Vec<Object> = Object::ALL.into_iter().filter(|other| *other != self.scene.object).collect();
        draw_number(&Scene { object: *random.pick(&others), ..self.scene }, self.number, self.seed).picture
    }

    /// The same layout in another colour; everything must be said.
    fn with_colour(&self, random: &mut Random) -> RgbImage {
        let others: Vec<Colour> = Colour::ALL.into_iter().filter(|other| Some(*other) != self.scene.colour).collect();
        draw_number(&Scene { colour: Some(*random.pick(&others)), ..self.scene }, self.number, self.seed).picture
    }

    fn shown(&self) -> Shown {
        Shown::drawn(&self.drawing.truth, self.number)
    }
}

/// A picture for a batch.
pub(super) fn sample(random: &mut Random) -> Sample {
    any(random).0
}

/// A picture, and the scene that it was to be.
fn any(random: &mut Random) -> (Sample, Scene) {
    let chosen = random.unit() as f32;
    let bounds = [RUBBISH, RUBBISH + STRANGER, RUBBISH + STRANGER + MOTLEY, RUBBISH + STRANGER + MOTLEY + SPOILED];
    match bounds.iter().position(|bound| chosen < *bound) {
        Some(0) => {
            let rubbish = Sample { picture: spoil::rubbish(random), shown: Shown::rubbish() };
            (rubbish, Scene::sample(Category::Composition, &Object::ALL, random))
        }
        Some(1) => stranger(random, true),
        Some(2) => stranger(random, false),
        Some(_) => spoiled(random),
        None => whole(random),
    }
}

/// A picture for the pack to draw again.
pub(super) fn original(random: &mut Random) -> Original {
    let ((sample, prompt), (least, most)) =
        if random.chance(REDRAWN_WHOLE) { (whole(random), OUTLINES) } else { (any(random), FAULTS) };
    Original { sample, prompt, strength: random.uniform(least, most) }
}

fn whole(random: &mut Random) -> (Sample, Scene) {
    let basis = Basis::draw(random, ODD_NUMBER);
    let odd = Odd::of(basis.scene.object);
    let odd = odd.filter(|_| random.chance(ODD_FORM)).map(|odd| (odd, usize::from(basis.number)));
    let drawing = draw_some_odd(&basis.scene, basis.number, odd, basis.seed);
    (Sample { shown: Shown::drawn(&drawing.truth, basis.number), picture: drawing.picture }, drawing.truth)
}

/// Two kinds of objects, or two colours, in one picture.
fn stranger(random: &mut Random, kind: bool) -> (Sample, Scene) {
    let basis = loop {
        let basis = Basis::draw(random, 0.0);
        if basis.number > 1 {
            break basis;
        }
    };
    let basis = basis.said();
    let other = if kind { basis.with_object(random) } else { basis.with_colour(random) };
    let strangers = 1 + random.below(usize::from(basis.number) - 1);
    let mut picture = basis.drawing.picture.clone();
    for circle in &basis.drawing.circles[..strangers] {
        spoil::replace(&mut picture, &other, circle, |_, _| true);
    }
    let shown = if kind {
        Shown { object: Some(OTHER_OBJECT), ..basis.shown() }
    } else {
        Shown { colour: Some(OTHER_COLOUR), ..basis.shown() }
    };
    (Sample { picture, shown }, basis.scene)
}

/// One object or more is not whole.
fn spoiled(random: &mut Random) -> (Sample, Scene) {
    if random.chance(BLOCKS) {
        return blocks(random);
    }
    let poor = random.chance(POOR);
    let basis = Basis::draw_of(if poor { &POORLY_REDRAWN } else { &Object::ALL }, random, 0.0).said();
    let mut picture = basis.drawing.picture.clone();
    let amount = 1 + random.below(usize::from(basis.number));
    let way = if poor { *random.pick(&spoil::POOR_WAYS) } else { random.below(spoil::WAYS) };
    let chimera = way == 0;
    let colour = palette::centre(basis.scene.colour.unwrap_or(Colour::Red));
    let other = if chimera { basis.with_object(random) } else { picture.clone() };
    for circle in &basis.drawing.circles[..amount] {
        spoil::spoil(way, &mut picture, &other, circle, colour, random);
    }
    let one_kind = !chimera && amount < usize::from(basis.number);
    let object = basis.shown().object.filter(|_| one_kind);
    let shown = Shown { object, count: None, whole: Some(0), ..basis.shown() };
    (Sample { picture, shown }, basis.scene)
}

/// Mugs, some of them or all without a handle.
fn blocks(random: &mut Random) -> (Sample, Scene) {
    let basis = Basis::draw_of(&[Object::Mug], random, 0.0);
    let odd = (Odd::Block, 1 + random.below(usize::from(basis.number)));
    let drawing = draw_some_odd(&basis.scene, basis.number, Some(odd), basis.seed);
    let shown = Shown { object: None, whole: Some(0), ..Shown::drawn(&drawing.truth, basis.number) };
    (Sample { picture: drawing.picture, shown }, drawing.truth)
}
