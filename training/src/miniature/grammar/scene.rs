//! What a prompt means, and how it is said.

use std::fmt;

use super::{Background, Colour, Count, Object};
use crate::miniature::Random;

/// The meaning of a prompt. What is `None` was not said, so any value is right; an unsaid count means one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scene {
    /// What is drawn.
    pub object: Object,
    /// How many, when said as a number ("one star", not "a star").
    pub count: Option<Count>,
    /// The objects' colour.
    pub colour: Option<Colour>,
    /// Where they are.
    pub background: Option<Background>,
}

/// The paper's kinds of prompts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// The object alone.
    Object,
    /// A count and nothing else.
    Count,
    /// A colour and nothing else.
    Colour,
    /// A background and nothing else.
    Background,
    /// More than one of them.
    Composition,
}

impl Category {
    /// Every category, in a fixed order.
    pub const ALL: [Self; 5] = [Self::Object, Self::Count, Self::Colour, Self::Background, Self::Composition];

    /// The name used in tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Count => "count",
            Self::Colour => "colour",
            Self::Background => "background",
            Self::Composition => "composition",
        }
    }
}

const OPENINGS: [&str; 4] = ["", "a picture of ", "a drawing of ", "an image of "];
/// How often a paraphrase begins with one of the openings.
const OPENING_RATE: f32 = 0.25;

impl Scene {
    /// One object with nothing else said.
    pub fn of(object: Object) -> Self {
        Self { object, count: None, colour: None, background: None }
    }

    /// How many objects the scene shows.
    pub fn number(&self) -> u8 {
        self.count.map_or(1, Count::get)
    }

    /// Which kind of prompt this is.
    pub fn category(&self) -> Category {
        match (self.count, self.colour, self.background) {
            (None, None, None) => Category::Object,
            (Some(_), None, None) => Category::Count,
            (None, Some(_), None) => Category::Colour,
            (None, None, Some(_)) => Category::Background,
            _ => Category::Composition,
        }
    }

    /// A scene of the given category, everything that it says drawn uniformly.
    pub fn sample(category: Category, objects: &[Object], random: &mut Random) -> Self {
        let mut scene = Self::of(*random.pick(objects));
        let all = category == Category::Composition;
        if all || category == Category::Count {
            scene.count = Count::new(1 + random.below(usize::from(Count::MAX)) as u8);
        }
        if all || category == Category::Colour {
            scene.colour = Some(*random.pick(&Colour::ALL));
        }
        if all || category == Category::Background {
            scene.background = Some(*random.pick(&Background::ALL));
        }
        scene
    }

    /// The canonical prompt, as in "two blue stars on the beach".
    pub fn prompt(&self) -> String {
        self.say("", self.background.map(|background| background.phrases()[0]))
    }

    /// The same meaning in other words.
    pub fn paraphrase(&self, random: &mut Random) -> String {
        let opening = if random.chance(OPENING_RATE) { *random.pick(&OPENINGS) } else { "" };
        self.say(opening, self.background.map(|background| *random.pick(background.phrases())))
    }

    fn say(&self, opening: &str, place: Option<&str>) -> String {
        let (singular, plural) = self.object.words();
        let noun = if self.number() == 1 { singular } else { plural };
        let colour = self.colour.map(|colour| format!("{} ", colour.word())).unwrap_or_default();
        let described = format!("{colour}{noun}");
        let quantity = self.count.map_or_else(|| article(&described), Count::word);
        let place = place.map(|place| format!(" {place}")).unwrap_or_default();
        format!("{opening}{quantity} {described}{place}")
    }
}

fn article(following: &str) -> &'static str {
    if following.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.prompt())
    }
}
