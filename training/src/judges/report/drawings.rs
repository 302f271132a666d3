//! What the report judge learns from: a drawing, perhaps with a fault.

use super::faults::{self, Fault};
use crate::{
    judges::{
        redraw::Original,
        shown::{OTHER_COLOUR, OTHER_OBJECT, POORLY_REDRAWN, Sample, Shown},
    },
    miniature::{
        draw::{Drawing, Odd, draw_number, draw_some_odd},
        grammar::{Background, Colour, Count, Object, Scene},
    },
    random::Random,
};

/// Of a hundred drawings: without fault, with one fault of each kind, and no drawing at all.
const SOUND: usize = 56;
const FAULTY: usize = 40;
const HUNDRED: usize = 100;
/// Most objects drawn.
const MOST: u8 = 8;
/// One drawing in so many that go through the pack is sound.
const SOUND_OF: usize = 2;
/// One fault in so many is what the pack does to an object that it draws poorly.
const POOR_OF: usize = 2;
/// One faulty drawing in so many is of mugs without handles.
const BLOCKS_OF: usize = 5;
/// One sound drawing in so many of stars and mugs has the pack's forms of them.
const ODD_OF: usize = 2;

/// A scene that says everything, uniformly; none, seven or eight objects a little more rarely than other numbers.
fn scene(random: &mut Random) -> (Scene, u8) {
    let number = match random.below(20) {
        0 => 0,
        1 => MOST - random.below(2) as u8,
        _ => 1 + random.below(usize::from(Count::MAX)) as u8,
    };
    // Seven of ten drawings without a place are on paper, and objects have their natural colour often: both are said here.
    let background = if random.below(4) == 0 { Background::Plain } else { *random.pick(&Background::ALL) };
    let scene = Scene {
        object: *random.pick(&Object::ALL),
        count: Count::new(number),
        colour: Some(*random.pick(&Colour::ALL)),
        background: Some(background),
    };
    (scene, number)
}

fn sound(random: &mut Random) -> (Sample, Scene) {
    let (scene, number) = scene(random);
    let odd = Odd::of(scene.object).map(|odd| (odd, usize::from(number)));
    let odd = odd.filter(|_| random.below(ODD_OF) == 0);
    let Drawing { picture, truth, .. } = draw_some_odd(&scene, number, odd, random.bits());
    (Sample { picture, shown: Shown::drawn(&truth, number) }, scene)
}

/// Mugs, some of them or all drawn as blocks without a handle.
fn blocks(random: &mut Random) -> (Sample, Scene) {
    let (scene, number) = loop {
        let (scene, number) = scene(random);
        if number > 0 {
            break (Scene { object: Object::Mug, ..scene }, number);
        }
    };
    let odd = (Odd::Block, 1 + random.below(usize::from(number)));
    let Drawing { picture, truth, .. } = draw_some_odd(&scene, number, Some(odd), random.bits());
    let shown = Shown { object: Some(OTHER_OBJECT), whole: Some(0), ..Shown::drawn(&truth, number) };
    (Sample { picture, shown }, scene)
}

fn faulty(random: &mut Random) -> (Sample, Scene) {
    if random.below(BLOCKS_OF) == 0 {
        return blocks(random);
    }
    let poor = random.below(POOR_OF) == 0;
    let (scene, number, fault) = loop {
        let ((mut scene, number), mut fault) = (scene(random), *random.pick(&Fault::ALL));
        if poor {
            scene.object = *random.pick(&POORLY_REDRAWN);
            fault = *random.pick(&[Fault::Docked, Fault::Lumps]);
        }
        if number >= fault.least() {
            break (scene, number, fault);
        }
    };
    let seed = random.bits();
    let drawing = draw_number(&scene, number, seed);
    let twin = draw_number(&twin(&scene, fault, random), number, seed);
    // All of them may have the fault, but where that would be another scene.
    let most = if fault.is_stranger() { number - 1 } else { number };
    let faults = 1 + random.below(usize::from(most.max(1)));
    let mut picture = drawing.picture.clone();
    faults::commit(fault, &mut picture, &drawing, &twin.picture, faults, random);
    let known = Shown::drawn(&drawing.truth, number);
    let shown = match fault {
        Fault::OtherKind => Shown { object: Some(OTHER_OBJECT), ..known },
        Fault::OtherColour => Shown { colour: Some(OTHER_COLOUR), ..known },
        Fault::TwoColours => Shown { colour: Some(OTHER_COLOUR), whole: None, ..known },
        Fault::Lumps => Shown { object: Some(OTHER_OBJECT), count: None, colour: None, whole: Some(0), ..known },
        _ => Shown { object: None, count: None, whole: Some(0), ..known },
    };
    (Sample { picture, shown }, scene)
}

/// The scene that strangers are taken from: another object or another colour at the same places.
fn twin(scene: &Scene, fault: Fault, random: &mut Random) -> Scene {
    let mut twin = *scene;
    let recoloured = matches!(fault, Fault::OtherColour | Fault::TwoColours);
    while twin == *scene {
        if recoloured {
            twin.colour = Some(*random.pick(&Colour::ALL));
        } else {
            twin.object = *random.pick(&Object::ALL);
        }
    }
    twin
}

/// Any of them.
pub(super) fn any(random: &mut Random) -> Sample {
    match random.below(HUNDRED) {
        at if at < SOUND => sound(random).0,
        at if at < SOUND + FAULTY => faulty(random).0,
        _ => Sample { picture: faults::nothing(random), shown: Shown::rubbish() },
    }
}

/// A drawing that the pack is to draw again, told what it was to be: its faults then look like the pack's own. Sound ones may change in
/// outline; with others it has too few steps left to mend them.
pub(super) fn for_the_pack(random: &mut Random) -> Original {
    let ((sample, prompt), strengths) =
        if random.below(SOUND_OF) == 0 { (sound(random), 7) } else { (faulty(random), 4) };
    Original { sample, prompt, strength: 0.05 + 0.05 * random.below(strengths) as f32 }
}
