//! Outputs take their names when all else is named: what was inlined under the same name gives way.

use super::State;
use crate::{Graph, Model, Node, ValueInfo};

/// The pruned model with its outputs; clashes that cannot be mended are added to the problems.
pub(super) fn finished(state: &mut State) -> Model {
    let mut model = state.model.clone();
    let graph = &mut model.graph;
    graph.outputs = state.results.iter().map(|result| info(&result.value, result.dtype)).collect();
    graph.prune();
    for at in 0..state.results.len() {
        let name = state.results[at].name.clone();
        if state.results[at].value != name {
            make_way(state, graph, &name);
        }
    }
    for (result, output) in state.results.iter().zip(&mut graph.outputs) {
        if result.value != result.name {
            graph.nodes.push(Node::new("Identity", &[&result.value], &[&result.name]));
        }
        output.name.clone_from(&result.name);
    }
    model
}

fn info(name: &str, dtype: crate::DType) -> ValueInfo {
    ValueInfo { name: name.to_owned(), dtype, shape: None }
}

/// Gives another name to an intermediate value that is called `name`.
fn make_way(state: &mut State, graph: &mut Graph, name: &str) {
    let fixed = graph.initializers.contains_key(name) || graph.inputs.iter().any(|input| input.name == name);
    if name.is_empty() || fixed {
        state.problems.add(format!("output `{name}`"), "its name is empty, or an input's or a weight's");
    } else if graph.makers().contains_key(name) {
        let fresh = state.fresh(name);
        graph.rename(name, &fresh);
        for result in state.results.iter_mut().filter(|result| result.value == name) {
            result.value.clone_from(&fresh);
        }
    }
}
