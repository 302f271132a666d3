//! Raters ask for pictures and vote, prompt by prompt; each prompt is a line of the leg's journal.

use std::{fs::OpenOptions, io::Write, path::Path, time::Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Person, RaterKind, RoundFacts, Shown, SimulateError, Simulation, course::Course, is_over};
use crate::{
    collect::{Ask, Prompts, prompts},
    miniature::{
        grammar::Scene,
        rate::{Vote, judge, observe},
    },
    random::Random,
};

/// What was asked once, and what raters said of it; a line of `votes-N.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Asked {
    prompt: String,
    version: String,
    /// Pictures, and right ones.
    drawn: [u64; 2],
    votes: Vec<Cast>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Cast {
    image: String,
    rater: String,
    kind: RaterKind,
    vote: Vote,
    truth: bool,
}

impl Course<'_> {
    /// Raters ask for the prompts of a seed and vote; what was asked before a stop is read back. `None` where this run's time is over.
    pub(super) async fn ask(
        &self,
        title: &str,
        file: &str,
        amount: usize,
        seed: u64,
        until: Option<Instant>,
        trial: bool,
    ) -> Result<Option<Vec<Asked>>, SimulateError> {
        let path = self.folder.join(file);
        let mut done = read(&path)?;
        let asks = prompts(&Prompts::Grammar { amount, held_out: 0.0 }, seed)?;
        let style = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} prompts · {eta} left");
        let bar = ProgressBar::new(asks.len() as u64).with_prefix(title.to_owned()).with_position(done.len() as u64);
        let bar = bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let open = OpenOptions::new().create(true).append(true).open(&path);
        let mut journal = open.map_err(SimulateError::io("open", &path))?;
        for (number, ask) in asks.iter().enumerate().skip(done.len()) {
            if is_over(until) {
                return Ok(None);
            }
            if trial && self.trial_is_decided().await? {
                break;
            }
            let one = self.one(ask, &format!("{file}, {number}"), seed + number as u64).await?;
            let line = serde_json::to_string(&one).unwrap_or_default() + "\n";
            journal.write_all(line.as_bytes()).map_err(SimulateError::io("write", &path))?;
            done.push(one);
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(Some(done))
    }

    /// One prompt: its rater asks, and a panel votes.
    async fn one(&self, ask: &Ask, request: &str, seed: u64) -> Result<Asked, SimulateError> {
        let Simulation { pictures, votes, steps, .. } = *self.simulation;
        let scene = ask.scene().ok_or_else(|| SimulateError::Unratable { prompt: ask.prompt.clone() })?;
        let panel = self.population.panel(request, votes);
        let start = Random::stream(seed, request).bits() as u32;
        let shown = self.client.draw(&ask.prompt, &panel[0].name, pictures, steps, start).await?;
        let mut asked = Asked {
            prompt: ask.prompt.clone(),
            version: shown.first().map(|one| one.model_version.clone()).unwrap_or_default(),
            drawn: [0, 0],
            votes: Vec::new(),
        };
        let mut items = Vec::new();
        for (number, one) in shown.iter().enumerate() {
            // By place, not by the picture's random name: the same run has the same votes.
            items.extend(self.look(one, &format!("{request}, picture {number}"), &scene, &panel, &mut asked));
        }
        let once = shown.first().map_or(request, |one| &one.image_id);
        self.client.vote(&items, once).await?;
        Ok(asked)
    }

    /// What a panel says of a picture, as the API takes it.
    fn look(&self, shown: &Shown, place: &str, scene: &Scene, panel: &[&Person], asked: &mut Asked) -> Vec<Value> {
        let seen = observe(&shown.picture);
        let truth = judge(&seen, scene).is_good();
        asked.drawn[0] += 1;
        asked.drawn[1] += u64::from(truth);
        let mut items = Vec::new();
        for (turn, person) in panel.iter().enumerate() {
            let answer = self.population.answer(person, place, &seen, scene);
            let (image, rater) = (shown.image_id.clone(), person.name.clone());
            asked.votes.push(Cast { image, rater, kind: person.kind, vote: answer.vote, truth });
            if answer.vote == Vote::Skip {
                continue;
            }
            let rating = if answer.vote == Vote::Up { "up" } else { "down" };
            let mut item = json!({"image_id": shown.image_id, "rating": rating, "context": {"surface": "simulation", "dwell_ms": answer.dwell_ms}});
            // Who asked votes with the token; the application names the others.
            match turn {
                0 => item["token"] = json!(shown.token),
                _ => item["rater"] = json!(person.name),
            }
            items.push(item);
        }
        items
    }
}

/// Whole lines of a journal; half a line is what a kill left, and is cut off.
pub(super) fn read(path: &Path) -> Result<Vec<Asked>, SimulateError> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = std::fs::read_to_string(path).map_err(SimulateError::io("read", path))?;
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    if whole < text.len() {
        std::fs::write(path, &text[..whole]).map_err(SimulateError::io("cut", path))?;
    }
    let parse = |line: &str| serde_json::from_str(line).map_err(|error| SimulateError::content(path, error));
    text[..whole].lines().map(parse).collect()
}

/// Adds what was asked to a round's counts.
pub(super) fn count(facts: &mut RoundFacts, asked: &[Asked]) {
    for one in asked {
        facts.drawn[0] += one.drawn[0];
        facts.drawn[1] += one.drawn[1];
        for cast in one.votes.iter().filter(|cast| cast.vote != Vote::Skip) {
            let votes = facts.votes.entry(cast.kind).or_default();
            votes[0] += 1;
            votes[1] += u64::from((cast.vote == Vote::Up) == cast.truth);
        }
    }
}
