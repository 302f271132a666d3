//! What is read, and what is refused with which words.

use std::{
    fs::{self, File},
    io::{Seek, SeekFrom, Write},
};

use prost::Message;

use crate::{
    DType, Model, ReadError, Tensor,
    proto::{
        AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, SparseTensorProto,
        StringStringEntryProto, TensorProto, TypeProto, ValueInfoProto, attribute_proto::AttributeType,
        tensor_proto::DataType, type_proto,
    },
};

fn message() -> ModelProto {
    ModelProto {
        ir_version: Some(8),
        opset_import: vec![OperatorSetIdProto { domain: Some("ai.onnx".to_owned()), version: Some(18) }],
        graph: Some(GraphProto::default()),
        ..ModelProto::default()
    }
}

fn with_initializer(tensor: TensorProto) -> ModelProto {
    let mut model = message();
    model.graph.as_mut().unwrap().initializer.push(TensorProto { name: Some("w".to_owned()), ..tensor });
    model
}

fn with_attribute(attribute: AttributeProto) -> ModelProto {
    let mut model = message();
    let attribute = AttributeProto { name: Some("a".to_owned()), ..attribute };
    let node = NodeProto { op_type: Some("Op".to_owned()), attribute: vec![attribute], ..NodeProto::default() };
    model.graph.as_mut().unwrap().node.push(node);
    model
}

fn read(model: &ModelProto) -> Result<Model, ReadError> {
    Model::from_bytes(&model.encode_to_vec())
}

fn tensor(kind: DataType, dims: &[i64]) -> TensorProto {
    TensorProto { data_type: Some(kind as i32), dims: dims.to_vec(), ..TensorProto::default() }
}

/// One f32 whose data is elsewhere, as these keys and values say.
fn external(entries: &[(&str, &str)]) -> TensorProto {
    let entry = |&(key, value): &(&str, &str)| StringStringEntryProto {
        key: Some(key.to_owned()),
        value: Some(value.to_owned()),
    };
    TensorProto {
        data_location: Some(1),
        external_data: entries.iter().map(entry).collect(),
        ..tensor(DataType::Float, &[1])
    }
}

#[test]
fn every_typed_field_decodes_to_little_endian_bytes() {
    let cases = [
        (TensorProto { float_data: vec![1.0, -2.5], ..tensor(DataType::Float, &[2]) }, Tensor::f32(&[2], &[1.0, -2.5])),
        (TensorProto { int64_data: vec![-3], ..tensor(DataType::Int64, &[]) }, Tensor::i64(&[], &[-3])),
        (
            TensorProto { double_data: vec![0.5], ..tensor(DataType::Double, &[1]) },
            Tensor::new(DType::F64, &[1], 0.5f64.to_le_bytes().to_vec()),
        ),
        (
            TensorProto { int32_data: vec![0x3c00], ..tensor(DataType::Float16, &[1]) },
            Tensor::new(DType::F16, &[1], vec![0x00, 0x3c]),
        ),
        (
            TensorProto { int32_data: vec![-1, 7], ..tensor(DataType::Int8, &[2]) },
            Tensor::new(DType::I8, &[2], vec![0xff, 7]),
        ),
        (
            TensorProto { int32_data: vec![1, 0], ..tensor(DataType::Bool, &[2]) },
            Tensor::new(DType::Bool, &[2], vec![1, 0]),
        ),
        (
            TensorProto { uint64_data: vec![5], ..tensor(DataType::Uint32, &[1]) },
            Tensor::new(DType::U32, &[1], vec![5, 0, 0, 0]),
        ),
        (TensorProto { raw_data: Some(vec![0; 8]), ..tensor(DataType::Int64, &[1]) }, Tensor::i64(&[1], &[0])),
        (tensor(DataType::Float, &[0, 4]), Tensor::f32(&[0, 4], &[])),
    ];
    for (message, expected) in cases {
        assert_eq!(read(&with_initializer(message)).unwrap().graph.initializers["w"], expected);
    }
}

#[test]
fn weights_past_two_gigabytes_are_found_by_their_offset() {
    const FILE_BYTES: u64 = 3 << 30;
    let header = |hole: u64| {
        let offsets = [hole, hole + 4];
        serde_json::json!({
            "hole": {"dtype": "U8", "shape": [hole], "data_offsets": [0, hole]},
            "w": {"dtype": "F32", "shape": [1], "data_offsets": offsets},
        })
        .to_string()
    };
    let hole = FILE_BYTES - 4 - 8 - header(FILE_BYTES).len() as u64;
    let header = header(hole);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    // Sparse: a hole takes no room on the disk.
    let mut file = File::create(&path).unwrap();
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    file.set_len(FILE_BYTES).unwrap();
    file.seek(SeekFrom::End(-4)).unwrap();
    file.write_all(&1.5f32.to_le_bytes()).unwrap();

    let offset = (FILE_BYTES - 4).to_string();
    let message = with_initializer(external(&[("location", "w.safetensors"), ("offset", &offset), ("length", "4")]));
    let graph = folder.path().join("model.onnx");
    fs::write(&graph, message.encode_to_vec()).unwrap();
    assert_eq!(Model::read(&graph).unwrap().graph.initializers["w"], Tensor::f32(&[1], &[1.5]));
    let map = crate::external::map_file(&path).unwrap();
    assert_eq!(safetensors::SafeTensors::deserialize(&map).unwrap().tensor("w").unwrap().data(), 1.5f32.to_le_bytes());
}

/// Messages with one thing wrong, and the words that must name it.
fn refused() -> Vec<(ModelProto, &'static str)> {
    let external = |keys: &[&str]| external(&keys.iter().map(|&key| (key, "1")).collect::<Vec<_>>());
    let ranged = |key, value| with_initializer(self::external(&[("location", "w.safetensors"), (key, value)]));
    let attribute = |kind: AttributeType| AttributeProto { r#type: Some(kind as i32), ..AttributeProto::default() };
    let sequence = TypeProto { value: Some(type_proto::Value::SequenceType(Box::default())), ..TypeProto::default() };
    let input = |kind| ValueInfoProto { name: Some("x".to_owned()), r#type: kind, ..ValueInfoProto::default() };
    let graph = |graph| ModelProto { graph: Some(graph), ..message() };
    vec![
        (ModelProto { ir_version: Some(99), ..message() }, "IR version 99"),
        (ModelProto { graph: None, ..message() }, "has no graph"),
        (ModelProto { functions: vec![FunctionProto::default()], ..message() }, "model functions are unsupported"),
        (
            graph(GraphProto { sparse_initializer: vec![SparseTensorProto::default()], ..GraphProto::default() }),
            "1 sparse initializer(s)",
        ),
        (graph(GraphProto { input: vec![input(None)], ..GraphProto::default() }), "input `x`: has no type"),
        (graph(GraphProto { input: vec![input(Some(sequence))], ..GraphProto::default() }), "is not a tensor"),
        (with_initializer(tensor(DataType::String, &[1])), "element type STRING is unsupported"),
        (with_initializer(tensor(DataType::Float, &[3])), "f32 [3] takes 12 bytes; 0 are there"),
        (with_initializer(tensor(DataType::Float, &[-1])), "negative extent -1"),
        (with_initializer(tensor(DataType::Float, &[i64::MAX, i64::MAX])), "overflows"),
        (with_initializer(external(&["location"])), "read from memory"),
        (with_initializer(external(&["location", "basepath"])), "unknown external-data key `basepath`"),
        (with_initializer(external(&["offset"])), "without a location"),
        (ranged("length", "3"), "shape and element type take 4 bytes; external data says 3"),
        (ranged("length", "8"), "shape and element type take 4 bytes; external data says 8"),
        (ranged("length", "four"), "external-data length `four` is not a number of bytes"),
        (ranged("offset", "0x10"), "external-data offset `0x10` is not a number of bytes"),
        (ranged("offset", "-4"), "external-data offset `-4` is not a number of bytes"),
        (ranged("offset", "18446744073709551616"), "is not a number of bytes"),
        (with_attribute(attribute(AttributeType::SparseTensor)), "attribute type SPARSE_TENSOR is unsupported"),
        (with_attribute(attribute(AttributeType::Undefined)), "attribute type UNDEFINED is unsupported"),
        (with_attribute(attribute(AttributeType::Graph)), "declares a graph and has none"),
        (
            with_attribute(AttributeProto { s: Some(vec![0xff]), ..attribute(AttributeType::String) }),
            "attribute `a`: is not UTF-8",
        ),
        (
            with_attribute(AttributeProto { ref_attr_name: Some("b".to_owned()), ..AttributeProto::default() }),
            "functions are unsupported",
        ),
        (
            graph(GraphProto {
                node: vec![NodeProto { input: vec!["y".to_owned()], ..NodeProto::default() }],
                ..GraphProto::default()
            }),
            "its input `y` is made by nothing before it",
        ),
    ]
}

#[test]
fn what_a_model_cannot_hold_is_refused_by_name() {
    let mut wrong = Vec::new();
    for (message, words) in refused() {
        match read(&message) {
            Ok(_) => wrong.push(format!("accepted: {words}")),
            Err(error) if !error.to_string().contains(words) => wrong.push(format!("{words}: says {error}")),
            Err(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn all_problems_are_reported_together() {
    let mut model = with_initializer(tensor(DataType::String, &[1]));
    model.functions.push(FunctionProto::default());
    let Err(ReadError::Invalid { problems, .. }) = read(&model) else { panic!("accepted") };
    assert_eq!(problems.len(), 2);
}

#[test]
fn the_default_domain_has_one_spelling() {
    assert_eq!(read(&message()).unwrap().opsets[""], 18);
}
