//! Rewards against the bundled one, on votes about drawn scenes.

use std::{
    fs,
    io::Cursor,
    path::{Path, PathBuf},
    process::Command,
};

use plaudit::{
    feedback::dataset::{Card, Format, Rating, Row, Writer},
    pack::Pack,
    runtime::SessionSettings,
    scoring::{ClipModel, RewardPack},
};
use plaudit_onnx::{DType, Dim, Model, Tensor, expr::Builder};
use plaudit_training::{
    collect::Part,
    gate::{Evidence, GateError, RewardBounds, RewardGate, Verdict, reward},
    miniature::{
        draw::draw,
        grammar::{Category, Object, Scene},
    },
    random::Random,
};

use crate::{harness::failed, planted::bundled};

const PROMPTS: usize = 60;
const PICTURES: usize = 6;
/// Light that darkened pictures keep.
const DARKENED: f32 = 0.4;

/// Every other picture is of another scene; one vote each, one in ten turned round.
fn dataset(place: &Path, part: Part) {
    let mut random = Random::new(0);
    let mut writer = Writer::create(place, Format::JsonLines, Card::default()).expect("a writer");
    for prompt in 0..PROMPTS {
        let category = Category::ALL[prompt % Category::ALL.len()];
        let asked = Scene::sample(category, &Object::ALL, &mut random);
        for picture in 0..PICTURES {
            let truth = picture % 2 == 0;
            let shown = if truth { asked } else { asked.some_contrasts(1, &mut random)[0].1 };
            let mut bytes = Cursor::new(Vec::new());
            draw(&shown, random.bits()).picture.write_to(&mut bytes, image::ImageFormat::Png).expect("a picture");
            let up = truth != random.chance(0.1);
            let row = Row {
                image_id: format!("{prompt}-{picture}"),
                rater: "ann".into(),
                rating: Some(if up { Rating::Up } else { Rating::Down }),
                prompt: asked.prompt(),
                model_version: "drawn@0".into(),
                split: Some(part.word().into()),
                category: Some(category.word().into()),
                truth: Some(truth),
                ..Row::default()
            };
            writer.push(row, bytes.get_ref()).expect("a row");
        }
    }
    writer.finish(0, 0).expect("a dataset");
}

/// σ(σ⁻¹(r) · slope + v · direction), sealed as a reward of its own.
fn rival(place: &Path, slope: f32, direction: &[f32]) -> PathBuf {
    let pack = Pack::open(&bundled()).expect("the bundled pack");
    let own = bundled().join("reward");
    let head = Model::read(&own.join("model.onnx")).expect("the head");
    let b = Builder::new("rival", head.opsets[""]);
    let dims: [Dim; 2] = ["batch".into(), direction.len().into()];
    let [image, text] = ["image_embeds", "text_embeds"].map(|name| b.input(name, DType::F32, &dims));
    let reward =
        b.call(&head, "", &[("image_embeds", image.clone()), ("text_embeds", text)]).remove(0).clip(1e-4, 1.0 - 1e-4);
    let logit = (&reward / (1.0 - &reward)).log() * slope;
    let sway = image.matmul(&b.weight("sway", Tensor::f32(&[direction.len(), 1], direction))).squeeze(&[1]);
    let swayed = (logit + sway).sigmoid();
    b.output("reward", &swayed);
    b.output("raw", &(&swayed * 1.0));
    b.finish().expect("a graph").write(place).expect("a model");
    fs::copy(own.join("report.json"), place.join("report.json")).expect("a report");
    RewardPack::seal(place, "rival", &pack).expect("a reward");
    place.to_owned()
}

/// Where points of CLIP go when pictures grow dark.
fn darkness() -> Vec<f32> {
    let settings = SessionSettings { threads: 1, spinning: false, ..SessionSettings::default() };
    let mut clip = ClipModel::open(&Pack::open(&bundled()).expect("the bundled pack"), &settings).expect("CLIP");
    let mut random = Random::new(9);
    let mut sum = vec![0.0; clip.width()];
    for category in Category::ALL.into_iter().cycle().take(40) {
        let light = draw(&Scene::sample(category, &Object::ALL, &mut random), random.bits()).picture;
        let mut dark = light.clone();
        dark.iter_mut().for_each(|byte| *byte = (f32::from(*byte) * DARKENED) as u8);
        let points = clip.image_embeddings(&[&light, &dark]).expect("points");
        sum.iter_mut().zip(points[0].iter().zip(&points[1])).for_each(|(sum, (light, dark))| *sum += dark - light);
    }
    let length = sum.iter().map(|x| x * x).sum::<f32>().sqrt();
    sum.iter().map(|x| x / length).collect()
}

fn gate(folder: &Path, candidate: PathBuf) -> RewardGate {
    let golden = folder.join("golden");
    if !golden.exists() {
        dataset(&golden, Part::Test);
    }
    RewardGate {
        champion: bundled().join("reward"),
        candidate,
        pack: bundled(),
        golden,
        newest: None,
        bounds: RewardBounds::default(),
        out: folder.join("gate"),
        threads: 1,
    }
}

fn judged(folder: &Path, candidate: PathBuf) -> Evidence {
    reward(&gate(folder, candidate)).expect("a verdict")
}

#[test]
fn the_same_reward_passes() {
    let folder = tempfile::tempdir().expect("a folder");
    let evidence = judged(folder.path(), bundled().join("reward"));
    assert_eq!(evidence.verdict, Verdict::Pass, "{}", evidence.markdown());
    for name in ["AUROC within prompts", "calibration error", "correlation with darkness", "rise of darkened pictures"]
    {
        assert!(evidence.measures.iter().any(|measure| measure.name == name), "{name}");
    }
    assert!(evidence.measures.iter().any(|measure| measure.on == "golden, count"));
    assert!(folder.path().join("gate/gate.json").exists() && folder.path().join("gate/differences.svg").exists());
}

#[test]
fn a_reward_that_likes_the_dark_is_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let direction: Vec<f32> = darkness().into_iter().map(|x| 6.0 * x).collect();
    let evidence = judged(folder.path(), rival(&folder.path().join("rival"), 1.0, &direction));
    assert!(failed(&evidence).contains(&"rise of darkened pictures"), "{}", evidence.markdown());
}

#[test]
fn a_reward_that_ranks_worse_or_is_too_sure_is_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let still = vec![0.0; darkness().len()];
    let reversed = judged(folder.path(), rival(&folder.path().join("reversed"), -1.0, &still));
    assert!(failed(&reversed).contains(&"AUROC within prompts"), "{}", reversed.markdown());
    let sure = judged(folder.path(), rival(&folder.path().join("sure"), 6.0, &still));
    assert_eq!(failed(&sure), ["calibration error"], "{}", sure.markdown());
}

#[test]
fn exit_codes_are_those_of_the_help() {
    let folder = tempfile::tempdir().expect("a folder");
    let still = vec![0.0; darkness().len()];
    let candidate = rival(&folder.path().join("reversed"), -1.0, &still);
    let asked = gate(folder.path(), candidate.clone());
    let run = |champion: &Path, candidate: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_plaudit-train"));
        command.args(["gate", "reward", "--champion"]).arg(champion).arg("--candidate").arg(candidate);
        command.arg("--pack").arg(bundled()).arg("--golden").arg(&asked.golden).arg("-o").arg(&asked.out);
        let output = command.output().expect("the command runs");
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr),
        )
    };
    let (code, text) = run(&asked.champion, &candidate);
    assert!(code == Some(1) && text.contains("# reward: fail"), "{code:?} {text}");
    let (code, text) = run(&asked.champion, &folder.path().join("nowhere"));
    assert!(code == Some(2) && text.contains("nowhere is not a folder"), "{code:?} {text}");
}

#[test]
fn votes_that_rewards_learn_from_are_not_measured_on() {
    let folder = tempfile::tempdir().expect("a folder");
    dataset(&folder.path().join("golden"), Part::Train);
    let error = reward(&gate(folder.path(), bundled().join("reward"))).expect_err("nothing to measure");
    assert!(matches!(error, GateError::NoVotes { .. }), "{error}");
}
