//! Each row of the table against directional derivatives; each flipped row must be caught.

use std::collections::BTreeSet;

use plaudit_onnx::DType;

use super::{
    cases::cases,
    harness::{Case, Prepared, dot},
};
use crate::{
    autodiff::{
        AutodiffError,
        backward::{Rules, Table},
        call::{Call, Cotangent},
        table::{Row, TABLE, row},
    },
    random::Random,
};

/// Steps of the stencil: rounding and truncation in balance for doubles, and for floats.
const DOUBLE_STEP: f64 = 1e-3;
const SINGLE_STEP: f64 = 3e-2;
/// What a slope of zero may be measured as.
const ROUNDING: f64 = 1e-9;
/// Directions tried for each input; the derivative along one of them may happen to be small.
const DIRECTIONS: usize = 3;

/// The errors of a case under some rules: one line an input and direction that is off.
fn failures(case: &Case, prepared: &mut Prepared, rules: &impl Rules) -> Vec<String> {
    let mut failures = Vec::new();
    for index in case.trained() {
        let input = format!("x{index}");
        if row(case.op).unwrap().formula(index) == "STOP" {
            failures.extend(stopped(case, prepared, &input, rules));
            continue;
        }
        match prepared.gradients(std::slice::from_ref(&input), rules) {
            Ok(gradients) => failures.extend(deviations(case, prepared, &input, &gradients[&input])),
            Err(error) => failures.push(format!("{} {input}: {error}", case.name())),
        }
    }
    failures
}

fn deviations(case: &Case, prepared: &mut Prepared, input: &str, gradient: &[f64]) -> Vec<String> {
    let mut random = Random::stream(9, &case.name());
    let step = if case.tolerance < 1e-6 { DOUBLE_STEP } else { SINGLE_STEP };
    let mut direction = || (0..gradient.len()).map(|_| random.unit() + 0.2).collect::<Vec<f64>>();
    let directions: Vec<Vec<f64>> = (0..DIRECTIONS).map(|_| direction()).chain([gradient.to_vec()]).collect();
    let scale = dot(gradient, gradient).sqrt().max(1e-3);
    let off = |direction: &Vec<f64>| {
        let length = dot(direction, direction).sqrt();
        let unit: Vec<f64> = direction.iter().map(|d| d / length).collect();
        let (numeric, ours) = (prepared.slope(input, &unit, step), dot(gradient, &unit));
        let error = (numeric - ours).abs() / scale;
        let line = || format!("{} {input}: numeric {numeric:.9}, ours {ours:.9}, error {error:.1e}", case.name());
        (error > case.tolerance || !error.is_finite()).then(line)
    };
    directions.iter().filter_map(off).collect()
}

/// A stopped input has zero slope, and the driver says that nothing arrives.
fn stopped(case: &Case, prepared: &mut Prepared, input: &str, rules: &impl Rules) -> Option<String> {
    let direction = vec![1.0; prepared.value(input).len()];
    let slope = prepared.slope(input, &direction, DOUBLE_STEP);
    let result = prepared.gradients(&[input.to_owned()], rules);
    let unreached = matches!(result, Err(AutodiffError::Unreached { .. }));
    (slope.abs() > ROUNDING || !unreached).then(|| format!("{} {input}: slope {slope}, {result:?}", case.name()))
}

#[test]
fn every_formula_agrees_with_directional_differences() {
    let failures: Vec<String> =
        cases().iter().flat_map(|case| failures(case, &mut Prepared::new(case), &Table)).collect();
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn linear_operators_and_their_adjoints_give_equal_inner_products() {
    let mut failures = Vec::new();
    for case in cases().iter().filter(|case| case.linear) {
        let mut prepared = Prepared::new(case);
        for index in case.trained() {
            let input = format!("x{index}");
            let gradient = &prepared.gradients(std::slice::from_ref(&input), &Table).unwrap()[&input];
            let (forward, adjoint) = (prepared.inner_product(&input), dot(&prepared.value(&input), gradient));
            let error = (forward - adjoint).abs() / forward.abs().max(1.0);
            if error > case.tolerance {
                failures.push(format!("{} {input}: ⟨Ax,v⟩ = {forward}, ⟨x,Aᵀv⟩ = {adjoint}", case.name()));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_row_has_a_case() {
    let covered: BTreeSet<&str> = cases().iter().map(|case| case.op).collect();
    let missing: Vec<&str> = TABLE.iter().map(|row| row.op).filter(|op| !covered.contains(op)).collect();
    assert!(missing.is_empty(), "no case for {missing:?}");
}

#[test]
fn every_formula_is_exercised_by_some_case() {
    let used = |row: &Row, index: usize| {
        cases().iter().any(|case| case.op == row.op && (row.variadic() || case.trained().contains(&index)))
    };
    let missing: Vec<String> = TABLE
        .iter()
        .flat_map(|row| (0..row.formulas.len()).map(move |index| (row, index)))
        .filter(|(row, index)| row.formulas[*index] != "STOP" && !used(row, *index))
        .map(|(row, index)| format!("{} {}", row.op, row.formulas[index]))
        .collect();
    assert!(missing.is_empty(), "no case differentiates {missing:?}");
}

/// Rows that only single precision checks, for want of a double kernel, each to the looser bar that `harness` names.
const SINGLE_ONLY: [&str; 10] = [
    "Erf",
    "Softplus",
    "Gelu",
    "Conv",
    "ConvTranspose",
    "ReduceL2",
    "InstanceNormalization",
    "GroupNormalization",
    "Resize",
    "IsNaN",
];

#[test]
fn only_these_rows_have_no_case_in_double_precision() {
    let double: BTreeSet<&str> = cases().iter().filter(|case| case.dtype == DType::F64).map(|case| case.op).collect();
    let single: Vec<&str> = TABLE.iter().map(|row| row.op).filter(|op| !double.contains(op)).collect();
    assert_eq!(single, SINGLE_ONLY);
}

/// The table with one sign wrong.
struct Flipped {
    op: &'static str,
    index: usize,
}

impl Rules for Flipped {
    fn cotangent<'t>(&self, row: &Row, call: &Call<'t>, index: usize) -> Cotangent<'t> {
        let cotangent = (row.cotangent)(call, index)?;
        let in_loss = call.node.outputs[0] == "loss" || call.node.outputs[0].ends_with("_term");
        let flipped = row.op == self.op && (row.variadic() || index == self.index) && !in_loss;
        Ok(if flipped { cotangent.map(|value| -value) } else { cotangent })
    }
}

#[test]
fn a_flipped_sign_in_any_formula_is_caught() {
    let mut survivors = Vec::new();
    for case in cases() {
        let mut prepared = Prepared::new(&case);
        let flips = case.trained().into_iter().filter(|&i| row(case.op).unwrap().formula(i) != "STOP");
        for index in flips {
            if failures(&case, &mut prepared, &Flipped { op: case.op, index }).is_empty() {
                survivors.push(format!("{} input {index}", case.name()));
            }
        }
    }
    assert!(survivors.is_empty(), "not caught: {survivors:?}");
}

#[test]
fn the_printed_table_is_as_recorded() {
    insta::assert_snapshot!(crate::autodiff::gradient_table());
}
