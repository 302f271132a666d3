//! Structure: every value is made once, before it is used.

use std::collections::HashSet;

use crate::{Attribute, Graph, Model, Problems};

/// Adds what breaks single assignment or order in `model` to `problems`.
pub(crate) fn model(model: &Model, problems: &mut Problems) {
    if !model.opsets.contains_key("") && model.graph.nodes.iter().any(|node| node.domain.is_empty()) {
        problems.add("model", "no version of the default operator set is named");
    }
    graph(&model.graph, &HashSet::new(), "", problems);
}

fn graph<'a>(graph: &'a Graph, outer: &HashSet<&'a str>, within: &str, problems: &mut Problems) {
    let mut known = outer.clone();
    // An input may have an initializer of the same name: its default value.
    for input in &graph.inputs {
        if !known.insert(&input.name) {
            problems.add(format!("{within}input `{}`", input.name), "its name is taken");
        }
    }
    known.extend(graph.initializers.keys().map(String::as_str));
    for (index, node) in graph.nodes.iter().enumerate() {
        let place = || format!("{within}node {index} `{}` ({})", node.name, node.op);
        for input in node.inputs.iter().filter(|name| !name.is_empty()) {
            if !known.contains(input.as_str()) {
                problems.add(place(), format!("its input `{input}` is made by nothing before it"));
            }
        }
        for attribute in node.attributes.values() {
            if let Attribute::Graph(body) = attribute {
                self::graph(body, &known, &format!("{}: ", place()), problems);
            }
        }
        for output in node.outputs.iter().filter(|name| !name.is_empty()) {
            if !known.insert(output) {
                problems.add(place(), format!("its output `{output}` exists already"));
            }
        }
    }
    for output in &graph.outputs {
        if !known.contains(output.name.as_str()) {
            problems.add(format!("{within}output `{}`", output.name), "is made by nothing");
        }
    }
}

impl Model {
    /// What breaks single assignment or execution order; empty for a sound model. Edits keep a model sound.
    pub fn problems(&self) -> Problems {
        let mut problems = Problems::default();
        model(self, &mut problems);
        problems
    }
}
