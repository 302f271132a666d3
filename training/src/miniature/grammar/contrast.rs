//! Rule-made prompts with another meaning: what the paper's prompt classification chooses among.

use super::{Background, Colour, Count, Object, Scene};
use crate::miniature::Random;

/// What a contrast changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Change {
    Object,
    Count,
    Colour,
    Background,
}

impl Scene {
    /// Every scene that differs from this one in exactly one thing that it says, with what was changed.
    ///
    /// What the prompt leaves open stays open, since any value of it would still be right. An unsaid count means one, so
    /// it can be changed too.
    pub fn contrasts(&self) -> Vec<(Change, Scene)> {
        let mut all = Vec::new();
        let objects = Object::ALL.into_iter().filter(|object| *object != self.object);
        // A prompt about seen objects must not name a held-out one: its contrasts are training data.
        let objects = objects.filter(|object| self.object.is_held_out() || !object.is_held_out());
        all.extend(objects.map(|object| (Change::Object, Scene { object, ..*self })));
        let counts = Count::all().filter(|count| count.get() != self.number());
        all.extend(counts.map(|count| (Change::Count, Scene { count: Some(count), ..*self })));
        if let Some(said) = self.colour {
            let colours = Colour::ALL.into_iter().filter(|colour| *colour != said);
            all.extend(colours.map(|colour| (Change::Colour, Scene { colour: Some(colour), ..*self })));
        }
        if let Some(said) = self.background {
            let places = Background::ALL.into_iter().filter(|place| *place != said);
            all.extend(places.map(|place| (Change::Background, Scene { background: Some(place), ..*self })));
        }
        all
    }

    /// `amount` different contrasts (fewer only if there are no more), the kinds of change as even as they can be.
    pub fn some_contrasts(&self, amount: usize, random: &mut Random) -> Vec<(Change, Scene)> {
        let mut all = self.contrasts();
        random.shuffle(&mut all);
        let mut seen = [0usize; 4];
        let mut ranked: Vec<_> = all
            .into_iter()
            .map(|contrast| {
                let turn = &mut seen[contrast.0 as usize];
                *turn += 1;
                (*turn, contrast)
            })
            .collect();
        ranked.sort_by_key(|(turn, _)| *turn);
        ranked.into_iter().take(amount).map(|(_, contrast)| contrast).collect()
    }
}
