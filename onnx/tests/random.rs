//! Random models survive every way to the disk and back; damaged ones are refused without a panic.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use indexmap::IndexMap;
use plaudit_onnx::{Attribute, DType, Dim, Graph, MODEL_FILE, Model, Node, Tensor, ValueInfo};
use proptest::{collection::vec, prelude::*};

fn dtype() -> impl Strategy<Value = DType> {
    use DType::*;
    proptest::sample::select(vec![F32, F16, Bf16, F64, I64, I32, I16, I8, U64, U32, U16, U8, Bool])
}

/// Up to 20³ elements, so that some tensors are external and some are empty.
fn tensor() -> impl Strategy<Value = Tensor> {
    (dtype(), vec(0usize..20, 0..4), any::<u8>()).prop_map(|(dtype, shape, byte)| {
        let bytes = shape.iter().product::<usize>() * dtype.size();
        Tensor::new(dtype, &shape, (0..bytes).map(|at| byte.wrapping_add(at as u8)).collect())
    })
}

fn value(name: String) -> impl Strategy<Value = ValueInfo> {
    let dim =
        prop_oneof![(0usize..1 << 40).prop_map(Dim::Fixed), "[a-z]{1,8}".prop_map(Dim::Named), Just(Dim::Unknown)];
    (dtype(), proptest::option::of(vec(dim, 0..4))).prop_map(move |(dtype, shape)| ValueInfo {
        name: name.clone(),
        dtype,
        shape,
    })
}

fn attribute() -> impl Strategy<Value = Attribute> {
    let float = -1e30f32..1e30;
    let flat = prop_oneof![
        float.clone().prop_map(Attribute::Float),
        any::<i64>().prop_map(Attribute::Int),
        ".{0,12}".prop_map(Attribute::String),
        tensor().prop_map(Attribute::Tensor),
        vec(float, 0..5).prop_map(Attribute::Floats),
        vec(any::<i64>(), 0..5).prop_map(Attribute::Ints),
        vec(".{0,5}", 0..3).prop_map(Attribute::Strings),
    ];
    flat.prop_recursive(2, 6, 1, |inner| {
        (vec(inner, 1..3), "[a-z]{1,4}").prop_map(|(attributes, name)| {
            let attributes = attributes.into_iter().enumerate().map(|(at, value)| (format!("a{at}"), value)).collect();
            let node = Node { op: "Inner".to_owned(), domain: name, attributes, ..Node::default() };
            Attribute::Graph(Box::new(Graph { nodes: vec![node], ..Graph::default() }))
        })
    })
}

prop_compose! {
    /// A chain in which each node reads some earlier value and makes one.
    fn graph()(
        inputs in (0usize..3).prop_flat_map(|n| (0..n).map(|at| value(format!("in/{at}"))).collect::<Vec<_>>()),
        tensors in vec(tensor(), 1..6),
        nodes in vec(("[A-Z][a-z]{2,8}", any::<prop::sample::Index>(), vec(attribute(), 0..3)), 1..8),
        hint in value("out/0".to_owned()),
        output in value("out/0".to_owned()),
        name in ".{0,10}",
    ) -> Graph {
        let initializers: IndexMap<_, _> =
            tensors.into_iter().enumerate().map(|(at, tensor)| (format!("weight.{at}"), tensor)).collect();
        let mut known: Vec<String> = inputs.iter().map(|input| input.name.clone()).collect();
        known.extend(initializers.keys().cloned());
        known.push(String::new());
        let make = |(at, (op, read, attributes)): (usize, (String, prop::sample::Index, Vec<Attribute>))| {
            let attributes = attributes.into_iter().enumerate().map(|(at, value)| (format!("a{at}"), value)).collect();
            let output = format!("out/{at}");
            let inputs = vec![read.get(&known).clone(), String::new()];
            known.push(output.clone());
            Node { name: format!("n{at}"), op, domain: String::new(), inputs, outputs: vec![output], attributes }
        };
        let nodes = nodes.into_iter().enumerate().map(make).collect();
        Graph { name, inputs, outputs: vec![output], initializers, nodes, values: [("out/0".to_owned(), hint)].into() }
    }
}

fn model() -> impl Strategy<Value = Model> {
    (graph(), proptest::collection::btree_map("[a-z.]{1,9}", ".{0,9}", 0..3)).prop_map(|(graph, metadata)| Model {
        ir_version: 10,
        opsets: BTreeMap::from([(String::new(), 18), ("com.microsoft".to_owned(), 1)]),
        graph,
        metadata,
    })
}

/// Ways of damaging bytes: cut them, or turn bits over.
fn damage(bytes: &mut Vec<u8>, cut: Option<prop::sample::Index>, flips: &[(prop::sample::Index, u8)]) {
    if let Some(cut) = cut {
        bytes.truncate(cut.index(bytes.len()));
    }
    for (at, bit) in flips {
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << (bit % 8);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn bytes_and_files_keep_every_model(model in model()) {
        prop_assert_eq!(&Model::from_bytes(&model.to_bytes()).unwrap(), &model);
        let folder = tempfile::tempdir().unwrap();
        model.write(folder.path()).unwrap();
        prop_assert_eq!(&Model::read(&folder.path().join(MODEL_FILE)).unwrap(), &model);
        prop_assert!(model.to_string().lines().count() > model.graph.nodes.len());
    }

    #[test]
    fn damaged_bytes_never_panic(
        model in model(),
        cut in proptest::option::of(any::<prop::sample::Index>()),
        flips in vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let mut bytes = model.to_bytes();
        damage(&mut bytes, cut, &flips);
        match Model::from_bytes(&bytes) {
            // What is still a model can be printed and written again.
            Ok(read) => prop_assert_eq!(&Model::from_bytes(&read.to_bytes()).unwrap().to_bytes(), &read.to_bytes()),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }

    #[test]
    fn damaged_files_never_panic(
        model in model(),
        flips in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let folder = tempfile::tempdir().unwrap();
        model.write(folder.path()).unwrap();
        let path = folder.path().join(MODEL_FILE);
        let mut bytes = std::fs::read(&path).unwrap();
        damage(&mut bytes, None, &flips);
        std::fs::write(&path, bytes).unwrap();
        if let Ok(read) = Model::read(&path) {
            prop_assert!(!read.to_string().is_empty());
        }
    }
}
