//! Tensors as Rust expressions: a loss or an update rule is written as its formula and becomes a graph.
//!
//! ```
//! use plaudit_onnx::{DType, expr::Builder};
//!
//! // L = mean((x − y)²)
//! let b = Builder::new("squared error", 18);
//! let x = b.input("x", DType::F32, &["batch".into(), 4.into()]);
//! let y = b.input("y", DType::F32, &["batch".into(), 4.into()]);
//! b.output("loss", &(x - y).square().mean_all());
//! let model = b.finish()?;
//! assert_eq!(model.graph.outputs[0].name, "loss");
//! # Ok::<(), plaudit_onnx::expr::BuildError>(())
//! ```

mod call;
mod operators;
mod ops;
mod output;
mod reduce;
mod shape;
#[cfg(test)]
mod tests;

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
    rc::Rc,
};

use crate::{Attribute, DType, Dim, Model, Node, Problems, Tensor, ValueInfo};

pub use call::Prefixes;
pub use ops::is_stop_gradient;

/// The first operator set in which axes of sums are inputs and softmax works along one axis.
const OLDEST_OPSET: i64 = 13;

/// What is wrong with a formula; all of it at once.
#[derive(Debug, thiserror::Error)]
#[error("the expression is not a graph:{0}")]
pub struct BuildError(pub Problems);

/// A graph under construction. Clones share the graph.
#[derive(Debug, Clone)]
pub struct Builder {
    state: Rc<RefCell<State>>,
}

/// A value in a graph under construction: a name, and the element type it will have. Cheap to clone.
///
/// Arithmetic broadcasts as ONNX (and NumPy) does. Mistakes (mixed element types, values of different graphs) do not
/// panic: [`Builder::finish`] reports all of them.
#[derive(Debug, Clone)]
pub struct Expr {
    state: Rc<RefCell<State>>,
    name: String,
    dtype: DType,
}

#[derive(Debug)]
struct State {
    model: Model,
    taken: HashSet<String>,
    node_names: HashSet<String>,
    counters: HashMap<String, usize>,
    constants: HashMap<(DType, Vec<usize>, Vec<u8>), String>,
    results: Vec<Output>,
    problems: Problems,
}

/// A value that will be returned under a name, which it gets only when the graph is finished.
#[derive(Debug)]
struct Output {
    name: String,
    value: String,
    dtype: DType,
}

impl Builder {
    /// An empty graph of the given default operator set, at least 13.
    pub fn new(name: &str, opset: i64) -> Self {
        let mut problems = Problems::default();
        if opset < OLDEST_OPSET {
            problems.add(format!("graph `{name}`"), format!("operator set {opset}; at least {OLDEST_OPSET} is needed"));
        }
        let state = State {
            model: Model::new(name, opset),
            taken: HashSet::new(),
            node_names: HashSet::new(),
            counters: HashMap::new(),
            constants: HashMap::new(),
            results: Vec::new(),
            problems,
        };
        Self { state: Rc::new(RefCell::new(state)) }
    }

    /// A value fed by the caller.
    pub fn input(&self, name: &str, dtype: DType, dims: &[Dim]) -> Expr {
        let mut state = self.state.borrow_mut();
        state.claim(name, "input");
        let info = ValueInfo { name: name.to_owned(), dtype, shape: Some(dims.to_vec()) };
        state.model.graph.inputs.push(info);
        self.expr(name.to_owned(), dtype)
    }

    /// An f32 scalar.
    pub fn constant(&self, value: f32) -> Expr {
        self.tensor(Tensor::f32(&[], &[value]))
    }

    /// A constant, as a `Constant` node: it is no initializer, so it is never promoted to a parameter.
    pub fn tensor(&self, value: Tensor) -> Expr {
        let dtype = value.dtype;
        let name = self.state.borrow_mut().constant(value);
        self.expr(name, dtype)
    }

    /// An initializer of this very name: a weight. The same tensor under the same name is shared.
    pub fn weight(&self, name: &str, value: Tensor) -> Expr {
        let dtype = value.dtype;
        self.state.borrow_mut().weight(name, &value);
        self.expr(name.to_owned(), dtype)
    }

    /// Returns `value` to the caller as `name`.
    pub fn output(&self, name: &str, value: &Expr) {
        let mut state = self.state.borrow_mut();
        if !Rc::ptr_eq(&self.state, &value.state) {
            state.problems.add(format!("output `{name}`"), "its value belongs to another graph");
            return;
        }
        if state.results.iter().any(|result| result.name == name) {
            state.problems.add(format!("output `{name}`"), "appears twice");
        }
        state.results.push(Output { name: name.to_owned(), value: value.name.clone(), dtype: value.dtype });
    }

    /// The model, without what no output needs.
    ///
    /// # Errors
    /// Every mistake made on the way, together.
    pub fn finish(self) -> Result<Model, BuildError> {
        let mut state = self.state.borrow_mut();
        let model = output::finished(&mut state);
        let mut problems = std::mem::take(&mut state.problems);
        // A formula with mistakes refers to values that were never made: only a clean one is worth a second look.
        if problems.is_empty() {
            problems = model.problems();
        }
        problems.none_or(model).map_err(BuildError)
    }

    fn expr(&self, name: String, dtype: DType) -> Expr {
        Expr { state: Rc::clone(&self.state), name, dtype }
    }
}

impl Expr {
    /// The value's name in the graph.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value's element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The builder of the graph this value is in.
    pub fn builder(&self) -> Builder {
        Builder { state: Rc::clone(&self.state) }
    }

    /// The one output of a new node over `inputs`, of element type `dtype`.
    fn node(op: &str, inputs: &[&Self], dtype: DType, attributes: &[(&str, Attribute)]) -> Self {
        let first = inputs[0];
        let mut state = first.state.borrow_mut();
        let output = state.fresh(&op.to_lowercase());
        if inputs.iter().any(|input| !Rc::ptr_eq(&input.state, &first.state)) {
            state.problems.add(format!("{op} `{output}`"), "mixes values of different graphs");
        }
        let names: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
        let mut node = Node::new(op, &names, &[&output]);
        node.attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        state.push(node);
        drop(state);
        first.builder().expr(output, dtype)
    }

    /// As [`Self::node`] for operators whose inputs have one element type.
    fn uniform(op: &str, inputs: &[&Self], dtype: DType, attributes: &[(&str, Attribute)]) -> Self {
        let result = Self::node(op, inputs, dtype, attributes);
        let first = inputs[0].dtype;
        if let Some(other) = inputs.iter().find(|input| input.dtype != first) {
            let fault = format!("mixes {first} and {}; cast one of them", other.dtype);
            result.state.borrow_mut().problems.add(format!("{op} `{}`", result.name), fault);
        }
        result
    }

    fn unary(&self, op: &str) -> Self {
        Self::node(op, &[self], self.dtype, &[])
    }

    /// A scalar of this value's element type.
    fn scalar(&self, value: f32) -> Self {
        let tensor = Tensor::scalar(self.dtype, value).unwrap_or_else(|| {
            let fault = format!("arithmetic of {} with the number {value}; cast it first", self.dtype);
            self.state.borrow_mut().problems.add(format!("value `{}`", self.name), fault);
            Tensor::f32(&[], &[value])
        });
        self.builder().tensor(tensor)
    }

    fn indices(&self, values: &[i64]) -> Self {
        self.builder().tensor(Tensor::i64(&[values.len()], values))
    }
}

impl State {
    /// Adds a node. Node names must differ, but an empty one is always free.
    fn push(&mut self, mut node: Node) {
        if node.name.is_empty() {
            node.name.clone_from(&node.outputs[0]);
        }
        if !self.node_names.insert(node.name.clone()) {
            node.name.clear();
        }
        self.model.graph.nodes.push(node);
    }

    /// Takes `name` exactly as it is.
    fn claim(&mut self, name: &str, what: &str) {
        if name.is_empty() || !self.taken.insert(name.to_owned()) {
            self.problems.add(format!("{what} `{name}`"), "its name is empty or taken");
        }
    }

    /// `stem` if it is free, otherwise `stem` with the next free number.
    fn fresh(&mut self, stem: &str) -> String {
        if self.taken.insert(stem.to_owned()) {
            return stem.to_owned();
        }
        loop {
            let counter = self.counters.entry(stem.to_owned()).or_default();
            *counter += 1;
            let name = format!("{stem}_{counter}");
            if self.taken.insert(name.clone()) {
                return name;
            }
        }
    }

    fn constant(&mut self, value: Tensor) -> String {
        let key = (value.dtype, value.shape.clone(), value.data.to_vec());
        if let Some(name) = self.constants.get(&key) {
            return name.clone();
        }
        let name = self.fresh("constant");
        self.push(Node::new("Constant", &[], &[&name]).with("value", Attribute::Tensor(value)));
        self.constants.insert(key, name.clone());
        name
    }

    fn weight(&mut self, name: &str, value: &Tensor) {
        match self.model.graph.initializers.get(name) {
            Some(existing) if existing == value => {}
            Some(_) => self.problems.add(format!("initializer `{name}`"), "has two values; give one another prefix"),
            None => {
                self.claim(name, "initializer");
                self.model.graph.initializers.insert(name.to_owned(), value.clone());
            }
        }
    }
}
