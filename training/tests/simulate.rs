//! A whole round against a real server, with the smallest budget: raters ask and vote over HTTP, the daemon learns, the server swaps, the report is written.
#![allow(missing_docs)]

#[path = "support/daemon.rs"]
mod daemon;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use plaudit_training::{
    daemon::TuneObjective,
    simulate::{Finished, Protocol, RaterKind, Running, Shares, Simulation, simulate},
};
use serde_json::Value;

fn pack() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../onnx/packs/miniature")
}

fn simulation(out: &Path) -> Simulation {
    Simulation {
        out: out.to_owned(),
        pack: pack(),
        program: None,
        running: None,
        objectives: vec![TuneObjective::RewardWeighted.into()],
        hostile: vec![0.1],
        seeds: 1,
        shares: Shares { lenient: 0.2, careless: 0.1, hostile: 0.0 },
        raters: 10,
        rounds: 1,
        side_rounds: 1,
        prompts: 28,
        pictures: 2,
        votes: 3,
        steps: 6,
        trial_prompts: 0,
        protocol: Protocol { prompts: 6, pictures: 1, best_of: 2, steps: 2, ..Protocol::default() },
        daemon: daemon::daemon(),
        flags: Vec::new(),
        leg: None,
        seed: 0,
    }
}

/// A finalist of two seeds, and another recipe beside it.
#[tokio::test(flavor = "multi_thread")]
async fn recipes_begin_with_the_same_votes_and_seeds_with_their_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let asked = Simulation {
        objectives: ["reward-weighted", "centred+unlabelled@2e-5"]
            .map(|recipe| recipe.parse().expect("a recipe"))
            .into(),
        seeds: 2,
        hostile: vec![0.0],
        ..simulation(folder.path())
    };
    let mut lacking = asked.clone();
    lacking.daemon.learning.tune_pictures = 0;
    let refused = simulate(&lacking).await.expect_err("before any leg").to_string();
    assert!(refused.contains("centred+unlabelled") && refused.contains("--tune-pictures"), "{refused}");

    let running = Running { url: "http://127.0.0.1:9".into(), key: "k".into(), data: folder.path().to_owned() };
    let shared = Simulation { running: Some(running), ..asked.clone() };
    let refused = simulate(&shared).await.expect_err("three legs").to_string();
    assert!(refused.contains("3 legs") && refused.contains("--seeds 1"), "{refused}");

    let mut asked = asked;
    asked.daemon.learning.tune_pictures = 1;
    // What only one objective has is for its legs, and no obstacle to the others.
    asked.daemon.learning.tune_strength = Some(40.0);
    assert!(matches!(simulate(&asked).await.expect("a report"), Finished::Whole(_)));
    let read =
        |path: PathBuf| -> Value { serde_json::from_slice(&std::fs::read(path).expect("a file")).expect("JSON") };
    let legs =
        ["reward-weighted-hostile-00", "reward-weighted-hostile-00-seed-1", "centred+unlabelled@2e-5-hostile-00"];
    let place = |leg: &str| folder.path().join("legs").join(leg);
    let votes = legs.map(|leg| std::fs::read_to_string(place(leg).join("votes-1.jsonl")).expect("votes"));
    assert!(votes[0] == votes[2] && votes[0] != votes[1]);
    let facts = legs.map(|leg| read(place(leg).join("leg.json"))["rounds"][0].clone());
    let digest = |round: &Value| round["round"]["facts"]["export"]["rows_sha256"].clone();
    assert!(digest(&facts[0]).is_string() && digest(&facts[0]) == digest(&facts[2]), "learned from the same rows");
    assert_ne!(digest(&facts[0]), digest(&facts[1]));

    let report = read(folder.path().join("report.json"));
    let arms = |leg: usize| report["legs"][leg]["arms"].as_array().map(Vec::len);
    assert_eq!([arms(0), arms(1), arms(2)], [Some(6), Some(6), Some(2)], "only the finalist is drawn in every arm");
    let pooled = &report["pooled"];
    assert_eq!(pooled.as_array().map(Vec::len), Some(1), "{pooled:#}");
    assert_eq!((&pooled[0]["seeds"], &pooled[0]["rounds"]), (&serde_json::json!([0, 1]), &serde_json::json!(1)));
    let mean = pooled[0]["by_seed"].as_array().expect("seeds").iter().map(|seed| seed[0].as_f64().expect("a mean"));
    let found = pooled[0]["judged"][0]["value"].as_f64().expect("a mean");
    assert!((mean.sum::<f64>() / 2.0 - found).abs() < 1e-9, "{pooled:#}");
    let text = std::fs::read_to_string(folder.path().join("report.md")).expect("the text");
    assert!(text.contains("## Over seeds") && text.contains("centred+unlabelled@2e-5-hostile-00"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_goes_from_votes_over_http_to_a_report() {
    let folder = tempfile::tempdir().expect("a folder");
    // Its pack names another scheduler than the one that serves: the server must swap all the same.
    let asked = Simulation { objectives: vec![TuneObjective::LatentReward.into()], ..simulation(folder.path()) };
    let finished = simulate(&asked).await.expect("a report");
    let page = folder.path().join("report.html");
    assert_eq!(finished, Finished::Whole(page.clone()));

    let read =
        |path: PathBuf| -> Value { serde_json::from_slice(&std::fs::read(path).expect("a file")).expect("JSON") };
    let leg = read(folder.path().join("legs/latent-reward-hostile-10/leg.json"));
    let round = &leg["rounds"][0];
    assert_eq!(round["done"], "released", "{round:#}");
    assert_eq!(round["drawn"][0], 56, "28 prompts of two pictures");
    let votes = |kind: RaterKind| round["votes"][kind.word()][0].as_u64().unwrap_or(0);
    let cast: u64 = RaterKind::ALL.into_iter().map(votes).sum();
    assert!((130..=168).contains(&cast) && votes(RaterKind::Hostile) > 0, "{round:#}");
    assert_eq!(round["round"]["facts"]["export"]["rows"].as_u64(), Some(cast), "every vote was exported");
    assert_ne!(round["generator"], leg["base"][0], "the server swapped");
    assert_ne!(round["reward"], leg["base"][1]);

    let report = read(folder.path().join("report.json"));
    assert_eq!(report["whole"], true);
    let measured = &report["legs"][0];
    let arms = measured["arms"].as_array().map(Vec::len);
    assert_eq!(arms, Some(7), "base and tuned, three ways each, and the base by the tuned one's scheduler");
    assert_eq!(measured["by_round"].as_array().map(Vec::len), Some(2));
    assert!(measured["versus"].as_array().is_some_and(|all| all.iter().all(|one| one["tally"]["wins"].is_u64())));
    for file in ["report.md", "judged.svg", "sheet-latent-reward-hostile-10.png"] {
        assert!(folder.path().join(file).exists(), "{file}");
    }
    let text = std::fs::read_to_string(&page).expect("the page");
    assert!(text.contains("</svg>") && text.contains("data:image/png;base64,") && !text.contains("src=\"http"));

    // Again: nothing is left to do, and no server is started.
    let mut again = asked;
    again.program = Some("/nowhere/plaudit".into());
    assert_eq!(simulate(&again).await.expect("the same report"), Finished::Whole(page));
}

/// How requests ended, by status, in the server's log.
fn statuses(log: &str) -> BTreeMap<u16, usize> {
    let mut counts = BTreeMap::new();
    let said = log.lines().filter_map(|line| line.split_once("answered status=")?.1.split_whitespace().next());
    for status in said {
        *counts.entry(status.parse().expect("a status")).or_default() += 1;
    }
    counts
}

#[test]
#[ignore = "about a quarter of an hour: `make experiment-quick`"]
fn experiment_quick_leaves_a_whole_report_and_no_request_fails() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new("bash");
    command.args(["scripts/experiment.sh", "quick"]).current_dir(root).env("OUT", folder.path());
    let status = command.env("TRAIN", env!("CARGO_BIN_EXE_plaudit-train")).status().expect("a script");
    assert!(status.success(), "{status}");

    let text = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("a file");
    let report: Value = serde_json::from_str(&text("report.json")).expect("JSON");
    assert_eq!(
        (&report["whole"], report["legs"].as_array().map(Vec::len)),
        (&Value::Bool(true), Some(1)),
        "{report:#}"
    );
    assert_eq!(report["legs"][0]["arms"].as_array().map(Vec::len), Some(6), "base and tuned, three ways each");
    let page = text("report.html");
    assert!(page.contains("</svg>") && page.trim_end().ends_with("</html>"), "{} bytes", page.len());
    let counts = statuses(&text("legs/reward-weighted-hostile-00/server.log"));
    println!("requests by status: {counts:?}");
    assert!(counts.keys().all(|status| (200..300).contains(status)), "{counts:?}");
    assert!(counts.values().sum::<usize>() >= 180, "90 prompts are asked for and voted on: {counts:?}");
}
