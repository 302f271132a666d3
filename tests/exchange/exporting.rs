//! What is exported, and how it counts.

use plaudit::{
    domain::Rating,
    feedback::{
        dataset::{Card, Format},
        exchange::{export_dataset, export_lines},
    },
    store::{ExportScope, Store},
};
use serde_json::Value;

use crate::harness::{Shop, cast, picture, rows};

/// Votes that are cast while another process exports.
const MEANWHILE: u8 = 120;

#[tokio::test]
async fn a_row_has_all_that_drew_the_picture_and_how_it_was_shown() {
    let (shop, images) = Shop::with_votes().await;
    let out = shop.data.path().join("out");
    for format in ["jsonl", "parquet"] {
        let place = out.join(format);
        shop.tell(&["export", "--format", format, "-o", place.to_str().expect("UTF-8")]);
        let entries = rows(&place);
        assert_eq!(entries.len(), 5, "what was taken back is not exported");
        let row = &entries[0].row;
        assert_eq!((row.image_id.as_str(), row.rater.as_str()), (&*images[0].to_string(), "ann"));
        assert_eq!((row.prompt.as_str(), row.negative_prompt.as_deref()), ("0 stars", Some("fish")));
        assert_eq!(row.model_version, "miniature@0123456789ab");
        assert_eq!(row.reward_version.as_deref(), Some("reward@ba9876543210"));
        assert_eq!((row.reward, row.rank, row.propensity), (Some(0.75), Some(2), Some(0.5)));
        assert_eq!((row.surface.as_deref(), row.position, row.dwell_ms), (Some("page"), Some(1), Some(900)));
        assert_eq!(row.reasons, ["count"]);
        assert_eq!((row.quarantined, row.owner.as_deref()), (Some(false), Some("session_alice")));
        assert_eq!(entries[0].image.as_deref(), Some(&*picture(0)));
        let (ann, bob) = (entries[0].row.weight.expect("a weight"), entries[2].row.weight.expect("a weight"));
        assert!((3.0 * ann - 2.0 * bob).abs() < 1e-9, "two raters weigh the same: {ann}, {bob}");
        let text = format!("{entries:?}");
        assert!(!text.contains("secret words"), "comments stay here");
    }
}

#[tokio::test]
async fn parts_can_be_exported_and_lines_go_to_standard_output() {
    let (shop, _) = Shop::with_votes().await;
    let all = shop.run(&["export", "-o", "-"]);
    let lines: Vec<Value> = String::from_utf8(all.stdout)
        .expect("UTF-8")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines.len(), 5);
    let third = lines[2]["sequence"].to_string();
    let of = |arguments: &[&str]| {
        let output = shop.run(&[&["export", "-o", "-"], arguments].concat());
        String::from_utf8(output.stdout).expect("UTF-8").lines().count()
    };
    assert_eq!(of(&["--since", &third]), 2);
    assert_eq!(of(&["--rater", "bob"]), 2);
    assert_eq!(of(&["--rater", "nobody"]), 0);
    assert!(shop.refusal(&["export", "-o", "-", "--format", "parquet"]).contains("standard output"));
    let taken = shop.data.path().to_str().expect("UTF-8");
    assert!(shop.refusal(&["export", "-o", taken]).contains("is there already"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn an_export_while_votes_come_in_is_the_log_up_to_one_place() {
    let shop = Shop::open().await;
    let image = shop.draw(7).await;
    let server = shop.store.clone();
    let voting = tokio::spawn(async move {
        let mut sequences = Vec::new();
        for number in 0..MEANWHILE {
            sequences.push(cast(&server, image, &format!("rater {number}"), Rating::Up).await);
        }
        sequences
    });
    let beside = Store::attach(shop.data.path()).await.expect("a second process");
    let scope = ExportScope::default();
    let mut exports = Vec::new();
    while !voting.is_finished() {
        let mut lines = Vec::new();
        let facts = export_lines(&beside, &scope, 1.0, &mut lines).await.expect("an export");
        exports.push((facts.to_sequence, String::from_utf8(lines).expect("UTF-8")));
    }
    let place = shop.data.path().join("set");
    let done = export_dataset(&beside, &scope, 1.0, &place, Format::Parquet, Card::default()).await.expect("a dataset");
    assert_eq!(done.facts.rows, u64::from(MEANWHILE));
    let sequences = voting.await.expect("votes");
    for (to, lines) in &exports {
        let found: Vec<i64> = lines
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["sequence"].as_i64().expect("a number"))
            .collect();
        let expected: Vec<i64> = sequences.iter().copied().filter(|sequence| sequence <= to).collect();
        assert_eq!(found, expected, "up to {to}");
    }
    assert!(exports.iter().any(|(_, lines)| !lines.is_empty() && lines.lines().count() < usize::from(MEANWHILE)));
    beside.close().await;
}

#[tokio::test]
async fn figures_count_what_stands() {
    let (shop, _) = Shop::with_votes().await;
    let stats: Value = serde_json::from_slice(&shop.run(&["stats", "--json"]).stdout).expect("JSON");
    assert_eq!((&stats["votes"], &stats["up"], &stats["down"]), (&5.into(), &4.into(), &1.into()));
    assert_eq!((&stats["taken_back"], &stats["raters"], &stats["images"]), (&1.into(), &2.into(), &3.into()));
    assert_eq!((&stats["pairs"], &stats["agreement"]), (&2.into(), &0.5.into()));
    assert_eq!(stats["by_rater"][0]["name"], "session_alice ann");
    assert_eq!(stats["model_versions"][0]["up"], 4);
    let table = shop.tell(&["stats"]);
    for said in ["agreement    50.0 %", "miniature@0123456789ab", "session_alice bob", "up %"] {
        assert!(table.contains(said), "{said}: {table}");
    }
}
