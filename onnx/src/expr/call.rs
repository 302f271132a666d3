//! A model as a function of expressions: its graph is copied in, its weights keep names of their own.

use std::{collections::HashMap, rc::Rc};

use super::{Builder, Expr, State};
use crate::{Attribute, Graph, Model, Node, ValueInfo};

/// What a called model's names get in front.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefixes<'a> {
    /// Before nodes and intermediate values. A value whose name is taken gets a number as well.
    pub values: &'a str,
    /// Before initializers. Two calls with equal tensors under equal names share them.
    pub weights: &'a str,
}

impl Builder {
    /// Copies `model` into the graph with `prefix` before all its names (it may be empty) and returns its outputs.
    ///
    /// Every input of the model that has no default needs an expression. Mistakes are reported by
    /// [`Builder::finish`]: a missing or unknown input, another element type, another version of an operator set,
    /// an initializer that exists with other numbers.
    pub fn call(&self, model: &Model, prefix: &str, inputs: &[(&str, Expr)]) -> Vec<Expr> {
        self.call_as(model, Prefixes { values: prefix, weights: prefix }, inputs)
    }

    /// As [`Builder::call`], with weights named apart from values: a second call with the same weights shares them.
    pub fn call_as(&self, model: &Model, prefixes: Prefixes<'_>, inputs: &[(&str, Expr)]) -> Vec<Expr> {
        let mut state = self.state.borrow_mut();
        let what = format!("call of `{}`", model.graph.name);
        state.merge_opsets(model, &what);
        if inputs.iter().any(|(_, value)| !Rc::ptr_eq(&value.state, &self.state)) {
            state.problems.add(&what, "an input belongs to another graph");
        }
        let mut names = state.bind(&model.graph, inputs, &what);
        for (name, tensor) in &model.graph.initializers {
            if !names.contains_key(name) {
                let renamed = format!("{}{name}", prefixes.weights);
                state.weight(&renamed, tensor);
                names.insert(name.clone(), renamed);
            }
        }
        for node in &model.graph.nodes {
            let node = state.rename_node(node, &mut names, prefixes.values);
            state.push(node);
        }
        drop(state);
        let output = |info: &ValueInfo| self.expr(renamed(&names, &info.name), info.dtype);
        model.graph.outputs.iter().map(output).collect()
    }
}

impl State {
    fn merge_opsets(&mut self, model: &Model, what: &str) {
        self.model.ir_version = self.model.ir_version.max(model.ir_version);
        for (domain, version) in &model.opsets {
            let ours = *self.model.opsets.entry(domain.clone()).or_insert(*version);
            if ours != *version {
                let fault = format!("operator set `{domain}` {version}, but this graph has {ours}; export with {ours}");
                self.problems.add(what, fault);
            }
        }
    }

    /// Each input of the model by the name of the value that takes its place.
    fn bind(&mut self, graph: &Graph, inputs: &[(&str, Expr)], what: &str) -> HashMap<String, String> {
        for (name, _) in inputs {
            if !graph.inputs.iter().any(|input| input.name == *name) {
                let known: Vec<&str> = graph.inputs.iter().map(|input| input.name.as_str()).collect();
                self.problems.add(what, format!("no input `{name}`; it has {}", known.join(", ")));
            }
        }
        let mut names = HashMap::new();
        for input in &graph.inputs {
            match inputs.iter().find(|(name, _)| *name == input.name) {
                Some((_, value)) if value.dtype == input.dtype => {
                    names.insert(input.name.clone(), value.name.clone());
                }
                Some((name, value)) => {
                    self.problems.add(what, format!("input `{name}` is {}, not {}", input.dtype, value.dtype));
                }
                None if graph.initializers.contains_key(&input.name) => {}
                None => self.problems.add(what, format!("input `{}` is missing", input.name)),
            }
        }
        names
    }

    /// `node` with its inputs looked up and its outputs named afresh.
    fn rename_node(&mut self, node: &Node, names: &mut HashMap<String, String>, prefix: &str) -> Node {
        let mut copy = node.clone();
        copy.name = format!("{prefix}{}", node.name);
        for attribute in copy.attributes.values_mut() {
            if let Attribute::Graph(body) = attribute {
                **body = self.rename_body(body, names.clone(), prefix);
            }
        }
        for input in &mut copy.inputs {
            *input = renamed(names, input);
        }
        for output in copy.outputs.iter_mut().filter(|name| !name.is_empty()) {
            let fresh = self.fresh(&format!("{prefix}{output}"));
            names.insert(std::mem::replace(output, fresh.clone()), fresh);
        }
        copy
    }

    /// A subgraph, whose own names are made fresh and whose captured ones are looked up.
    fn rename_body(&mut self, body: &Graph, mut names: HashMap<String, String>, prefix: &str) -> Graph {
        let mut own = |name: &String, state: &mut Self| {
            let fresh = state.fresh(&format!("{prefix}{name}"));
            names.insert(name.clone(), fresh.clone());
            fresh
        };
        let mut copy = Graph { name: body.name.clone(), ..Graph::default() };
        for input in &body.inputs {
            let name = own(&input.name, self);
            copy.inputs.push(ValueInfo { name, ..input.clone() });
        }
        for (name, tensor) in &body.initializers {
            copy.initializers.insert(own(name, self), tensor.clone());
        }
        copy.nodes = body.nodes.iter().map(|node| self.rename_node(node, &mut names, prefix)).collect();
        let output = |info: &ValueInfo| ValueInfo { name: renamed(&names, &info.name), ..info.clone() };
        copy.outputs = body.outputs.iter().map(output).collect();
        copy
    }
}

fn renamed(names: &HashMap<String, String>, name: &str) -> String {
    names.get(name).map_or_else(|| name.to_owned(), Clone::clone)
}
