//! Small graphs through the real library.

use std::collections::BTreeMap;

use plaudit_onnx::{Attribute, DType, Dim, Model, Node, Tensor, ValueInfo};

use super::{
    BoundSession, Device, DeviceTensor, Optimization, ResidentSession, RuntimeError, Session, SessionSettings, Stop,
    View, specialise,
};

const ROWS: usize = 3;
const WIDTH: usize = 40;

fn named(name: &str, dims: &[&str]) -> ValueInfo {
    let dim = |text: &&str| text.parse().map_or_else(|_| Dim::Named((*text).to_owned()), Dim::Fixed);
    ValueInfo { name: name.to_owned(), dtype: DType::F32, shape: Some(dims.iter().map(dim).collect()) }
}

fn ramp(count: usize, step: f32) -> Vec<f32> {
    (0..count).map(|i| i as f32 * step - 1.0).collect()
}

/// y = x · (2 w) + b and s = mean(y): the optimiser folds 2 w, and w is large enough to be handed over by pointer.
fn linear(weight_step: f32) -> Model {
    let mut model = Model::new("linear", 18);
    let graph = &mut model.graph;
    graph.inputs = vec![named("x", &["batch", "40"])];
    graph.outputs = vec![named("y", &["batch", "40"]), named("s", &[])];
    let weight = Tensor::f32(&[WIDTH, WIDTH], &ramp(WIDTH * WIDTH, weight_step));
    graph.initializers.insert("w".into(), weight);
    graph.initializers.insert("two".into(), Tensor::f32(&[], &[2.0]));
    graph.initializers.insert("b".into(), Tensor::f32(&[WIDTH], &ramp(WIDTH, 0.1)));
    graph.nodes = vec![
        Node::new("Mul", &["w", "two"], &["w2"]),
        Node::new("MatMul", &["x", "w2"], &["xw"]),
        Node::new("Add", &["xw", "b"], &["y"]),
        Node::new("ReduceMean", &["y"], &["s"]).with("keepdims", Attribute::Int(0)),
    ];
    model
}

fn linear_by_hand(x: &[f32], weight_step: f32) -> Vec<f32> {
    let (w, b) = (ramp(WIDTH * WIDTH, weight_step), ramp(WIDTH, 0.1));
    let cell = |row: usize, column: usize| {
        let products = (0..WIDTH).map(|k| f64::from(x[row * WIDTH + k]) * 2.0 * f64::from(w[k * WIDTH + column]));
        (products.sum::<f64>() + f64::from(b[column])) as f32
    };
    (0..x.len() / WIDTH).flat_map(|row| (0..WIDTH).map(move |column| cell(row, column))).collect()
}

fn assert_near(ours: &[f32], reference: &[f32]) {
    let square = |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v).powi(2)).sum::<f64>().sqrt();
    let distance = square(&mut ours.iter().zip(reference).map(|(a, b)| a - b));
    let size = square(&mut reference.iter().copied());
    assert_eq!(ours.len(), reference.len());
    assert!(distance <= 1e-5 * size, "relative L2 distance {}", distance / size);
}

fn fixed() -> BTreeMap<String, usize> {
    BTreeMap::from([("batch".to_owned(), ROWS)])
}

#[test]
fn a_graph_answers_what_its_formula_says_at_every_optimisation_level_and_batch_size() {
    for optimization in [Optimization::None, Optimization::Basic, Optimization::All] {
        let settings = SessionSettings { optimization, threads: 1, ..SessionSettings::default() };
        let mut session = Session::from_model(&linear(0.01), &settings).unwrap();
        for rows in [1, ROWS] {
            let x = ramp(rows * WIDTH, 0.02);
            let outputs = session.run(&[("x", &Tensor::f32(&[rows, WIDTH], &x))]).unwrap();
            assert_eq!(outputs[0].shape, [rows, WIDTH]);
            assert_eq!(outputs[1].shape, [0; 0]);
            assert_near(&outputs[0].to_f32().unwrap(), &linear_by_hand(&x, 0.01));
        }
    }
}

#[test]
fn handed_over_weights_take_part_in_folding() {
    let x = ramp(WIDTH, 0.02);
    for step in [0.01, -0.03] {
        let mut session = Session::from_model(&linear(step), &SessionSettings::default()).unwrap();
        let outputs = session.run_views(&[("x", View::new(&[1, WIDTH], &x))]).unwrap();
        assert_near(outputs.get("y").unwrap().values().unwrap(), &linear_by_hand(&x, step));
    }
}

#[test]
fn a_written_model_runs_from_its_mapped_weights() {
    let folder = tempfile::tempdir().unwrap();
    linear(0.01).write(folder.path()).unwrap();
    let mut session = Session::open(&folder.path().join("model.onnx"), &SessionSettings::default()).unwrap();
    let x = ramp(WIDTH, 0.02);
    let outputs = session.run_views(&[("x", View::new(&[1, WIDTH], &x))]).unwrap();
    assert_near(outputs.get("y").unwrap().values().unwrap(), &linear_by_hand(&x, 0.01));
}

#[test]
fn all_faults_of_the_inputs_are_named_at_once() {
    let mut session = Session::from_model(&linear(0.01), &SessionSettings::default()).unwrap();
    let (ids, narrow) = (Tensor::i64(&[1, WIDTH], &[0; WIDTH]), Tensor::f32(&[1, 2], &[0.0; 2]));
    type Case<'a> = (&'a [(&'a str, &'a Tensor)], &'a [&'a str]);
    let cases: [Case<'_>; 3] = [
        (&[("z", &narrow)], &["`z` is not an input; the graph reads x", "`x` is missing"]),
        (&[("x", &ids)], &["`x` is I64 [1, 40]; the graph has F32 [batch, 40]"]),
        (&[("x", &narrow), ("q", &ids)], &["`x` is F32 [1, 2]", "`q` is not an input"]),
    ];
    for (inputs, expected) in cases {
        let error = session.run(inputs).unwrap_err().to_string();
        for part in expected {
            assert!(error.contains(part), "{part} is missing from: {error}");
        }
    }
}

#[test]
fn a_broken_graph_is_refused_by_name() {
    let mut model = linear(0.01);
    model.graph.nodes[1].op = "NoSuchOperator".to_owned();
    let error = Session::from_model(&model, &SessionSettings::default()).unwrap_err().to_string();
    assert!(error.contains("`linear`") && error.contains("NoSuchOperator"), "{error}");
}

#[test]
fn a_device_without_its_execution_provider_is_an_error() {
    // An index that no machine has, so that the test holds beside a GPU too.
    let settings = SessionSettings { device: Device::Cuda(4_000), ..SessionSettings::default() };
    let error = Session::from_model(&linear(0.01), &settings).unwrap_err();
    assert!(matches!(error, RuntimeError::Device { .. } | RuntimeError::Load { .. }), "{error}");
}

#[test]
fn a_run_that_is_told_to_stop_is_an_error_and_the_next_one_is_not() {
    let mut session = Session::from_model(&linear(0.01), &SessionSettings::default()).unwrap();
    let (shape, x) = ([ROWS, WIDTH], ramp(ROWS * WIDTH, 0.01));
    let inputs = [("x", View::new(&shape, &x))];
    let stop = Stop::new().unwrap();
    assert!(session.run_until(&inputs, &stop).is_ok());
    stop.now().unwrap();
    let error = session.run_until(&inputs, &stop).unwrap_err().to_string();
    assert!(error.contains("terminate"), "{error}");
    let outputs = session.run_until(&inputs, &Stop::new().unwrap()).unwrap();
    assert_near(outputs.get("y").unwrap().values().unwrap(), &linear_by_hand(&x, 0.01));
}

#[test]
fn bound_buffers_are_read_and_written_in_place() {
    let settings = SessionSettings { dims: fixed(), ..SessionSettings::default() };
    let mut model = linear(0.01);
    // The parameter becomes an input, as in training.
    let weight = model.graph.initializers.shift_remove("w").unwrap();
    model.graph.inputs.push(ValueInfo::fixed("w", DType::F32, &weight.shape));
    let mut bound = BoundSession::new(Session::from_model(&model, &settings).unwrap()).unwrap();
    let addresses = |bound: &BoundSession| ["x", "w", "y"].map(|name| bound.buffer::<f32>(name).as_ptr().addr());
    let before = addresses(&bound);
    for step in [0.01, -0.03, 0.5] {
        let x = ramp(ROWS * WIDTH, step);
        bound.buffer_mut::<f32>("x").copy_from_slice(&x);
        bound.buffer_mut::<f32>("w").copy_from_slice(&ramp(WIDTH * WIDTH, step));
        bound.run().unwrap();
        assert_near(bound.buffer("y"), &linear_by_hand(&x, step));
    }
    assert_eq!(addresses(&bound), before);
    assert!(before.iter().all(|address| address % 64 == 0));
}

#[test]
fn an_optimiser_sees_parameters_beside_gradients() {
    let settings = SessionSettings { dims: fixed(), ..SessionSettings::default() };
    let mut bound = BoundSession::new(Session::from_model(&linear(0.01), &settings).unwrap()).unwrap();
    bound.run().unwrap();
    let (inputs, outputs) = bound.split();
    for (parameter, gradient) in inputs.get_mut::<f32>("x").iter_mut().zip(outputs.get::<f32>("y")) {
        *parameter -= gradient;
    }
    let bias = ramp(WIDTH, 0.1);
    assert_eq!(bound.buffer::<f32>("x")[..WIDTH], bias.iter().map(|b| -b).collect::<Vec<_>>());
}

#[test]
fn resident_state_is_updated_by_two_tensors_that_change_roles() {
    // state' = 2 state + rate
    let mut model = Model::new("update", 18);
    model.graph.inputs = vec![named("state", &["3"]), named("rate", &[])];
    model.graph.outputs = vec![named("next", &["3"])];
    model.graph.nodes =
        vec![Node::new("Add", &["state", "state"], &["twice"]), Node::new("Add", &["twice", "rate"], &["next"])];
    let mut resident = ResidentSession::new(Session::from_model(&model, &SessionSettings::default()).unwrap()).unwrap();
    let tensor = |shape: &[usize]| DeviceTensor::new(resident.session(), DType::F32, shape).unwrap();
    let (mut state, mut next, mut rate) = (tensor(&[3]), tensor(&[3]), tensor(&[]));
    state.upload(View::new(&[3], &[1.0f32, 2.0, 3.0])).unwrap();
    resident.bind_input("rate", &rate).unwrap();
    for added in [1.0f32, 10.0, 100.0] {
        rate.upload(View::new(&[], &[added])).unwrap();
        resident.bind_input("state", &state).unwrap();
        resident.bind_output("next", &mut next).unwrap();
        resident.run().unwrap();
        std::mem::swap(&mut state, &mut next);
    }
    // 8 state + 4·1 + 2·10 + 100
    assert_eq!(state.download().unwrap(), Tensor::f32(&[3], &[132.0, 140.0, 148.0]));
    assert!(resident.bind_input("state", &rate).unwrap_err().to_string().contains("`state` is F32 []"));
    assert!(resident.bind_output("state", &mut next).unwrap_err().to_string().contains("no value `state`"));
    assert!(next.upload(View::new(&[2], &[0.0f32; 2])).is_err());
}

/// Sessions move to the thread that owns the device: this compiles or it does not.
#[test]
fn sessions_move_between_threads() {
    fn moves<T: Send>() {}
    moves::<Session>();
    moves::<BoundSession>();
}

#[test]
fn free_dimensions_cannot_be_bound() {
    let session = Session::from_model(&linear(0.01), &SessionSettings::default()).unwrap();
    let error = BoundSession::new(session).unwrap_err().to_string();
    assert!(error.contains("x [batch, 40]") && error.contains("y [batch, 40]"), "{error}");
}

#[test]
fn specialising_fixes_every_shape_and_keeps_the_meaning() {
    let model = linear(0.01);
    let fixed = specialise(&model, &fixed()).unwrap();
    let known: Vec<_> = fixed.graph.nodes.iter().flat_map(|node| &node.outputs).collect();
    for name in known {
        let info = fixed.graph.values.get(name).or(fixed.graph.outputs.iter().find(|output| output.name == *name));
        assert!(info.is_some_and(|info| info.static_shape().is_some()), "{name}: {info:?}");
    }
    assert_eq!(fixed.opsets.keys().collect::<Vec<_>>(), [""]);
    assert_eq!(fixed.graph.inputs, [named("x", &["3", "40"])]);
    let x = Tensor::f32(&[ROWS, WIDTH], &ramp(ROWS * WIDTH, 0.02));
    let answer = |model: &Model| {
        let mut session = Session::from_model(model, &SessionSettings::default()).unwrap();
        session.run(&[("x", &x)]).unwrap()[0].to_f32().unwrap()
    };
    assert_near(&answer(&fixed), &answer(&model));
}

#[test]
fn large_initializers_pass_through_specialisation_untouched() {
    const WIDE: usize = 100;
    let mut model = Model::new("wide", 18);
    let weight = Tensor::f32(&[WIDE, WIDE], &ramp(WIDE * WIDE, 0.01));
    model.graph.inputs = vec![named("x", &["batch", "100"])];
    model.graph.outputs = vec![named("y", &["batch", "100"])];
    model.graph.initializers.insert("w".into(), weight.clone());
    model.graph.initializers.insert("unused".into(), weight.clone());
    model.graph.nodes = vec![Node::new("Neg", &["w"], &["n"]), Node::new("MatMul", &["x", "n"], &["y"])];
    let fixed = specialise(&model, &fixed()).unwrap();
    assert_eq!(fixed.graph.initializers.get("w"), Some(&weight));
    assert_eq!(fixed.graph.initializers.len(), 1);
    assert_eq!(fixed.graph.inputs.len(), 1);
    assert_eq!(fixed.graph.nodes.len(), 2);
}

#[test]
fn specialising_refuses_large_folded_constants_and_open_shapes() {
    let mut model = Model::new("mask", 18);
    model.graph.inputs = vec![named("x", &["batch", "pixels"])];
    model.graph.outputs = vec![named("y", &["pixels", "pixels"])];
    model.graph.initializers.insert("second".into(), Tensor::i64(&[], &[1]));
    model.graph.nodes = vec![
        Node::new("Shape", &["x"], &["shape"]),
        Node::new("Gather", &["shape", "second"], &["n"]),
        Node::new("Unsqueeze", &["n", "axes"], &["n1"]),
        Node::new("Concat", &["n1", "n1"], &["square"]).with("axis", Attribute::Int(0)),
        Node::new("ConstantOfShape", &["square"], &["zeros"]),
        Node::new("Add", &["zeros", "x"], &["y"]),
    ];
    model.graph.initializers.insert("axes".into(), Tensor::i64(&[1], &[0]));
    let error = specialise(&model, &fixed()).unwrap_err().to_string();
    assert!(error.contains("x [3, pixels]"), "{error}");
    let dims = |pixels| BTreeMap::from([("batch".to_owned(), 1), ("pixels".to_owned(), pixels)]);
    assert!(specialise(&model, &dims(64)).is_ok());
    let error = specialise(&model, &dims(1024)).unwrap_err();
    assert!(matches!(&error, RuntimeError::FoldedConstants { constants, .. } if constants.len() == 1), "{error}");
}

/// Resident memory of this process, in MiB.
#[cfg(target_os = "linux")]
fn resident_mib() -> usize {
    const PAGES_PER_MIB: usize = 256;
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() / PAGES_PER_MIB
}

#[cfg(target_os = "linux")]
#[test]
fn dropped_sessions_give_their_memory_back() {
    // 16 MiB of weights, which the runtime re-lays for its matrix product.
    const WIDE: usize = 2048;
    let mut model = Model::new("wide", 18);
    model.graph.inputs = vec![named("x", &["batch", "2048"])];
    model.graph.outputs = vec![named("y", &["batch", "2048"])];
    model.graph.initializers.insert("w".into(), Tensor::f32(&[WIDE, WIDE], &ramp(WIDE * WIDE, 1e-7)));
    model.graph.nodes = vec![Node::new("MatMul", &["x", "w"], &["y"])];
    let x = Tensor::f32(&[1, WIDE], &ramp(WIDE, 1e-3));
    let swap = || Session::from_model(&model, &SessionSettings::default()).unwrap().run(&[("x", &x)]).unwrap();
    swap();
    let before = resident_mib();
    for _ in 0..10 {
        swap();
    }
    let after = resident_mib();
    assert!(after < before + 8, "{before} MiB, then {after} MiB");
}
