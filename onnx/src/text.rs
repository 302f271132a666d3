//! The printed form: one line an input, weight, node; small constants with their numbers.
//!
//! ```text
//! graph linear (opset 18)
//!   in   x: f32[batch, 4]
//!   init w: f32[4, 2]
//!   init b: f32[2] = {0.5, 0.5}
//!   h: f32[batch, 2] = MatMul(x, w)
//!   y = Add(h, b)
//!   out  y: f32[batch, 2]
//! ```

use std::fmt::{self, Display, Formatter};

use crate::{Attribute, DType, Dim, Graph, Model, Node, Tensor, ValueInfo};

/// Tensors up to this many elements are printed with their values.
const SHOWN_ELEMENTS: usize = 8;
/// Spaces before the lines of a graph.
const INDENT: usize = 2;

impl Display for Model {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let opset = |(domain, version): (&String, &i64)| match domain.as_str() {
            "" => format!("opset {version}"),
            named => format!("{named} {version}"),
        };
        let opsets: Vec<String> = self.opsets.iter().map(opset).collect();
        writeln!(f, "graph {} ({})", self.graph.name, opsets.join(", "))?;
        for (key, value) in &self.metadata {
            writeln!(f, "{:INDENT$}meta {key} = {value}", "")?;
        }
        body(&self.graph, f, INDENT)
    }
}

impl Display for Graph {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "graph {}", self.name)?;
        body(self, f, INDENT)
    }
}

impl Display for Node {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        node(self, None, f, 0)
    }
}

impl Display for Dim {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(extent) => write!(f, "{extent}"),
            Self::Named(name) => f.write_str(name),
            Self::Unknown => f.write_str("?"),
        }
    }
}

impl Display for ValueInfo {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.dtype)?;
        match &self.shape {
            Some(dims) => write!(f, "[{}]", list(dims)),
            None => Ok(()),
        }
    }
}

impl Display for Tensor {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.dtype, list(&self.shape))?;
        match elements(self) {
            Some(values) => write!(f, " = {{{}}}", values.join(", ")),
            None => Ok(()),
        }
    }
}

fn body(graph: &Graph, f: &mut Formatter<'_>, indent: usize) -> fmt::Result {
    for input in &graph.inputs {
        writeln!(f, "{:indent$}in   {input}", "")?;
    }
    for (name, tensor) in &graph.initializers {
        writeln!(f, "{:indent$}init {name}: {tensor}", "")?;
    }
    for item in &graph.nodes {
        write!(f, "{:indent$}", "")?;
        node(item, Some(graph), f, indent)?;
        writeln!(f)?;
    }
    for output in &graph.outputs {
        writeln!(f, "{:indent$}out  {output}", "")?;
    }
    Ok(())
}

fn node(node: &Node, graph: Option<&Graph>, f: &mut Formatter<'_>, indent: usize) -> fmt::Result {
    let output = |name: &String| match graph.and_then(|graph| graph.values.get(name)) {
        _ if name.is_empty() => "_".to_owned(),
        Some(known) => known.to_string(),
        None => name.clone(),
    };
    let outputs: Vec<String> = node.outputs.iter().map(output).collect();
    let input = |name: &String| if name.is_empty() { "_".to_owned() } else { name.clone() };
    let mut arguments: Vec<String> = node.inputs.iter().map(input).collect();
    let mut bodies = Vec::new();
    for (name, value) in &node.attributes {
        match value {
            Attribute::Graph(body) => bodies.push((name, body)),
            other => arguments.push(format!("{name}={other}")),
        }
    }
    let domain = if node.domain.is_empty() { String::new() } else { format!("{}.", node.domain) };
    write!(f, "{} = {domain}{}({})", outputs.join(", "), node.op, arguments.join(", "))?;
    for (name, graph) in bodies {
        writeln!(f, " {name} {{")?;
        body(graph, f, indent + INDENT)?;
        write!(f, "{:indent$}}}", "")?;
    }
    Ok(())
}

impl Display for Attribute {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Float(value) => write!(f, "{value:?}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::String(value) => write!(f, "{value:?}"),
            Self::Tensor(value) => write!(f, "{value}"),
            Self::Graph(value) => write!(f, "{value}"),
            Self::Floats(values) => write!(f, "{values:?}"),
            Self::Ints(values) => write!(f, "{values:?}"),
            Self::Strings(values) => write!(f, "{values:?}"),
        }
    }
}

fn list(items: &[impl Display]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The values of a small tensor in words.
fn elements(tensor: &Tensor) -> Option<Vec<String>> {
    fn words<T: bytemuck::AnyBitPattern>(bytes: &[u8], word: impl Fn(T) -> String) -> Vec<String> {
        bytes.chunks_exact(size_of::<T>()).map(|chunk| word(bytemuck::pod_read_unaligned(chunk))).collect()
    }
    let bytes = &tensor.data[..];
    let shown = bytes.len() <= SHOWN_ELEMENTS * tensor.dtype.size();
    shown.then(|| match tensor.dtype {
        DType::F32 => words(bytes, |value: f32| format!("{value:?}")),
        DType::F64 => words(bytes, |value: f64| format!("{value:?}")),
        DType::F16 => words(bytes, |value: half::f16| format!("{:?}", value.to_f32())),
        DType::Bf16 => words(bytes, |value: half::bf16| format!("{:?}", value.to_f32())),
        DType::I64 => words(bytes, |value: i64| value.to_string()),
        DType::I32 => words(bytes, |value: i32| value.to_string()),
        DType::I16 => words(bytes, |value: i16| value.to_string()),
        DType::I8 => words(bytes, |value: i8| value.to_string()),
        DType::U64 => words(bytes, |value: u64| value.to_string()),
        DType::U32 => words(bytes, |value: u32| value.to_string()),
        DType::U16 => words(bytes, |value: u16| value.to_string()),
        DType::U8 => words(bytes, |value: u8| value.to_string()),
        DType::Bool => words(bytes, |value: u8| (value != 0).to_string()),
    })
}
