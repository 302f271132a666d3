//! docs/metrics.md says what /metrics exports: no more, no less, of the same type and with the same labels.

use std::collections::{BTreeMap, BTreeSet};

use plaudit::metrics::Metrics;
use prometheus::proto::MetricType;

const TABLE: &str = include_str!("../docs/metrics.md");
const SOURCE: &str = include_str!("../src/metrics.rs");

/// Type and labels.
type Shape = (String, BTreeSet<String>);

/// The rows of all tables whose first column is a metric's name.
fn documented() -> BTreeMap<String, Shape> {
    let rows = TABLE.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split(" |").map(str::trim).collect();
        assert!(cells.len() >= 5, "a cell is missing in: {row}");
        assert!(!cells[4].is_empty(), "no meaning is given in: {row}");
        let labels = cells[3].split(',').map(|label| label.trim().trim_matches('`').to_owned());
        (
            cells[0].trim_matches('`').to_owned(),
            (cells[1].to_owned(), labels.filter(|label| !label.is_empty()).collect()),
        )
    })
    .collect()
}

/// What a process exports once each labelled metric has a value.
fn exported() -> BTreeMap<String, Shape> {
    let metrics = Metrics::new();
    metrics.requests_total.with_label_values(&["/v1/models", "200"]).inc();
    metrics.request_seconds.with_label_values(&["/v1/models"]).observe(1.0);
    metrics.stage_seconds.with_label_values(&["steps"]).observe(1.0);
    metrics.cancelled_total.with_label_values(&["client"]).inc();
    metrics.rejected_total.with_label_values(&["full"]).inc();
    metrics.reward.with_label_values(&["miniature-reward@0"]).observe(0.5);
    metrics.votes_total.with_label_values(&["up", "miniature@0"]).inc();
    metrics.swaps_total.with_label_values(&["generator", "served"]).inc();
    metrics.trials_total.with_label_values(&["promoted"]).inc();
    metrics.drift.with_label_values(&["reward"]).set(0);
    metrics.swap_seconds.with_label_values(&["load"]).observe(1.0);
    metrics.model_info.with_label_values(&["generator", "miniature@0"]).set(1);
    let families = metrics.registry.gather();
    let shapes = families.iter().map(|family| {
        let kind = match family.get_field_type() {
            MetricType::COUNTER => "counter",
            MetricType::GAUGE => "gauge",
            MetricType::HISTOGRAM => "histogram",
            MetricType::SUMMARY => "summary",
            MetricType::UNTYPED => "untyped",
        };
        let labels = family.get_metric()[0].get_label().iter().map(|label| label.name().to_owned());
        (family.name().to_owned(), (kind.to_owned(), labels.collect()))
    });
    shapes.collect()
}

/// The names that `src/metrics.rs` registers: one whose labels have no value yet is not in a scrape.
fn registered() -> BTreeSet<String> {
    let after = ["opts(\"", "buckets(\""].into_iter().flat_map(|call| SOURCE.split(call).skip(1));
    after.filter_map(|rest| rest.split('"').next()).map(|name| format!("plaudit_{name}")).collect()
}

#[test]
fn the_table_and_the_export_are_the_same() {
    let (documented, exported) = (documented(), exported());
    for (name, shape) in &exported {
        assert_eq!(
            documented.get(name),
            Some(shape),
            "{name} as docs/metrics.md has it (left) and as exported (right)"
        );
    }
    let gone: Vec<_> = documented.keys().filter(|name| !exported.contains_key(*name)).collect();
    assert!(gone.is_empty() || !cfg!(target_os = "linux"), "docs/metrics.md names what nothing exports: {gone:?}");
}

#[test]
fn every_registered_metric_is_in_the_table() {
    let documented = documented();
    let registered = registered();
    assert!(registered.len() > 10, "found only {registered:?} in src/metrics.rs");
    let missing: Vec<_> = registered.iter().filter(|name| !documented.contains_key(*name)).collect();
    assert!(missing.is_empty(), "not in docs/metrics.md: {missing:?}");
}

/// Metric names in a text, without what Prometheus adds to a histogram's.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let metrics = words.filter(|word| word.starts_with("plaudit_") || word.starts_with("process_"));
    let base =
        |word: &str| ["_bucket", "_sum", "_count"].iter().find_map(|end| word.strip_suffix(end).map(str::to_owned));
    metrics.map(|word| base(word).unwrap_or_else(|| word.to_owned())).collect()
}

#[test]
fn dashboard_and_alarms_use_only_metrics_that_exist_and_the_dashboard_shows_all_of_ours() {
    let dashboard: serde_json::Value =
        serde_json::from_str(include_str!("../deploy/grafana/dashboard.json")).expect("the dashboard is JSON");
    let shown = named(&dashboard["panels"].to_string());
    let alarmed = named(include_str!("../deploy/rules.yml"));
    let documented: BTreeSet<_> = documented().into_keys().collect();
    let foreign: Vec<_> = shown.union(&alarmed).filter(|name| !documented.contains(*name)).collect();
    assert!(foreign.is_empty(), "nothing exports {foreign:?}");
    let hidden: Vec<_> =
        documented.iter().filter(|name| name.starts_with("plaudit_") && !shown.contains(*name)).collect();
    assert!(hidden.is_empty(), "no panel shows {hidden:?}");
}

#[test]
fn every_alarm_has_its_section_in_the_runbook() {
    let sections = |text: &str, mark: &str| -> BTreeSet<String> {
        text.lines().filter_map(|line| line.trim().strip_prefix(mark)).map(str::to_owned).collect()
    };
    let alarms = sections(include_str!("../deploy/rules.yml"), "- alert: ");
    assert!(alarms.len() > 5, "found only {alarms:?} in deploy/rules.yml");
    assert_eq!(alarms, sections(include_str!("../deploy/RUNBOOK.md"), "## "));
}
