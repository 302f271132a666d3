//! A gate at a tenth of its size.

use std::path::Path;

use plaudit_training::{
    collect::Prompts,
    gate::{Evidence, GateError, GeneratorBounds, GeneratorGate, Verdict, generator},
};

use crate::planted::{Plant, bundled, pack};

/// The default bounds; but tests run beside each other, and how long a picture takes is their neighbours' doing.
pub(crate) fn gate(candidate: &Path, out: &Path) -> GeneratorGate {
    GeneratorGate {
        champion: bundled(),
        candidate: candidate.to_owned(),
        reward: None,
        prompts: Prompts::Grammar { amount: 8, held_out: 0.4 },
        pictures: 3,
        steps: 8,
        seed: 4100,
        bounds: GeneratorBounds { latency_ratio: 20.0, ..GeneratorBounds::default() },
        out: out.to_owned(),
        threads: 1,
    }
}

/// What a small gate says of a planted candidate.
pub(crate) fn judged(plant: Plant) -> Result<Evidence, GateError> {
    let folder = tempfile::tempdir().expect("a folder");
    let candidate = pack(&folder.path().join("candidate"), plant);
    generator(&gate(&candidate, &folder.path().join("gate")))
}

/// Names of measures on all prompts or votes that failed.
pub(crate) fn failed(evidence: &Evidence) -> Vec<&str> {
    evidence.of(Verdict::Fail).map(|measure| measure.name.as_str()).collect()
}
