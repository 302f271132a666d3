//! Graphs, nodes and value types.

use indexmap::IndexMap;

use super::{Reader, default_domain};
use crate::{DType, Dim, Graph, Node, Tensor, ValueInfo, dtype, proto};

impl Reader {
    /// `within` names the node that owns a subgraph, with a separator; empty for the model's own graph.
    pub(super) fn graph(&mut self, message: proto::GraphProto, within: &str) -> Graph {
        if !message.sparse_initializer.is_empty() {
            let count = message.sparse_initializer.len();
            self.problems.add(format!("{within}graph"), format!("{count} sparse initializer(s) are unsupported"));
        }
        if !message.quantization_annotation.is_empty() {
            self.problems.add(format!("{within}graph"), "quantization annotations are unsupported");
        }
        let initializers = self.initializers(message.initializer, within);
        let inputs = self.ports(message.input, &format!("{within}input"));
        let outputs = self.ports(message.output, &format!("{within}output"));
        // Facts about intermediate values are only hints: what we have no word for is left out.
        let values = message.value_info.into_iter().filter_map(|info| value_info(info).ok());
        let values = values.map(|info| (info.name.clone(), info)).collect();
        let nodes = message.node.into_iter().enumerate().map(|(at, node)| self.node(node, at, within)).collect();
        Graph { name: message.name.unwrap_or_default(), inputs, outputs, initializers, nodes, values }
    }

    fn initializers(&mut self, messages: Vec<proto::TensorProto>, within: &str) -> IndexMap<String, Tensor> {
        let mut initializers = IndexMap::with_capacity(messages.len());
        for mut message in messages {
            let name = message.name.take().unwrap_or_default();
            let place = format!("{within}initializer `{name}`");
            if let Some(tensor) = self.tensor(message, &place)
                && initializers.insert(name, tensor).is_some()
            {
                self.problems.add(place, "appears twice");
            }
        }
        initializers
    }

    fn ports(&mut self, messages: Vec<proto::ValueInfoProto>, what: &str) -> Vec<ValueInfo> {
        let mut ports = Vec::with_capacity(messages.len());
        for message in messages {
            let place = format!("{what} `{}`", message.name.as_deref().unwrap_or(""));
            match value_info(message) {
                Ok(info) => ports.push(info),
                Err(fault) => self.problems.add(place, fault),
            }
        }
        ports
    }

    fn node(&mut self, message: proto::NodeProto, index: usize, within: &str) -> Node {
        let name = message.name.unwrap_or_default();
        let op = message.op_type.unwrap_or_default();
        let label = if name.is_empty() { index.to_string() } else { format!("`{name}`") };
        let place = format!("{within}node {label} ({op})");
        if message.overload.is_some_and(|overload| !overload.is_empty()) {
            self.problems.add(&place, "overloads of functions are unsupported");
        }
        let mut attributes = std::collections::BTreeMap::new();
        for attribute in message.attribute {
            let key = attribute.name.clone().unwrap_or_default();
            if let Some(value) = self.attribute(attribute, &format!("{place}, attribute `{key}`")) {
                attributes.insert(key, value);
            }
        }
        let domain = default_domain(message.domain.unwrap_or_default());
        Node { name, op, domain, inputs: message.input, outputs: message.output, attributes }
    }
}

fn value_info(message: proto::ValueInfoProto) -> Result<ValueInfo, String> {
    use proto::type_proto::Value;
    let name = message.name.unwrap_or_default();
    let kind = match message.r#type.and_then(|kind| kind.value) {
        Some(Value::TensorType(kind)) => kind,
        Some(_) => return Err("is not a tensor; sequences, maps and optionals are unsupported".to_owned()),
        None => return Err("has no type".to_owned()),
    };
    let number = i64::from(kind.elem_type.unwrap_or(0));
    let dtype =
        DType::from_onnx(number).ok_or_else(|| format!("element type {} is unsupported", dtype::onnx_name(number)))?;
    let shape = kind.shape.map(|shape| shape.dim.into_iter().map(dim).collect::<Result<_, _>>()).transpose()?;
    Ok(ValueInfo { name, dtype, shape })
}

fn dim(message: proto::tensor_shape_proto::Dimension) -> Result<Dim, String> {
    use proto::tensor_shape_proto::dimension::Value;
    match message.value {
        Some(Value::DimValue(extent)) => {
            usize::try_from(extent).map(Dim::Fixed).map_err(|_| format!("negative extent {extent}"))
        }
        Some(Value::DimParam(name)) if !name.is_empty() => Ok(Dim::Named(name)),
        Some(Value::DimParam(_)) | None => Ok(Dim::Unknown),
    }
}
