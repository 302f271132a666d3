//! Which prompts are drawn.

use std::{collections::HashSet, fs, path::Path};

use serde::{Deserialize, Serialize};

use super::{CollectError, Part, Prompts};
use crate::{
    miniature::grammar::{Category, Object, Scene},
    random::Random,
};

/// Tries for a text that was not asked before, in a category that may have no more.
const TRIES: usize = 60;

/// One prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// Its text.
    pub prompt: String,
    /// Where it is from the grammar: its part of the dataset. `None` leaves that to whoever trains.
    pub part: Option<Part>,
}

impl Ask {
    /// What it means, where the grammar knows.
    pub fn scene(&self) -> Option<Scene> {
        self.prompt.parse().ok()
    }
}

/// The prompts of a seed.
pub(crate) fn prompts(from: &Prompts, seed: u64) -> Result<Vec<Ask>, CollectError> {
    match from {
        Prompts::Grammar { amount, held_out } => Ok(grammar(*amount, *held_out, seed)),
        Prompts::File(path) => file(path),
    }
}

/// The first `amount` prompts of a seed: a larger amount begins with the same ones.
///
/// Texts differ. Categories take turns; one that has no text left gives its turn to compositions. Held-out objects are spread evenly.
fn grammar(amount: usize, held_out: f64, seed: u64) -> Vec<Ask> {
    let mut random = Random::stream(seed, "prompts");
    let seen: Vec<Object> = Object::seen().collect();
    let mut used = HashSet::new();
    let mut turns = [0; 2];
    let due = |index: usize| (index as f64 * held_out).floor();
    let one = |index: usize| {
        let held = due(index + 1) > due(index);
        let objects = if held { &Object::HELD_OUT[..] } else { &seen };
        let turn = &mut turns[usize::from(held)];
        let category = Category::ALL[*turn % Category::ALL.len()];
        *turn += 1;
        let (scene, prompt) = unused(category, objects, &mut used, &mut random);
        let part = if held { Part::HeldOut } else { part(&scene, seed) };
        Ask { prompt, part: Some(part) }
    };
    (0..amount).map(one).collect()
}

fn unused(category: Category, objects: &[Object], used: &mut HashSet<String>, random: &mut Random) -> (Scene, String) {
    let mut sample = |category| {
        let scene = Scene::sample(category, objects, random);
        (scene, scene.paraphrase(random))
    };
    for tried in 0..2 * TRIES {
        let (scene, prompt) = sample(if tried < TRIES { category } else { Category::Composition });
        if used.insert(prompt.clone()) {
            return (scene, prompt);
        }
    }
    sample(category)
}

/// Paraphrases mean the same, so they are in the same part: it is a function of the meaning.
fn part(scene: &Scene, seed: u64) -> Part {
    Part::at(Random::stream(seed, &format!("part of {}", scene.prompt())).unit())
}

fn file(path: &Path) -> Result<Vec<Ask>, CollectError> {
    let text = fs::read_to_string(path).map_err(CollectError::io("read", path))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let asked: Vec<Ask> = lines.map(|line| Ask { prompt: line.to_owned(), part: None }).collect();
    if asked.is_empty() { Err(CollectError::NoPrompts { path: path.to_owned() }) } else { Ok(asked) }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn more_prompts_begin_with_the_same_ones() {
        assert_eq!(grammar(50, 0.2, 3)[..20], grammar(20, 0.2, 3));
        assert_ne!(grammar(20, 0.2, 3), grammar(20, 0.2, 4));
    }

    #[test]
    fn held_out_objects_are_a_part_of_their_own_and_nowhere_else() {
        let asked = grammar(500, 0.2, 0);
        let held = asked.iter().filter(|ask| ask.part == Some(Part::HeldOut)).count();
        assert_eq!(held, 100);
        for ask in &asked {
            let scene = ask.scene().expect("a prompt of the grammar");
            assert_eq!(scene.object.is_held_out(), ask.part == Some(Part::HeldOut), "{}", ask.prompt);
        }
    }

    #[test]
    fn equal_meanings_are_in_one_part_and_texts_differ() {
        let asked = grammar(800, 0.2, 1);
        let mut parts = HashMap::new();
        for ask in &asked {
            let scene = ask.scene().expect("a prompt of the grammar");
            let part = parts.entry(scene).or_insert(ask.part);
            assert_eq!(*part, ask.part, "{}", ask.prompt);
        }
        let texts: HashSet<&str> = asked.iter().map(|ask| ask.prompt.as_str()).collect();
        assert_eq!(texts.len(), asked.len());
        for category in [Category::Count, Category::Colour, Category::Background, Category::Composition] {
            let of = asked.iter().filter(|ask| ask.scene().is_some_and(|scene| scene.category() == category)).count();
            assert!(of >= 140, "{}: {of}", category.word());
        }
    }

    #[test]
    fn a_file_gives_a_prompt_a_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("prompts.txt");
        fs::write(&path, "two blue stars\n\n  a dog on a sofa \n").expect("a file");
        let texts: Vec<String> = file(&path).expect("prompts").into_iter().map(|ask| ask.prompt).collect();
        assert_eq!(texts, ["two blue stars", "a dog on a sofa"]);
        fs::write(&path, "\n").expect("a file");
        assert!(matches!(file(&path), Err(CollectError::NoPrompts { .. })));
    }
}
