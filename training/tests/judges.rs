//! All three judges against generated pictures that were labelled by hand, and against pictures that nobody should accept.
//!
//! The claim is made on the fifth set of labels. What judges got wrong on the others was looked at while they were made.
//!
//! `PLAUDIT_RENEW=1 cargo nextest run --workspace --test judges` writes the table into training/judges/README.md.

use std::{fmt::Write, fs, path::PathBuf};

use image::{Rgb, RgbImage, imageops};
use plaudit_training::{
    judges::{GateJudge, ReportJudge},
    miniature::{
        SIDE,
        draw::draw_background,
        grammar::{Background, Category, Object, Scene},
        rate::{judge, observe},
    },
    random::Random,
};

/// Agreement with labels that are sure which is wanted of every judge.
const WANTED: f64 = 0.95;
/// The set that no judge was made or chosen by, and those that some were.
const UNSEEN: &str = "fifth";
const KNOWN: [&str; 4] = ["fourth", "third", "second", "first"];
/// Largest share of negative controls that may be accepted.
const MOST_ACCEPTED: f64 = 0.02;
/// A picture is accepted from this probability on.
const ACCEPTED: f32 = 0.5;
const JUDGES: [&str; 3] = ["rater", "gate", "report"];
/// Where the table stands in the README.
const MARKS: [&str; 2] = ["<!-- table -->\n", "<!-- end of the table -->\n"];

struct Panel {
    gate: GateJudge,
    report: ReportJudge,
}

impl Panel {
    fn open() -> Self {
        let gate = GateJudge::open().expect("the committed gate judge");
        Self { gate, report: ReportJudge::open().expect("the committed report judge") }
    }

    /// What rater, gate and report say.
    fn verdicts(&mut self, picture: &RgbImage, scene: &Scene) -> [bool; 3] {
        let gate = self.gate.good(picture, scene).expect("the gate answers");
        let report = self.report.good(picture, scene).expect("the report judge answers");
        [judge(&observe(picture), scene).is_good(), gate >= ACCEPTED, report >= ACCEPTED]
    }
}

struct Labelled {
    file: String,
    picture: RgbImage,
    scene: Scene,
    good: bool,
    sure: bool,
}

fn here(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn labelled(set: &str) -> Vec<Labelled> {
    let folder = here("tests/hand_labelled").join(set);
    let table = fs::read_to_string(folder.join("labels.csv")).expect("labels");
    let row = |line: &str| {
        let [file, prompt, _, label, sure, _] = line.split(',').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let picture = image::open(folder.join(file)).expect("the picture").to_rgb8();
        let scene = prompt.parse().expect("a prompt of the grammar");
        Labelled { file: format!("{set}/{file}"), picture, scene, good: label == "good", sure: sure == "yes" }
    };
    table.lines().skip(1).map(row).collect()
}

/// Right answers and questions.
#[derive(Default, Clone, Copy)]
struct Tally(usize, usize);

impl Tally {
    fn add(&mut self, right: bool) {
        self.0 += usize::from(right);
        self.1 += 1;
    }

    fn share(self) -> f64 {
        self.0 as f64 / self.1.max(1) as f64
    }
}

/// One line of the table: what, and each judge's tally.
type Line = (String, [Tally; 3]);

/// Agreement by category, for seen and held-out objects, on all sure labels, and on the unsure ones.
fn agreement(panel: &mut Panel, labelled: &[Labelled]) -> (Vec<Line>, Vec<String>) {
    let mut faults = Vec::new();
    let answers: Vec<[bool; 3]> =
        labelled.iter().map(|one| panel.verdicts(&one.picture, &one.scene).map(|good| good == one.good)).collect();
    for (one, right) in labelled.iter().zip(&answers).filter(|(one, _)| one.sure) {
        let wrong: Vec<&str> =
            JUDGES.into_iter().zip(right).filter(|(_, right)| !**right).map(|(name, _)| name).collect();
        if !wrong.is_empty() {
            faults.push(format!("{} {} ({}): {}", one.file, one.scene, label(one.good), wrong.join(", ")));
        }
    }
    let line = |name: &str, belongs: &dyn Fn(&Labelled) -> bool| {
        let mut tallies = [Tally::default(); 3];
        for (_, right) in labelled.iter().zip(&answers).filter(|(one, _)| belongs(one)) {
            tallies.iter_mut().zip(right).for_each(|(tally, right)| tally.add(*right));
        }
        (name.to_owned(), tallies)
    };
    let mut lines: Vec<Line> = Category::ALL
        .into_iter()
        .map(|category| line(category.word(), &|one| one.sure && one.scene.category() == category))
        .collect();
    lines.push(line("seen objects", &|one| one.sure && !one.scene.object.is_held_out()));
    lines.push(line("held-out objects", &|one| one.sure && one.scene.object.is_held_out()));
    lines.push(line("labelled good", &|one| one.sure && one.good));
    lines.push(line("labelled bad", &|one| one.sure && !one.good));
    lines.push(line("**all that are sure**", &|one| one.sure));
    lines.push(line("those not sure", &|one| !one.sure));
    (lines, faults)
}

fn label(good: bool) -> &'static str {
    if good { "good" } else { "bad" }
}

/// Pictures that show nothing that was asked for, by kind.
fn controls(labelled: &[Labelled]) -> Vec<(&'static str, RgbImage, Scene)> {
    let mut random = Random::stream(77, "negative controls");
    let mut controls = Vec::new();
    for index in 0..40 {
        let category = Category::ALL[index % Category::ALL.len()];
        let scene = Scene::sample(category, &Object::ALL, &mut random);
        controls.push(("noise", noise(1 << (index % 4), &mut random), scene));
        let colour = Rgb(std::array::from_fn(|_| random.below(256) as u8));
        controls.push(("blank", RgbImage::from_pixel(SIDE, SIDE, colour), scene));
        let place = scene.background.unwrap_or(Background::ALL[index % Background::ALL.len()]);
        controls.push(("empty place", draw_background(place, random.bits()), scene));
    }
    for one in labelled.iter().filter(|one| one.sure && one.good) {
        let (_, wrong) = one.scene.some_contrasts(1, &mut random)[0];
        controls.push(("wrong prompt", one.picture.clone(), wrong));
    }
    controls
}

fn noise(grain: u32, random: &mut Random) -> RgbImage {
    let small =
        RgbImage::from_fn(SIDE / grain, SIDE / grain, |_, _| Rgb(std::array::from_fn(|_| random.below(256) as u8)));
    imageops::resize(&small, SIDE, SIDE, imageops::FilterType::Nearest)
}

/// How many of each kind of control are accepted.
fn accepted(panel: &mut Panel, labelled: &[Labelled]) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for (kind, picture, scene) in controls(labelled) {
        let verdicts = panel.verdicts(&picture, &scene);
        for name in [kind, "**all controls**"] {
            let at = lines.iter().position(|line| line.0 == name).unwrap_or_else(|| {
                lines.push((name.to_owned(), Default::default()));
                lines.len() - 1
            });
            lines[at].1.iter_mut().zip(verdicts).for_each(|(tally, good)| tally.add(good));
        }
    }
    lines.sort_by_key(|line| line.0.starts_with('*'));
    lines
}

fn table(first: &str, lines: &[Line]) -> String {
    let mut text = format!("| {first} | pictures | {} |\n|---|---|---|---|---|\n", JUDGES.join(" | "));
    for (name, tallies) in lines {
        let shares = tallies.map(|tally| format!("{:.1} %", 100.0 * tally.share()));
        writeln!(text, "| {name} | {} | {} |", tallies[0].1, shares.join(" | ")).expect("a string takes it");
    }
    text
}

fn renew(table: &str) {
    let path = here("judges/README.md");
    let text = fs::read_to_string(&path).expect("the README");
    let (before, rest) = text.split_once(MARKS[0]).expect("the table's beginning");
    let (_, after) = rest.split_once(MARKS[1]).expect("the table's end");
    fs::write(&path, format!("{before}{}{table}{}{after}", MARKS[0], MARKS[1])).expect("written");
}

#[test]
fn every_judge_agrees_with_the_hand_labels_and_refuses_what_shows_nothing() {
    let unseen = labelled(UNSEEN);
    assert!(unseen.len() >= 300);
    let mut panel = Panel::open();
    let (agreed, mut faults) = agreement(&mut panel, &unseen);
    let accepted = accepted(&mut panel, &unseen);
    let mut table = format!(
        "{}\n{}",
        self::table(&format!("{UNSEEN} set, not known"), &agreed),
        self::table("controls accepted", &accepted)
    );
    if std::env::var_os("PLAUDIT_RENEW").is_some() {
        for set in KNOWN {
            let (known, known_faults) = agreement(&mut panel, &labelled(set));
            faults.extend(known_faults);
            table = format!("{table}\n{}", self::table(&format!("{set} set, known"), &known));
        }
        renew(&table);
    }
    println!("{table}\n{}", faults.join("\n"));
    let line = |lines: &[Line], name: &str| lines.iter().find(|line| line.0.contains(name)).expect("the line").1;
    let (sure, refused) = (line(&agreed, "all that are sure"), line(&accepted, "all controls"));
    for (at, name) in JUDGES.into_iter().enumerate() {
        let (agrees, accepts) = (sure[at].share(), refused[at].share());
        assert!(agrees >= WANTED, "{name} agrees on {agrees:.3}\n{}", faults.join("\n"));
        assert!(accepts <= MOST_ACCEPTED, "{name} accepts {accepts:.3} of the controls\n{table}");
    }
}

#[test]
fn a_picture_of_another_size_is_refused_by_name() {
    let (mut panel, small) = (Panel::open(), RgbImage::new(32, 64));
    let scene = Scene::of(Object::Star);
    let errors =
        [panel.gate.good(&small, &scene), panel.report.good(&small, &scene)].map(|answer| answer.expect_err("refused"));
    for error in errors {
        assert!(error.to_string().contains("32×64"), "{error}");
    }
}
