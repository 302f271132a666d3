//! Edits do what their labels say, to what PyTorch's exporters really write (`tests/models/make.py`).

use std::path::Path;

use super::{
    Edit, EditError, FULL_PRECISION, Step, half_precision, promote, rename, timestep_per_row, weight_names, wide_ids,
    zero_additions,
};
use crate::{Attribute, DType, Dim, Model, Node, Tensor, ValueInfo};

fn exported(name: &str) -> Model {
    Model::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models").join(name)).unwrap()
}

fn ops(model: &Model) -> Vec<&str> {
    model.graph.nodes.iter().map(|node| node.op.as_str()).filter(|op| *op != "Constant").collect()
}

/// y = gelu-like chain over a weight, with a norm in between.
fn block() -> Model {
    let mut model = Model::new("block", 18);
    let graph = &mut model.graph;
    graph.inputs = vec![ValueInfo::fixed("x", DType::F32, &[1, 4])];
    graph.outputs = vec![ValueInfo::fixed("y", DType::F32, &[1, 4])];
    for name in ["w", "scale", "shared"] {
        let shape: &[usize] = if name == "w" { &[4, 4] } else { &[4] };
        let values: Vec<f32> = (0..shape.iter().product()).map(|i| i as f32).collect();
        graph.initializers.insert(name.to_owned(), Tensor::f32(shape, &values));
    }
    graph.initializers.insert("mask".to_owned(), Tensor::f32(&[1], &[f32::MIN]));
    graph.nodes = vec![
        Node::new("MatMul", &["x", "w"], &["h"]),
        Node::new("Add", &["h", "shared"], &["a"]),
        Node::new("LayerNormalization", &["a", "scale", "shared"], &["n"]),
        Node::new("Add", &["n", "mask"], &["m"]),
        Node::new("Softmax", &["m"], &["s"]),
        Node::new("Mul", &["s", "m"], &["y"]),
    ];
    model
}

#[test]
fn additions_of_nothing_go_with_all_that_made_them() {
    for name in ["attention_legacy.onnx", "attention_dynamo.onnx"] {
        let mut model = exported(name);
        let edit = zero_additions(&model.graph);
        assert_eq!(edit.steps.len(), 1, "{name}: {edit}");
        edit.apply(&mut model).unwrap();
        assert_eq!(ops(&model), ["Transpose", "MatMul", "Mul", "Softmax", "MatMul"], "{name}");
    }
}

#[test]
fn additions_of_something_stay() {
    let mut model = exported("attention_legacy.onnx");
    for node in &mut model.graph.nodes {
        if node.name.ends_with("Constant_4") {
            node.attributes.insert("value".to_owned(), Attribute::Tensor(Tensor::f32(&[], &[1.0])));
        }
    }
    assert!(zero_additions(&model.graph).is_empty());
}

#[test]
fn timesteps_of_every_exporter_become_a_row_each() {
    for name in ["time_scalar_legacy.onnx", "time_scalar_dynamo.onnx", "time_one_legacy.onnx"] {
        let mut model = exported(name);
        timestep_per_row(&model.graph, "timestep", "sample").unwrap().apply(&mut model).unwrap();
        let batch = Some(vec![Dim::Named("batch".to_owned())]);
        assert_eq!(model.graph.inputs[1].shape, batch, "{name}");
        assert_eq!(model.graph.inputs[1].dtype, DType::F32, "{name}");
        assert_eq!(ops(&model), ["Unsqueeze", "Cast", "Mul", "Sin", "Cos", "Concat", "Gemm", "Add"], "{name}");
        assert!(model.graph.values.values().all(|info| info.name != "unsqueeze"), "{name}: a stale integer type");
        let again = timestep_per_row(&model.graph, "timestep", "sample").unwrap();
        assert!(again.is_empty(), "{name}: {again}");
    }
}

#[test]
fn timesteps_that_are_computed_with_as_integers_are_refused() {
    let mut model = exported("time_scalar_legacy.onnx");
    for node in &mut model.graph.nodes {
        if node.op == "Expand" {
            node.op = "Add".to_owned();
        }
    }
    let error = timestep_per_row(&model.graph, "timestep", "sample").unwrap_err();
    assert!(error.to_string().contains("meets Add"), "{error}");
    assert!(timestep_per_row(&model.graph, "t", "sample").unwrap_err().to_string().contains("no input `t`"));
}

#[test]
fn promoted_initializers_are_inputs_of_their_shape() {
    let mut model = block();
    promote(["w", "scale"]).apply(&mut model).unwrap();
    assert_eq!(
        model.graph.inputs[1..],
        [ValueInfo::fixed("w", DType::F32, &[4, 4]), ValueInfo::fixed("scale", DType::F32, &[4])]
    );
    assert!(!model.graph.initializers.contains_key("w"));
}

#[test]
fn renaming_reaches_every_reader() {
    let mut model = block();
    rename([("shared", "bias"), ("y", "out")]).apply(&mut model).unwrap();
    assert_eq!(model.graph.nodes[2].inputs[2], "bias");
    assert_eq!(model.graph.outputs[0].name, "out");
    assert_eq!(model.graph.initializers.get_index_of("bias"), Some(2), "keeps its place");
}

#[test]
fn nameless_weights_get_the_name_of_their_module() {
    let mut model = block();
    rename([("w", "onnx::MatMul_7")]).apply(&mut model).unwrap();
    model.graph.nodes[0].name = "/mid_block/attn1/to_q/MatMul".to_owned();
    weight_names(&model.graph).apply(&mut model).unwrap();
    assert!(model.graph.initializers.contains_key("mid_block.attn1.to_q.weight"));
}

#[test]
fn an_edit_that_would_break_the_model_changes_nothing() {
    let mut model = block();
    let before = model.clone();
    let edit = Edit {
        label: "wrong".to_owned(),
        steps: vec![
            Step::Rename { from: "h".to_owned(), to: "w".to_owned() },
            Step::Promote { initializer: "absent".to_owned() },
        ],
    };
    let error = edit.apply(&mut model).unwrap_err();
    assert!(matches!(error, EditError::Broken { ref problems, .. } if problems.len() == 2), "{error}");
    assert_eq!(model, before);
}

#[test]
fn half_precision_stores_weights_in_f16_and_keeps_norms_and_ports_in_f32() {
    let mut model = block();
    let edit = half_precision(&model.graph, &FULL_PRECISION).unwrap();
    edit.apply(&mut model).unwrap();
    insta::assert_snapshot!(model, @r#"
    graph block (opset 18)
      in   x: f32[1, 4]
      init w: f16[4, 4]
      init scale: f32[4] = {0.0, 1.0, 2.0, 3.0}
      init shared: f32[4] = {0.0, 1.0, 2.0, 3.0}
      init mask: f16[1] = {-65504.0}
      shared/f16 = Cast(shared, to=10)
      x/f16 = Cast(x, to=10)
      h = MatMul(x/f16, w)
      a = Add(h, shared/f16)
      a/f32 = Cast(a, to=1)
      n = LayerNormalization(a/f32, scale, shared)
      n/f16 = Cast(n, to=10)
      m = Add(n/f16, mask)
      m/f32 = Cast(m, to=1)
      s = Softmax(m/f32)
      y = Mul(s, m/f32)
      out  y: f32[1, 4]
    "#);
}

#[test]
fn angles_of_sinusoids_stay_in_f32() {
    let mut model = exported("time_scalar_legacy.onnx");
    timestep_per_row(&model.graph, "timestep", "sample").unwrap().apply(&mut model).unwrap();
    half_precision(&model.graph, &FULL_PRECISION).unwrap().apply(&mut model).unwrap();
    assert_eq!(model.graph.initializers["onnx::Mul_31"].dtype, DType::F32);
    assert_eq!(model.graph.initializers["linear.weight"].dtype, DType::F16);
}

#[test]
fn control_flow_is_refused() {
    let mut model = block();
    model.graph.nodes[4].op = "If".to_owned();
    let error = half_precision(&model.graph, &FULL_PRECISION).unwrap_err();
    assert!(error.to_string().contains("unknown element types: If"), "{error}");
}

#[test]
fn an_edit_prints_its_label_and_steps() {
    let edit = rename([("a", "b")]);
    assert_eq!(edit.to_string(), "other names\n  rename a to b\n");
}

#[test]
fn narrow_ids_become_wide_and_are_cast_back() {
    let mut model = Model::new("embedding", 18);
    model.graph.inputs = vec![ValueInfo::fixed("ids", DType::I32, &[1, 4])];
    model.graph.outputs = vec![ValueInfo::fixed("y", DType::F32, &[1, 4, 2])];
    model.graph.initializers.insert("table".to_owned(), Tensor::f32(&[3, 2], &[0.0; 6]));
    model.graph.nodes = vec![Node::new("Gather", &["table", "ids"], &["y"])];
    wide_ids(&model.graph, "ids").apply(&mut model).unwrap();
    assert_eq!(model.graph.inputs, [ValueInfo::fixed("ids", DType::I64, &[1, 4])]);
    assert_eq!(ops(&model), ["Cast", "Gather"]);
    assert_eq!(model.graph.nodes[1].inputs, ["table", "ids/i32"]);
    assert!(wide_ids(&model.graph, "ids").is_empty() && wide_ids(&model.graph, "other").is_empty());
}
