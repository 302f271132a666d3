//! The driver: what is pruned, in which order rules run, how cotangents are reduced, added up and named.

use std::collections::{HashMap, HashSet};

use indexmap::IndexMap;
use plaudit_onnx::{Graph, Node};

use super::{
    AutodiffError, Gap,
    call::{Call, Cotangent},
    composite,
    table::{self, Row},
    tape::{Tape, Value},
};

/// How the driver finds an operator's cotangents; the tests bend it.
pub(crate) trait Rules {
    /// The operator's row.
    fn row(&self, op: &str) -> Option<&'static Row> {
        table::row(op)
    }

    /// The row's formula for one input.
    fn cotangent<'t>(&self, row: &Row, call: &Call<'t>, index: usize) -> Cotangent<'t> {
        (row.cotangent)(call, index)
    }
}

/// The table as it stands.
pub(crate) struct Table;

impl Rules for Table {}

/// Differentiates `loss` with respect to `wrt`, with values through which no gradient passes.
pub(crate) fn run(
    graph: &mut Graph,
    loss: &str,
    wrt: &[String],
    stop: &HashSet<String>,
    rules: &impl Rules,
) -> Result<IndexMap<String, String>, AutodiffError> {
    let view = composite::recognise(graph);
    let path = path(&view, loss, wrt, stop);
    check_shapes(graph, &view, &path, loss, wrt)?;
    let tape = Tape::new(graph);
    let mut sweep = Sweep { tape: &tape, path: &path, rules, cotangents: HashMap::new(), gaps: Vec::new() };
    sweep.seed(loss)?;
    view.iter().rev().for_each(|node| sweep.visit(node));
    let Sweep { cotangents, gaps, .. } = sweep;
    if !gaps.is_empty() {
        return Err(AutodiffError::Gaps(gaps));
    }
    let unreached: Vec<String> = wrt.iter().filter(|name| !cotangents.contains_key(*name)).cloned().collect();
    if !unreached.is_empty() {
        return Err(AutodiffError::Unreached { loss: loss.to_owned(), parameters: unreached });
    }
    let named: Vec<(&String, Value)> = wrt.iter().map(|name| (name, named(cotangents[name], name))).collect();
    let roots: Vec<_> = named.iter().map(|(_, value)| value.id).collect();
    let names = named.iter().map(|(name, value)| ((*name).clone(), value.name())).collect();
    drop(named);
    append(graph, tape, &roots);
    Ok(names)
}

/// Values on a path from a parameter to the loss.
fn path(nodes: &[Node], loss: &str, wrt: &[String], stop: &HashSet<String>) -> HashSet<String> {
    let mut moved: HashSet<&str> = wrt.iter().map(String::as_str).collect();
    for node in nodes {
        if node.inputs.iter().any(|name| moved.contains(name.as_str())) {
            moved.extend(node.outputs.iter().filter(|name| !stop.contains(*name)).map(String::as_str));
        }
    }
    let mut read = HashSet::from([loss]);
    for node in nodes.iter().rev() {
        if node.outputs.iter().any(|name| read.contains(name.as_str())) {
            read.extend(node.inputs.iter().map(String::as_str));
        }
    }
    moved.intersection(&read).filter(|name| !name.is_empty()).map(|&name| name.to_owned()).collect()
}

/// Rules rely on static shapes: of every input and output of the nodes they are called on.
fn check_shapes(
    graph: &Graph,
    nodes: &[Node],
    path: &HashSet<String>,
    loss: &str,
    wrt: &[String],
) -> Result<(), AutodiffError> {
    let infos = graph.inputs.iter().chain(graph.values.values()).chain(&graph.outputs);
    let fixed = infos.filter(|info| info.static_shape().is_some()).map(|info| info.name.as_str());
    let known: HashSet<&str> = fixed.chain(graph.initializers.keys().map(String::as_str)).chain([""]).collect();
    let touched = nodes.iter().filter(|node| node.outputs.iter().any(|name| path.contains(name)));
    let used = touched.flat_map(|node| node.inputs.iter().chain(&node.outputs)).map(String::as_str);
    let mut unknown: Vec<String> = Vec::new();
    for name in used.chain([loss]).chain(wrt.iter().map(String::as_str)) {
        if !known.contains(name) && !unknown.iter().any(|seen| seen == name) {
            unknown.push(name.to_owned());
        }
    }
    if unknown.is_empty() { Ok(()) } else { Err(AutodiffError::UnknownShapes(unknown)) }
}

struct Sweep<'t, 'r, R> {
    tape: &'t Tape,
    path: &'r HashSet<String>,
    rules: &'r R,
    cotangents: HashMap<String, Value<'t>>,
    gaps: Vec<Gap>,
}

impl<'t, 'r, R: Rules> Sweep<'t, 'r, R>
where
    'r: 't,
{
    /// ∂L/∂L = 1.
    fn seed(&mut self, loss: &str) -> Result<(), AutodiffError> {
        let value = self.tape.find(loss).ok_or_else(|| AutodiffError::UnknownShapes(vec![loss.to_owned()]))?;
        if value.shape().iter().product::<usize>() != 1 {
            return Err(AutodiffError::NotOneNumber { loss: loss.to_owned(), shape: value.shape().to_vec() });
        }
        self.cotangents.insert(loss.to_owned(), value.ones(&value.shape()));
        Ok(())
    }

    /// Passes a node's output cotangents on to its inputs.
    fn visit(&mut self, node: &'t Node) {
        let reached = |name: &String| self.cotangents.contains_key(name);
        if !node.outputs.iter().any(reached) {
            return;
        }
        let trained: Vec<usize> = (0..node.inputs.len()).filter(|&i| self.path.contains(&node.inputs[i])).collect();
        if trained.is_empty() {
            return;
        }
        let Some(row) = self.rules.row(&node.op).filter(|_| matches!(node.domain.as_str(), "" | composite::DOMAIN))
        else {
            return self.fail(node, &trained, "no gradient is known for this operator".to_owned());
        };
        let find = |name: &String| self.tape.find(name);
        let call = Call {
            node,
            inputs: node.inputs.iter().map(find).collect(),
            outputs: node.outputs.iter().map(find).collect(),
            cotangents: node.outputs.iter().map(|name| self.cotangents.get(name).copied()).collect(),
        };
        for index in trained {
            match self.rules.cotangent(row, &call, index) {
                Ok(Some(cotangent)) => self.add(&node.inputs[index], cotangent),
                Ok(None) => {}
                Err(reason) => self.fail(node, &[index], reason),
            }
        }
    }

    /// Adds a cotangent to a value's others, in the value's own shape.
    fn add(&mut self, name: &str, cotangent: Value<'t>) {
        let Some(source) = self.tape.find(name) else { return };
        let fitted = cotangent.fit(&source.shape());
        let sum = self.cotangents.get(name).map_or(fitted, |&others| others + fitted);
        self.cotangents.insert(name.to_owned(), sum);
    }

    /// Notes a gap and goes on with zeros, so that gaps behind this one are found too.
    fn fail(&mut self, node: &Node, indices: &[usize], reason: String) {
        self.gaps.push(Gap { node: node.name.clone(), op: qualified(node), output: node.outputs[0].clone(), reason });
        for &index in indices {
            if let Some(value) = self.tape.find(&node.inputs[index]) {
                self.add(&node.inputs[index], value.zeros(&value.shape()));
            }
        }
    }
}

fn qualified(node: &Node) -> String {
    if node.domain.is_empty() { node.op.clone() } else { format!("{}.{}", node.domain, node.op) }
}

/// `grad/<parameter>`; a value that has a name already is copied under the new one.
fn named<'t>(cotangent: Value<'t>, parameter: &str) -> Value<'t> {
    let name = format!("grad/{parameter}");
    if cotangent.producer().is_some() && cotangent.tape.rename(cotangent, &name) {
        return cotangent;
    }
    let copy = cotangent.call("Identity", &[], vec![], &cotangent.shape());
    if copy.tape.rename(copy, &name) {
        return copy;
    }
    // Two parameters share one gradient, and the copy is the first one's.
    named(cotangent.call("Identity", &[copy], vec![], &cotangent.shape()), parameter)
}

fn append(graph: &mut Graph, tape: Tape, roots: &[usize]) {
    let appendix = tape.finish(roots);
    let by_name: HashMap<&str, _> = appendix.values.iter().map(|info| (info.name.as_str(), info)).collect();
    let outputs = appendix.roots.iter().map(|name| by_name[name.as_str()].clone());
    graph.outputs.extend(outputs);
    graph.initializers.extend(appendix.initializers);
    graph.nodes.extend(appendix.nodes);
    graph.values.extend(appendix.values.into_iter().map(|info| (info.name.clone(), info)));
}
