//! Values back into ONNX's messages.

use super::ExternalRange;
use crate::{
    Attribute, Dim, Graph, Model, Node, Tensor, ValueInfo,
    proto::{
        AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto, TensorProto,
        TensorShapeProto, TypeProto, ValueInfoProto, attribute_proto::AttributeType, tensor_proto::DataLocation,
        tensor_shape_proto, type_proto,
    },
};

type Place<'a> = &'a dyn Fn(&str, &Tensor) -> Option<ExternalRange>;

pub(super) fn model(model: &Model, place: Place<'_>) -> ModelProto {
    let opset = |(domain, version): (&String, &i64)| OperatorSetIdProto {
        domain: Some(domain.clone()),
        version: Some(*version),
    };
    ModelProto {
        ir_version: Some(model.ir_version),
        opset_import: model.opsets.iter().map(opset).collect(),
        producer_name: Some(env!("CARGO_PKG_NAME").to_owned()),
        graph: Some(graph(&model.graph, place)),
        metadata_props: model.metadata.iter().map(|(key, value)| entry(key, value.clone())).collect(),
        ..ModelProto::default()
    }
}

fn graph(graph: &Graph, place: Place<'_>) -> GraphProto {
    GraphProto {
        name: Some(graph.name.clone()),
        node: graph.nodes.iter().map(node).collect(),
        initializer: graph.initializers.iter().map(|(name, value)| initializer(name, value, place)).collect(),
        input: graph.inputs.iter().map(value_info).collect(),
        output: graph.outputs.iter().map(value_info).collect(),
        value_info: graph.values.values().map(value_info).collect(),
        ..GraphProto::default()
    }
}

fn node(node: &Node) -> NodeProto {
    NodeProto {
        name: Some(node.name.clone()),
        op_type: Some(node.op.clone()),
        domain: Some(node.domain.clone()),
        input: node.inputs.clone(),
        output: node.outputs.clone(),
        attribute: node.attributes.iter().map(|(name, value)| attribute(name, value)).collect(),
        ..NodeProto::default()
    }
}

fn attribute(name: &str, value: &Attribute) -> AttributeProto {
    let mut message = AttributeProto { name: Some(name.to_owned()), ..AttributeProto::default() };
    let kind = match value {
        Attribute::Float(value) => {
            message.f = Some(*value);
            AttributeType::Float
        }
        Attribute::Int(value) => {
            message.i = Some(*value);
            AttributeType::Int
        }
        Attribute::String(value) => {
            message.s = Some(value.clone().into_bytes());
            AttributeType::String
        }
        Attribute::Tensor(value) => {
            message.t = Some(embedded(value));
            AttributeType::Tensor
        }
        Attribute::Graph(body) => {
            // Only the model's own graph has external weights.
            message.g = Some(graph(body, &|_, _| None));
            AttributeType::Graph
        }
        Attribute::Floats(values) => {
            message.floats.clone_from(values);
            AttributeType::Floats
        }
        Attribute::Ints(values) => {
            message.ints.clone_from(values);
            AttributeType::Ints
        }
        Attribute::Strings(values) => {
            message.strings = values.iter().map(|value| value.clone().into_bytes()).collect();
            AttributeType::Strings
        }
    };
    message.r#type = Some(kind as i32);
    message
}

fn initializer(name: &str, tensor: &Tensor, place: Place<'_>) -> TensorProto {
    let message = match place(name, tensor) {
        None => embedded(tensor),
        Some(range) => TensorProto {
            data_location: Some(DataLocation::External as i32),
            external_data: vec![
                entry("location", range.location),
                entry("offset", range.offset.to_string()),
                entry("length", range.length.to_string()),
            ],
            ..header(tensor)
        },
    };
    TensorProto { name: Some(name.to_owned()), ..message }
}

fn embedded(tensor: &Tensor) -> TensorProto {
    TensorProto { raw_data: Some(tensor.data.to_vec()), ..header(tensor) }
}

fn header(tensor: &Tensor) -> TensorProto {
    TensorProto {
        dims: tensor.shape.iter().map(|&n| n as i64).collect(),
        data_type: Some(tensor.dtype.onnx() as i32),
        ..TensorProto::default()
    }
}

fn value_info(info: &ValueInfo) -> ValueInfoProto {
    let shape = info.shape.as_ref().map(|dims| TensorShapeProto { dim: dims.iter().map(dim).collect() });
    let tensor = type_proto::Tensor { elem_type: Some(info.dtype.onnx() as i32), shape };
    let kind = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() };
    ValueInfoProto { name: Some(info.name.clone()), r#type: Some(kind), ..ValueInfoProto::default() }
}

fn dim(dim: &Dim) -> tensor_shape_proto::Dimension {
    use tensor_shape_proto::dimension::Value;
    let value = match dim {
        Dim::Fixed(extent) => Some(Value::DimValue(*extent as i64)),
        Dim::Named(name) => Some(Value::DimParam(name.clone())),
        Dim::Unknown => None,
    };
    tensor_shape_proto::Dimension { value, ..Default::default() }
}

fn entry(key: &str, value: String) -> StringStringEntryProto {
    StringStringEntryProto { key: Some(key.to_owned()), value: Some(value) }
}
