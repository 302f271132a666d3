//! Runs an operator's graph forward and backward, and measures directional derivatives.

use std::collections::{BTreeMap, HashSet};

use plaudit::runtime::{Optimization, Session, SessionSettings};
use plaudit_onnx::{Attribute, DType, Model, Node, Tensor, ValueInfo};

use crate::{
    autodiff::{
        AutodiffError,
        backward::{self, Rules},
    },
    random::Random,
};

/// What an input's numbers look like.
#[derive(Debug, Clone)]
pub(super) enum Data {
    /// Normal numbers; no two nearer than rounding, none at a kink.
    Normal(Vec<usize>),
    /// Between 0.5 and 2.
    Positive(Vec<usize>),
    /// Fixed numbers of any type; not differentiated.
    Fixed(Tensor),
    /// No input at this place.
    Absent,
}

/// One operator call to check.
#[derive(Debug, Clone)]
pub(super) struct Case {
    /// The table's row.
    pub(super) op: &'static str,
    /// What is special about this case.
    pub(super) about: &'static str,
    pub(super) inputs: Vec<Data>,
    pub(super) nodes: Vec<Node>,
    pub(super) outputs: Vec<&'static str>,
    pub(super) dtype: DType,
    pub(super) linear: bool,
    pub(super) opset: i64,
    /// Relative error allowed of a directional derivative.
    pub(super) tolerance: f64,
}

/// Double precision throughout: what remains is the fourth-order stencil's own error.
const DOUBLE: f64 = 1e-8;
/// ONNX Runtime has no double kernel for the operator: rounding of the forward pass, divided by the step.
const SINGLE: f64 = 2e-3;
/// Rounding of 1/σ alone.
const SINGLE_STATISTICS: f64 = 2e-7;
/// Single precision, linear: rounding alone.
const SINGLE_LINEAR: f64 = 2e-5;

impl Case {
    /// `y = op(x0, x1, …)` in double precision.
    pub(super) fn new(op: &'static str, inputs: Vec<Data>) -> Self {
        let names: Vec<String> = inputs.iter().enumerate().map(|(i, data)| input_name(i, data)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let nodes = vec![Node::new(op, &names, &["y"])];
        Self {
            op,
            about: "",
            inputs,
            nodes,
            outputs: vec!["y"],
            dtype: DType::F64,
            linear: false,
            opset: 18,
            tolerance: DOUBLE,
        }
    }

    pub(super) fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    pub(super) fn with(mut self, name: &str, value: Attribute) -> Self {
        self.nodes[0].attributes.insert(name.to_owned(), value);
        self
    }

    pub(super) fn ints(self, name: &str, values: &[i64]) -> Self {
        self.with(name, Attribute::Ints(values.to_vec()))
    }

    pub(super) fn int(self, name: &str, value: i64) -> Self {
        self.with(name, Attribute::Int(value))
    }

    pub(super) fn text(self, name: &str, value: &str) -> Self {
        self.with(name, Attribute::String(value.to_owned()))
    }

    /// In single precision, where ONNX Runtime has no double kernel.
    pub(super) fn single(mut self) -> Self {
        self.dtype = DType::F32;
        self.tolerance = if self.linear { SINGLE_LINEAR } else { SINGLE };
        self
    }

    /// ONNX gives a normalisation's statistics in single precision even for doubles.
    pub(super) fn single_statistics(mut self) -> Self {
        self.tolerance = SINGLE_STATISTICS;
        self
    }

    /// Linear in each input: the adjoint identity holds exactly.
    pub(super) fn linear(mut self) -> Self {
        self.linear = true;
        self.tolerance = if self.dtype == DType::F32 { SINGLE_LINEAR } else { self.tolerance };
        self
    }

    /// Of another operator set than the exporters'.
    pub(super) fn opset(mut self, opset: i64) -> Self {
        self.opset = opset;
        self
    }

    /// Further outputs of the node.
    pub(super) fn outputs(mut self, names: &[&'static str]) -> Self {
        self.outputs = names.to_vec();
        self.nodes[0].outputs = names.iter().map(|&name| name.to_owned()).collect();
        self
    }

    /// A result that is no float becomes one, so that a loss can be taken of it.
    pub(super) fn counted(mut self) -> Self {
        self.nodes[0].outputs = vec!["counted".to_owned()];
        let code = super::super::value::onnx_code(self.dtype);
        self.nodes.push(Node::new("Cast", &["counted"], &["y"]).with("to", Attribute::Int(code)));
        self
    }

    /// The composite of two nodes that the driver sees as one row.
    pub(super) fn nodes(mut self, nodes: Vec<Node>) -> Self {
        self.nodes = nodes;
        self
    }

    pub(super) fn name(&self) -> String {
        format!("{} {}", self.op, self.about).trim().to_owned()
    }

    /// Inputs that have a derivative.
    pub(super) fn trained(&self) -> Vec<usize> {
        let float = |data: &Data| matches!(data, Data::Normal(_) | Data::Positive(_));
        (0..self.inputs.len()).filter(|&index| float(&self.inputs[index])).collect()
    }

    fn values(&self) -> Vec<(String, Tensor)> {
        let mut random = Random::stream(7, &self.name());
        let tensor = |shape: &[usize], random: &mut Random, positive: bool| {
            let count = shape.iter().product();
            let sign = |u: f64| if u < 0.5 || positive { 1.0 } else { -1.0 };
            let numbers: Vec<f64> = (0..count).map(|_| sign(random.unit()) * (0.5 + 1.5 * random.unit())).collect();
            floats(self.dtype, shape, &numbers)
        };
        let value = |(index, data): (usize, &Data)| {
            let tensor = match data {
                Data::Normal(shape) => tensor(shape, &mut random, false),
                Data::Positive(shape) => tensor(shape, &mut random, true),
                Data::Fixed(tensor) => tensor.clone(),
                Data::Absent => return None,
            };
            Some((input_name(index, data), tensor))
        };
        self.inputs.iter().enumerate().filter_map(value).collect()
    }
}

fn input_name(index: usize, data: &Data) -> String {
    if matches!(data, Data::Absent) { String::new() } else { format!("x{index}") }
}

/// A float tensor of either precision.
pub(super) fn floats(dtype: DType, shape: &[usize], numbers: &[f64]) -> Tensor {
    match dtype {
        DType::F64 => Tensor::new(dtype, shape, numbers.iter().flat_map(|x| x.to_le_bytes()).collect()),
        _ => Tensor::f32(shape, &numbers.iter().map(|&x| x as f32).collect::<Vec<_>>()),
    }
}

/// The numbers of a float tensor of either precision.
pub(super) fn numbers(tensor: &Tensor) -> Vec<f64> {
    match tensor.dtype {
        DType::F64 => bytemuck::pod_collect_to_vec(&tensor.data),
        _ => tensor.to_f32().expect("a float tensor").into_iter().map(f64::from).collect(),
    }
}

pub(super) fn session(model: &Model) -> Session {
    let settings = SessionSettings { threads: 1, optimization: Optimization::Basic, ..SessionSettings::default() };
    Session::from_model(model, &settings).unwrap_or_else(|error| panic!("{error:?}\n{model:#?}"))
}

/// A model whose loss is Σ yₖ·rₖ over its float outputs, with fixed random rₖ.
pub(super) struct Prepared {
    forward: Session,
    /// The forward model with the loss, and the shapes of all values.
    pub(super) model: Model,
    values: Vec<(String, Tensor)>,
    weights: Vec<Vec<f64>>,
}

impl Prepared {
    pub(super) fn new(case: &Case) -> Self {
        let values = case.values();
        let mut model = Model::new(&case.name(), case.opset);
        model.graph.nodes = case.nodes.clone();
        for ((name, tensor), data) in values.iter().zip(case.inputs.iter().filter(|data| !matches!(data, Data::Absent)))
        {
            match data {
                Data::Fixed(tensor) => drop(model.graph.initializers.insert(name.clone(), tensor.clone())),
                _ => model.graph.inputs.push(ValueInfo::fixed(name.clone(), tensor.dtype, &tensor.shape)),
            }
        }
        let values: Vec<_> =
            values.into_iter().filter(|(name, _)| !model.graph.initializers.contains_key(name)).collect();
        let produced = model.graph.nodes.iter().flat_map(|node| node.outputs.clone());
        let unknown = |name: String| ValueInfo { name, dtype: case.dtype, shape: None };
        model.graph.outputs = produced.map(unknown).collect();
        model
            .graph
            .outputs
            .iter_mut()
            .filter(|info| info.name == "counted")
            .for_each(|info| info.dtype = counted(case.op));
        let mut forward = session(&model);
        let results = forward.run(&borrow(&values)).unwrap();
        for (info, result) in model.graph.outputs.iter_mut().zip(&results) {
            *info = ValueInfo::fixed(info.name.clone(), result.dtype, &result.shape);
        }
        model.graph.values = model.graph.outputs.drain(..).map(|info| (info.name.clone(), info)).collect();
        let weights = add_loss(&mut model, case);
        Self { forward, model, values, weights }
    }

    /// The loss at x + h·d for one input.
    fn loss(&mut self, input: &str, direction: &[f64], h: f64) -> f64 {
        let mut moved = self.values.clone();
        for (name, tensor) in &mut moved {
            if name == input {
                let at: Vec<f64> = numbers(tensor).iter().zip(direction).map(|(x, d)| x + h * d).collect();
                *tensor = floats(tensor.dtype, &tensor.shape, &at);
            }
        }
        let results = self.forward.run(&borrow(&moved)).unwrap();
        let names: Vec<&str> = self.forward.outputs().iter().map(|info| info.name.as_str()).collect();
        let losses = results.iter().zip(&names).filter(|(_, name)| name.starts_with('y')).map(|(result, _)| result);
        losses.zip(&self.weights).map(|(y, r)| dot(&numbers(y), r)).sum()
    }

    /// ∂L along a direction, by the fourth-order central stencil (f(−2h) − 8f(−h) + 8f(h) − f(2h)) / 12h.
    pub(super) fn slope(&mut self, input: &str, direction: &[f64], h: f64) -> f64 {
        let mut at = |steps: f64| self.loss(input, direction, steps * h);
        (at(-2.0) - 8.0 * at(-1.0) + 8.0 * at(1.0) - at(2.0)) / (12.0 * h)
    }

    /// L(x) − L(0) for one input: ⟨Ax, v⟩ of an operator that is linear in it.
    pub(super) fn inner_product(&mut self, input: &str) -> f64 {
        let x = self.value(input);
        self.loss(input, &x, 0.0) - self.loss(input, &x, -1.0)
    }

    /// An input's numbers.
    pub(super) fn value(&self, input: &str) -> Vec<f64> {
        self.values.iter().find(|(name, _)| name == input).map(|(_, tensor)| numbers(tensor)).unwrap()
    }

    /// The gradients by input name, computed by the differentiated graph.
    pub(super) fn gradients(
        &self,
        wrt: &[String],
        rules: &impl Rules,
    ) -> Result<BTreeMap<String, Vec<f64>>, AutodiffError> {
        let mut model = self.model.clone();
        let names = backward::run(&mut model.graph, "loss", wrt, &HashSet::new(), rules)?;
        let mut session = session(&model);
        let results = session.run(&borrow(&self.values)).unwrap();
        let by_name: BTreeMap<&str, &Tensor> =
            session.outputs().iter().map(|info| info.name.as_str()).zip(&results).collect();
        Ok(names.iter().map(|(input, name)| (input.clone(), numbers(by_name[name.as_str()]))).collect())
    }
}

/// The element type of a result that is no float.
fn counted(op: &str) -> DType {
    if matches!(op, "ArgMax" | "Shape") { DType::I64 } else { DType::Bool }
}

fn add_loss(model: &mut Model, case: &Case) -> Vec<Vec<f64>> {
    let mut random = Random::stream(8, &case.name());
    let mut terms = Vec::new();
    let mut weights = Vec::new();
    let add = |model: &mut Model, node: Node, shape: &[usize]| {
        let info = ValueInfo::fixed(node.outputs[0].clone(), case.dtype, shape);
        model.graph.values.insert(info.name.clone(), info);
        model.graph.nodes.push(node);
    };
    for y in &case.outputs {
        let shape = model.graph.values[*y].static_shape().unwrap();
        let r: Vec<f64> = (0..shape.iter().product()).map(|_| random.unit() + 0.5).collect();
        let (weight, weighted, term) = (format!("{y}_weight"), format!("{y}_weighted"), format!("{y}_term"));
        model.graph.initializers.insert(weight.clone(), floats(case.dtype, &shape, &r));
        weights.push(numbers(&floats(case.dtype, &shape, &r)));
        add(model, Node::new("Mul", &[y, &weight], &[&weighted]), &shape);
        let sum = Node::new("ReduceSum", &[&weighted], &[&term]).with("keepdims", Attribute::Int(0));
        add(model, sum, &[]);
        terms.push(term);
    }
    let terms: Vec<&str> = terms.iter().map(String::as_str).collect();
    add(model, Node::new("Sum", &terms, &["loss"]), &[]);
    model.graph.outputs = vec![ValueInfo::fixed("loss", case.dtype, &[])];
    weights
}

fn borrow(values: &[(String, Tensor)]) -> Vec<(&str, &Tensor)> {
    values.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect()
}

pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
