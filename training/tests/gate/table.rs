//! The table of docs/gate.md: verdicts on planted candidates at the default size.
//!
//! `PLAUDIT_RENEW=1 cargo nextest run --workspace --test gate --run-ignored only` writes it (half an hour on two cores).

use std::{fmt::Write, fs, path::Path};

use plaudit_training::{
    collect::Prompts,
    gate::{Evidence, GeneratorBounds, GeneratorGate, Verdict, generator},
};

use crate::{
    harness::gate,
    planted::{Plant, pack},
};

const PLANTS: [Plant; 9] = [
    Plant::WeightNoise(1e-4),
    Plant::WeightNoise(1e-2),
    Plant::WeightNoise(1e-1),
    Plant::Collapsed(200.0),
    Plant::Saturated(1.5),
    Plant::Darker(0.7),
    Plant::SwappedColours,
    Plant::SwappedTensors,
    Plant::WrongWords,
];
/// Where the table stands.
const MARKS: [&str; 2] = ["<!-- table -->\n", "<!-- end of the table -->\n"];
const HEAD: &str = "| planted | verdict | beyond the bound | reward | judge | CLIP score | diversity | saturation | KID, parts of the bound |\n|---|---|---|---|---|---|---|---|---|\n";

fn row(plant: Plant, evidence: &Evidence) -> String {
    let found = |name: &str| {
        evidence.measures.iter().find(|measure| measure.name == name && measure.on == "all").expect("a measure")
    };
    let value = |name: &str| found(name).found.value;
    let failed: Vec<String> =
        evidence.of(Verdict::Fail).filter(|measure| measure.on == "all").map(|measure| measure.name.clone()).collect();
    let kid = found("KID");
    let parts = kid.found.value / kid.bound.high.expect("a bound");
    let mut text = format!("| {} | {} | {} |", plant.name(), evidence.verdict.word(), failed.join(", "));
    for name in ["reward", "gate judge", "CLIP score"] {
        let _ = write!(text, " {:+.3} |", value(name));
    }
    for name in ["diversity within prompts", "saturation"] {
        let _ = write!(text, " × {:.2} |", value(name));
    }
    text + &format!(" {parts:.2} |\n")
}

#[test]
#[ignore = "draws six and a half thousand pictures"]
fn verdicts_at_the_default_size() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut table = HEAD.to_owned();
    for (number, plant) in PLANTS.into_iter().enumerate() {
        let place = folder.path().join(number.to_string());
        let candidate = pack(&place.join("candidate"), plant);
        let whole = GeneratorGate {
            prompts: Prompts::Grammar { amount: 60, held_out: 0.4 },
            pictures: 4,
            steps: 20,
            // A collapsed denoiser calls itself five times a step, which no honest one does.
            bounds: GeneratorBounds { latency_ratio: 20.0, ..GeneratorBounds::default() },
            threads: 0,
            ..gate(&candidate, &place.join("gate"))
        };
        let evidence = generator(&whole).expect("a verdict");
        let row = row(plant, &evidence);
        println!("{row}\n{}", evidence.markdown());
        table += &row;
        fs::remove_dir_all(&place).expect("our own folder");
    }
    if std::env::var_os("PLAUDIT_RENEW").is_some() {
        renew(&table);
    }
}

fn renew(table: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/gate.md");
    let text = fs::read_to_string(&path).expect("docs/gate.md");
    let (before, rest) = text.split_once(MARKS[0]).expect("the mark");
    let (_, after) = rest.split_once(MARKS[1]).expect("the other mark");
    fs::write(&path, format!("{before}{}{table}{}{after}", MARKS[0], MARKS[1])).expect("docs/gate.md");
}
