//! A judge is trained in legs, and answers as soon as one has ended.

use std::{fs, path::Path};

use plaudit_training::{
    judges::{GateJudge, ReportJudge, Training, Which, train},
    miniature::{draw::draw, grammar::Scene},
};

fn training(folder: &Path, steps: u64) -> Training {
    Training {
        pack: Path::new(env!("CARGO_MANIFEST_DIR")).join("../onnx/packs/miniature"),
        data: folder.join("data"),
        out: folder.join("out"),
        from: None,
        leg: None,
        steps,
        redrawn: 0,
        threads: 1,
        seed: 1,
    }
}

/// Steps that the judge's metrics tell of.
fn steps(folder: &Path, which: Which) -> Vec<u64> {
    let metrics = fs::read_to_string(folder.join("data").join(which.name()).join("metrics.jsonl")).expect("metrics");
    let step = |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["step"].as_u64();
    metrics.lines().filter_map(step).collect()
}

#[test]
fn a_second_leg_goes_on_where_the_first_ended_and_both_write_a_judge() {
    let scene: Scene = "two red stars at night".parse().unwrap();
    let picture = draw(&scene, 1).picture;
    for which in [Which::Gate, Which::Report] {
        let folder = tempfile::tempdir().unwrap();
        let mut answers = Vec::new();
        for last in [1, 3] {
            train(which, &training(folder.path(), last)).unwrap();
            let out = folder.path().join("out");
            let good = match which {
                Which::Gate => GateJudge::open_at(&out).unwrap().good(&picture, &scene),
                Which::Report => ReportJudge::open_at(&out).unwrap().good(&picture, &scene),
            };
            answers.push(good.unwrap());
        }
        assert_eq!(steps(folder.path(), which), [1, 2, 3], "{}", which.name());
        assert!(answers.iter().all(|good| (0.0..=1.0).contains(good)) && answers[0] != answers[1], "{answers:?}");
    }
}

#[test]
fn a_finished_judge_is_gone_on_from() {
    let folder = tempfile::tempdir().unwrap();
    let finished = Path::new(env!("CARGO_MANIFEST_DIR")).join("judges/gate");
    let loss = |from: Option<std::path::PathBuf>, name: &str| {
        let data = folder.path().join(name);
        train(Which::Gate, &Training { from, ..training(&data, 1) }).unwrap();
        let metrics = fs::read_to_string(data.join("data/gate/metrics.jsonl")).unwrap();
        let first: serde_json::Value = serde_json::from_str(metrics.lines().next().unwrap()).unwrap();
        first["loss"].as_f64().unwrap()
    };
    let (fresh, further) = (loss(None, "fresh"), loss(Some(finished.clone()), "further"));
    assert!(further < fresh / 3.0, "{further} against {fresh}");
    let other = Training { from: Some(finished), ..training(folder.path(), 1) };
    let refused = train(Which::Report, &other).unwrap_err().to_string();
    assert!(refused.contains("another network"), "{refused}");
}
