//! The graph as plain data: what ONNX's `ModelProto` says, with maps where order has no meaning.

use std::collections::BTreeMap;

use indexmap::IndexMap;

use crate::{DType, Tensor};

/// A model: a graph and what it needs to be understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// ONNX IR version, the file format's own number.
    pub ir_version: i64,
    /// Operator set version by domain; the default domain is the empty string.
    pub opsets: BTreeMap<String, i64>,
    /// The graph.
    pub graph: Graph,
    /// Free-form facts stored with the model.
    pub metadata: BTreeMap<String, String>,
}

/// Nodes in execution order, and the named values that flow between them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Graph {
    /// The graph's name; no meaning to the runtime.
    pub name: String,
    /// Values fed by the caller.
    pub inputs: Vec<ValueInfo>,
    /// Values returned to the caller.
    pub outputs: Vec<ValueInfo>,
    /// Constants and weights by value name, in file order.
    pub initializers: IndexMap<String, Tensor>,
    /// Operators, topologically ordered.
    pub nodes: Vec<Node>,
    /// What is known of intermediate values (types and shapes), by name.
    pub values: BTreeMap<String, ValueInfo>,
}

/// One operator call.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Node {
    /// The node's name; used in messages only.
    pub name: String,
    /// Operator, such as `Conv`.
    pub op: String,
    /// Operator domain; empty for ONNX's own.
    pub domain: String,
    /// Value names; an empty string is an absent optional input.
    pub inputs: Vec<String>,
    /// Value names; an empty string is an unused optional output.
    pub outputs: Vec<String>,
    /// Attributes by name.
    pub attributes: BTreeMap<String, Attribute>,
}

/// An attribute's value.
#[derive(Debug, Clone, PartialEq)]
pub enum Attribute {
    /// A 32-bit float.
    Float(f32),
    /// A 64-bit integer.
    Int(i64),
    /// Text (ONNX stores bytes; anything that is not UTF-8 is refused on reading).
    String(String),
    /// A tensor.
    Tensor(Tensor),
    /// A subgraph (`If`, `Loop`, `Scan`).
    Graph(Box<Graph>),
    /// Floats.
    Floats(Vec<f32>),
    /// Integers.
    Ints(Vec<i64>),
    /// Texts.
    Strings(Vec<String>),
}

/// One extent of a shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dim {
    /// Known.
    Fixed(usize),
    /// Free, with a name that ties it to other shapes.
    Named(String),
    /// Nothing is known.
    Unknown,
}

/// Name, element type and shape of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueInfo {
    /// The value's name.
    pub name: String,
    /// Element type.
    pub dtype: DType,
    /// Shape; `None` when even the rank is unknown.
    pub shape: Option<Vec<Dim>>,
}

impl ValueInfo {
    /// A value of a fully known shape.
    pub fn fixed(name: impl Into<String>, dtype: DType, shape: &[usize]) -> Self {
        Self { name: name.into(), dtype, shape: Some(shape.iter().map(|&n| Dim::Fixed(n)).collect()) }
    }

    /// The shape, when every extent is known.
    pub fn static_shape(&self) -> Option<Vec<usize>> {
        let fixed = |dim: &Dim| match dim {
            Dim::Fixed(n) => Some(*n),
            Dim::Named(_) | Dim::Unknown => None,
        };
        self.shape.as_ref()?.iter().map(fixed).collect()
    }
}

impl Node {
    /// A node of ONNX's own domain without attributes.
    pub fn new(op: &str, inputs: &[&str], outputs: &[&str]) -> Self {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Self { op: op.to_owned(), inputs: owned(inputs), outputs: owned(outputs), ..Self::default() }
    }

    /// The same node with one more attribute.
    #[must_use]
    pub fn with(mut self, name: &str, value: Attribute) -> Self {
        self.attributes.insert(name.to_owned(), value);
        self
    }

    /// An integer attribute, or `default` where it is absent.
    pub fn int(&self, name: &str, default: i64) -> i64 {
        match self.attributes.get(name) {
            Some(Attribute::Int(value)) => *value,
            _ => default,
        }
    }

    /// A float attribute, or `default` where it is absent.
    pub fn float(&self, name: &str, default: f32) -> f32 {
        match self.attributes.get(name) {
            Some(Attribute::Float(value)) => *value,
            _ => default,
        }
    }

    /// An integer-list attribute.
    pub fn ints(&self, name: &str) -> Option<&[i64]> {
        match self.attributes.get(name) {
            Some(Attribute::Ints(values)) => Some(values),
            _ => None,
        }
    }

    /// A text attribute.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.attributes.get(name) {
            Some(Attribute::String(value)) => Some(value),
            _ => None,
        }
    }
}

impl Model {
    /// An empty model of the given default opset, in the IR version that introduced no later feature than it needs.
    pub fn new(name: &str, opset: i64) -> Self {
        Self {
            ir_version: 10,
            opsets: BTreeMap::from([(String::new(), opset)]),
            graph: Graph { name: name.to_owned(), ..Graph::default() },
            metadata: BTreeMap::new(),
        }
    }
}

impl From<usize> for Dim {
    fn from(extent: usize) -> Self {
        Self::Fixed(extent)
    }
}

impl From<&str> for Dim {
    fn from(name: &str) -> Self {
        Self::Named(name.to_owned())
    }
}
