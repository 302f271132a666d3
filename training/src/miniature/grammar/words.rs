//! The vocabulary: objects, counts, colours and backgrounds, each with the words that name it.

/// Things that can be drawn; silhouettes differ enough to be told apart at 14 pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Object {
    Star,
    Heart,
    Fish,
    Mug,
    Tree,
    Car,
    Cat,
    House,
    Moon,
    Flower,
    Umbrella,
    Boat,
}

impl Object {
    /// Every object, in a fixed order.
    pub const ALL: [Self; 12] = [
        Self::Star,
        Self::Heart,
        Self::Fish,
        Self::Mug,
        Self::Tree,
        Self::Car,
        Self::Cat,
        Self::House,
        Self::Moon,
        Self::Flower,
        Self::Umbrella,
        Self::Boat,
    ];
    /// Held out of votes, reward training and fine-tuning; pre-training sees them, as CLIP and SD v1.5 had seen the paper's.
    pub const HELD_OUT: [Self; 3] = [Self::Mug, Self::Moon, Self::Boat];

    /// Objects that votes, reward training and fine-tuning may see.
    pub fn seen() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|object| !object.is_held_out())
    }

    /// Whether the object belongs to [`Self::HELD_OUT`].
    pub fn is_held_out(self) -> bool {
        Self::HELD_OUT.contains(&self)
    }

    /// Singular and plural.
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Star => ("star", "stars"),
            Self::Heart => ("heart", "hearts"),
            Self::Fish => ("fish", "fish"),
            Self::Mug => ("mug", "mugs"),
            Self::Tree => ("tree", "trees"),
            Self::Car => ("car", "cars"),
            Self::Cat => ("cat", "cats"),
            Self::House => ("house", "houses"),
            Self::Moon => ("moon", "moons"),
            Self::Flower => ("flower", "flowers"),
            Self::Umbrella => ("umbrella", "umbrellas"),
            Self::Boat => ("boat", "boats"),
        }
    }
}

/// Colours an object can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Colour {
    Red,
    Orange,
    Yellow,
    Green,
    Blue,
    Purple,
    Pink,
    Brown,
}

impl Colour {
    /// Every colour, in a fixed order.
    pub const ALL: [Self; 8] =
        [Self::Red, Self::Orange, Self::Yellow, Self::Green, Self::Blue, Self::Purple, Self::Pink, Self::Brown];

    /// The colour's name.
    pub fn word(self) -> &'static str {
        match self {
            Self::Red => "red",
            Self::Orange => "orange",
            Self::Yellow => "yellow",
            Self::Green => "green",
            Self::Blue => "blue",
            Self::Purple => "purple",
            Self::Pink => "pink",
            Self::Brown => "brown",
        }
    }
}

/// Places a scene can be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Background {
    Plain,
    Beach,
    Forest,
    City,
    Snow,
    Desert,
    Night,
}

impl Background {
    /// Every background, in a fixed order.
    pub const ALL: [Self; 7] =
        [Self::Plain, Self::Beach, Self::Forest, Self::City, Self::Snow, Self::Desert, Self::Night];

    /// Ways to say it; the first is the canonical one.
    pub fn phrases(self) -> &'static [&'static str] {
        match self {
            Self::Plain => &["on a plain background", "on plain paper"],
            Self::Beach => &["on the beach", "at the beach", "on a sandy beach"],
            Self::Forest => &["in the forest", "in a forest", "in the woods"],
            Self::City => &["in the city", "in a city", "in the town"],
            Self::Snow => &["in the snow", "on the snow", "in a snowy field"],
            Self::Desert => &["in the desert", "in a desert", "on the dunes"],
            Self::Night => &["at night", "in the night", "under the night sky"],
        }
    }
}

/// One to six.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct Count(u8);

impl Count {
    /// The largest count of the paper's prompts.
    pub const MAX: u8 = 6;
    const WORDS: [&'static str; Self::MAX as usize] = ["one", "two", "three", "four", "five", "six"];

    /// `number` as a count, if it is one to six.
    pub fn new(number: u8) -> Option<Self> {
        (1..=Self::MAX).contains(&number).then_some(Self(number))
    }

    /// One to six, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (1..=Self::MAX).map(Self)
    }

    /// The count that `word` names, spelled out or as a digit.
    pub fn from_word(word: &str) -> Option<Self> {
        let spelled = Self::WORDS.iter().position(|&known| known == word).map(|at| at as u8 + 1);
        spelled.or_else(|| word.parse().ok()).and_then(Self::new)
    }

    /// The number.
    pub fn get(self) -> u8 {
        self.0
    }

    /// The number in words.
    pub fn word(self) -> &'static str {
        Self::WORDS[usize::from(self.0) - 1]
    }
}
