//! The operators that exporters write, as counted in `tests/golden/census.json`, against the table.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use serde_json::Value;

use crate::autodiff::table::row;

/// Operators that no parameter reaches: they make shapes and masks out of constants and extents.
const OFF_PATH: [&str; 4] = ["Constant", "ConstantOfShape", "Range", "Trilu"];

/// By operator, the graphs it occurs in.
fn census() -> BTreeMap<String, BTreeSet<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/census.json");
    let counted: BTreeMap<String, BTreeMap<String, BTreeMap<String, Value>>> =
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (graph, exports) in counted {
        for (export, operators) in exports {
            for operator in operators.into_keys() {
                found.entry(operator).or_default().insert(format!("{graph}/{export}"));
            }
        }
    }
    found
}

#[test]
fn every_operator_that_an_exporter_writes_has_a_gradient_or_is_off_the_path() {
    let missing: Vec<_> =
        census().into_iter().filter(|(op, _)| row(op).is_none() && !OFF_PATH.contains(&op.as_str())).collect();
    assert!(missing.is_empty(), "no row and not known to be off the path: {missing:#?}");
}

#[test]
fn what_is_off_the_path_is_written_by_some_exporter_and_has_no_row() {
    let census = census();
    let idle: Vec<&str> = OFF_PATH.into_iter().filter(|op| !census.contains_key(*op) || row(op).is_some()).collect();
    assert!(idle.is_empty(), "{idle:?} need not be listed");
}
