//! Names of weights, and weights as inputs.

use std::collections::{BTreeMap, HashSet};

use super::{Edit, Step};
use crate::Graph;

/// Turns these initializers into inputs, behind those there are, in this order: what is trained is fed.
pub fn promote<'a>(names: impl IntoIterator<Item = &'a str>) -> Edit {
    let step = |name: &str| Step::Promote { initializer: name.to_owned() };
    Edit { label: "parameters as inputs".to_owned(), steps: names.into_iter().map(step).collect() }
}

/// Gives values (weights, inputs, outputs) other names.
pub fn rename<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Edit {
    let step = |(from, to): (&str, &str)| Step::Rename { from: from.to_owned(), to: to.to_owned() };
    Edit { label: "other names".to_owned(), steps: pairs.into_iter().map(step).collect() }
}

/// The prefix of the names that PyTorch's older exporter gives to weights it had to transpose.
const ANONYMOUS: &str = "onnx::";

/// Gives weights that PyTorch's older exporter left nameless (`onnx::MatMul_1628`) the name of the module that uses
/// them, taken from the path in its node's name: `/mid_block/to_q/MatMul` makes `mid_block.to_q.weight`.
///
/// Such a weight is stored transposed, [in, out]: the operand of a `MatMul`, not PyTorch's [out, in].
pub fn weight_names(graph: &Graph) -> Edit {
    let mut edit = Edit::new("weights named by their modules");
    let readers = graph.readers();
    let mut wanted: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for name in graph.initializers.keys().filter(|name| name.starts_with(ANONYMOUS)) {
        if let Some([reader]) = readers.get(name.as_str()).map(Vec::as_slice)
            && graph.nodes[*reader].op == "MatMul"
            && let Some(module) = module(&graph.nodes[*reader].name)
        {
            wanted.entry(format!("{module}.weight")).or_default().push(name);
        }
    }
    let taken: HashSet<&String> = graph.initializers.keys().collect();
    for (to, from) in &wanted {
        if let [from] = from.as_slice()
            && !taken.contains(to)
        {
            edit.steps.push(Step::Rename { from: (*from).to_owned(), to: to.clone() });
        }
    }
    edit
}

/// `a.b` for the node `/a/b/MatMul`; none for a node outside any module.
fn module(node: &str) -> Option<String> {
    let (path, _operator) = node.strip_prefix('/')?.rsplit_once('/')?;
    Some(path.replace('/', "."))
}
