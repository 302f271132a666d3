//! From a model with a loss to a graph with gradients.

use std::collections::{BTreeMap, HashMap, HashSet};

use indexmap::IndexMap;
use plaudit::runtime::specialise;
use plaudit_onnx::{DType, Graph, Model, Node, Tensor, ValueInfo, expr::is_stop_gradient};
use sha2::{Digest, Sha256};

use super::{Adapter, Selection, StepError, adapt, is_parameter, modules};
use crate::{autodiff, checkpoint::hex};

/// The output that is minimised.
pub const LOSS: &str = "loss";
/// Version of ONNX Runtime's own operator domains; there is only this one.
const CONTRIBUTED_OPSET: i64 = 1;

/// A trainable weight: an input of the training graph, and the output that is its gradient.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Name of the weight and of the input.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Name of the gradient output, of the same shape.
    pub gradient: String,
}

/// Forward, loss and backward as one static graph; the trainable weights are inputs.
#[derive(Debug, Clone)]
pub struct TrainGraph {
    pub(super) model: Model,
    pub(super) parameters: Vec<Parameter>,
    pub(super) start: IndexMap<String, Tensor>,
    pub(super) adapters: Vec<Adapter>,
    pub(super) fingerprint: String,
}

impl TrainGraph {
    /// Builds the step of `model`, whose scalar f32 output `loss` is minimised; its other scalar f32 outputs are logged.
    ///
    /// `dims` are sizes for the free dimensions, such as `batch`. Weights that are not selected, and weights that the loss does not depend on,
    /// stay as they are.
    ///
    /// # Errors
    /// If there is no loss, nothing to train, a shape stays open, or an operator between a weight and the loss has no gradient (all are named).
    pub fn build(mut model: Model, selection: &Selection, dims: &BTreeMap<String, usize>) -> Result<Self, StepError> {
        require_loss(&model.graph, |_| true)?;
        let adapters = match selection {
            Selection::Lora(lora) => adapt(&mut model.graph, *lora),
            _ => Vec::new(),
        };
        let names = trainable(&model.graph, selection, &adapters)?;
        let fingerprint = fingerprint(&model.graph, &names);
        let start = promote(&mut model.graph, &names);
        let mut model = specialise(&model, dims)?;
        require_loss(&model.graph, is_scalar)?;
        let stops = stops(&model.graph);
        let gradients = autodiff::backward_stopping(&mut model.graph, LOSS, &names, &stops)?;
        declare_domains(&mut model);
        let parameter = |(name, gradient): (&String, &String)| Parameter {
            name: name.clone(),
            shape: start[name].shape.clone(),
            gradient: gradient.clone(),
        };
        let parameters = gradients.iter().map(parameter).collect();
        Ok(Self { model, parameters, start, adapters, fingerprint })
    }

    /// The trainable weights.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// The graph that is run.
    pub fn model(&self) -> &Model {
        &self.model
    }
}

/// Appends ∂`loss`/∂v for inputs or values v; answers the model and the outputs' names.
///
/// # Errors
/// As [`TrainGraph::build`].
pub(crate) fn differentiate(model: Model, values: &[String]) -> Result<(Model, IndexMap<String, String>), StepError> {
    let mut model = specialise(&model, &BTreeMap::new())?;
    require_loss(&model.graph, is_scalar)?;
    let stops = stops(&model.graph);
    let gradients = autodiff::backward_stopping(&mut model.graph, LOSS, values, &stops)?;
    declare_domains(&mut model);
    Ok((model, gradients))
}

/// Selected weights that the loss depends on, in file order.
fn trainable(graph: &Graph, selection: &Selection, adapters: &[Adapter]) -> Result<Vec<String>, StepError> {
    let reached = ancestors(graph, LOSS);
    let modules = modules(graph);
    let added: HashSet<String> = adapters.iter().flat_map(|adapter| [adapter.a(), adapter.b()]).collect();
    let chosen = |name: &&String| {
        let selected = modules.get(*name).is_some_and(|module| selection.trains(module)) || added.contains(*name);
        selected && reached.contains(name.as_str())
    };
    let names: Vec<String> = graph.initializers.keys().filter(chosen).cloned().collect();
    if !names.is_empty() {
        return Ok(names);
    }
    let weights = graph.initializers.iter().filter(|(name, tensor)| is_parameter(name, tensor)).count();
    Err(StepError::NothingToTrain { graph: graph.name.clone(), weights, selection: format!("{selection:?}") })
}

/// Every value that `output` is computed from.
fn ancestors<'a>(graph: &'a Graph, output: &'a str) -> HashSet<&'a str> {
    let outputs = |node: &'a Node| node.outputs.iter().map(move |name| (name.as_str(), node));
    let makers: HashMap<&str, &Node> = graph.nodes.iter().flat_map(outputs).collect();
    let mut found = HashSet::from([output]);
    let mut open = vec![output];
    while let Some(name) = open.pop() {
        let inputs = makers.get(name).into_iter().flat_map(|node| &node.inputs);
        open.extend(inputs.map(String::as_str).filter(|input| found.insert(input)));
    }
    found
}

/// Turns weights into inputs and returns their values.
fn promote(graph: &mut Graph, names: &[String]) -> IndexMap<String, Tensor> {
    let mut values = IndexMap::new();
    for name in names {
        if let Some(tensor) = graph.initializers.shift_remove(name) {
            graph.inputs.retain(|input| &input.name != name);
            graph.inputs.push(ValueInfo::fixed(name.clone(), tensor.dtype, &tensor.shape));
            values.insert(name.clone(), tensor);
        }
    }
    values
}

/// Values that a formula marked with `stop_gradient`.
fn stops(graph: &Graph) -> HashSet<String> {
    let marked = graph.nodes.iter().filter(|node| is_stop_gradient(node));
    marked.flat_map(|node| &node.outputs).cloned().collect()
}

/// Gradients use operators of other domains than the forward graph.
fn declare_domains(model: &mut Model) {
    for node in &model.graph.nodes {
        model.opsets.entry(node.domain.clone()).or_insert(CONTRIBUTED_OPSET);
    }
}

fn is_scalar(output: &ValueInfo) -> bool {
    output.dtype == DType::F32 && output.static_shape().is_some_and(|shape| shape.is_empty())
}

fn require_loss(graph: &Graph, fits: impl Fn(&ValueInfo) -> bool) -> Result<(), StepError> {
    if graph.outputs.iter().any(|output| output.name == LOSS && fits(output)) {
        return Ok(());
    }
    let outputs: Vec<String> =
        graph.outputs.iter().map(|output| format!("{} {:?} {:?}", output.name, output.dtype, output.shape)).collect();
    Err(StepError::NoLoss { graph: graph.name.clone(), outputs: outputs.join(", ") })
}

/// SHA-256 over the forward graph's operators and the trained weights' names and shapes: what must not change within a run.
fn fingerprint(graph: &Graph, names: &[String]) -> String {
    let mut hasher = Sha256::new();
    for node in &graph.nodes {
        hasher.update(format!("{node:?}\n"));
    }
    for name in names {
        hasher.update(format!("{name} {:?}\n", graph.initializers[name].shape));
    }
    hex(&hasher.finalize())
}
