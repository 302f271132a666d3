//! Versions that somebody, or the disk, has tampered with: none of them comes to serve, none of them ends the server.

use std::{collections::BTreeMap, fs, path::PathBuf};

use plaudit::{
    pack::Component,
    registry::{Lineage, RegistryError},
};
use plaudit_onnx::{Model, Tensor};

use super::*;

/// Numbers, the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        // splitmix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end as u64) as usize
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// What is done to a version's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Damage {
    Truncate,
    FlipBit,
    ZeroPage,
    Remove,
    /// These come with a manifest that fits them: only graphs and golden outputs can tell.
    SwapTensors,
    ZeroTensor,
    NanTensor,
    Transpose,
    OtherOperators,
    OffsetBehindTheEnd,
    LengthTooShort,
    PathThatLeaves,
}

const DAMAGES: [Damage; 12] = [
    Damage::Truncate,
    Damage::FlipBit,
    Damage::ZeroPage,
    Damage::Remove,
    Damage::SwapTensors,
    Damage::ZeroTensor,
    Damage::NanTensor,
    Damage::Transpose,
    Damage::OtherOperators,
    Damage::OffsetBehindTheEnd,
    Damage::LengthTooShort,
    Damage::PathThatLeaves,
];

const WEIGHTS: &str = "unet/model.safetensors";
const GRAPH: &str = "unet/model.onnx";

impl Damage {
    fn is_hidden(self) -> bool {
        !matches!(self, Self::Truncate | Self::FlipBit | Self::ZeroPage | Self::Remove)
    }

    fn apply(self, folder: &Path, dice: &mut Dice) {
        let files: Vec<PathBuf> =
            [WEIGHTS, GRAPH, "vae_decoder/model.safetensors", "text_encoder/model.safetensors", "golden.safetensors"]
                .map(|name| folder.join(name))
                .to_vec();
        let change = |path: &Path, change: &mut dyn FnMut(&mut Vec<u8>)| {
            let mut bytes = fs::read(path).expect("a file");
            change(&mut bytes);
            fs::write(path, bytes).expect("written");
        };
        let tensors = |change: &mut dyn FnMut(&mut Model)| packs::edit(folder, Component::Unet, change);
        match self {
            Self::Truncate => change(&dice.of(&files).clone(), &mut |bytes| {
                let length = dice.below(bytes.len());
                bytes.truncate(length);
            }),
            Self::FlipBit => change(&dice.of(&files).clone(), &mut |bytes| {
                let at = dice.below(bytes.len());
                bytes[at] ^= 1 << dice.below(8);
            }),
            Self::ZeroPage => change(&dice.of(&files[..1]).clone(), &mut |bytes| {
                /// Of a disk.
                const PAGE: usize = 4096;
                let at = dice.below(bytes.len() / PAGE) * PAGE;
                let end = (at + PAGE).min(bytes.len());
                bytes[at..end].fill(0);
            }),
            Self::Remove => fs::remove_file(dice.of(&files)).expect("removed"),
            Self::SwapTensors => tensors(&mut |model| {
                let mut alike: BTreeMap<Vec<usize>, Vec<String>> = BTreeMap::new();
                for (name, tensor) in &model.graph.initializers {
                    if tensor.shape.len() > 1 {
                        alike.entry(tensor.shape.clone()).or_default().push(name.clone());
                    }
                }
                let pairs: Vec<Vec<String>> = alike.into_values().filter(|names| names.len() > 1).collect();
                let names = dice.of(&pairs).clone();
                let one = dice.below(names.len());
                let two = (one + 1 + dice.below(names.len() - 1)) % names.len();
                let [first, second] = [&names[one], &names[two]].map(|name| model.graph.initializers[name].clone());
                model.graph.initializers.insert(names[one].clone(), second);
                model.graph.initializers.insert(names[two].clone(), first);
            }),
            Self::ZeroTensor | Self::NanTensor => tensors(&mut |model| {
                let weights: Vec<String> = numbers(model);
                let value = if self == Self::NanTensor { f32::NAN } else { 0.0 };
                let tensor = model.graph.initializers.get_mut(dice.of(&weights)).expect("it is there");
                *tensor = Tensor::f32(&tensor.shape.clone(), &vec![value; tensor.shape.iter().product()]);
            }),
            Self::Transpose => tensors(&mut |model| {
                let oblong: Vec<String> = model
                    .graph
                    .initializers
                    .iter()
                    .filter(|(_, tensor)| tensor.shape.len() == 2 && tensor.shape[0] != tensor.shape[1])
                    .map(|(name, _)| name.clone())
                    .collect();
                model.graph.initializers.get_mut(dice.of(&oblong)).expect("it is there").shape.reverse();
            }),
            Self::OtherOperators => tensors(&mut |model| {
                let renamed = dice.below(model.graph.nodes.len());
                match dice.below(3) {
                    0 => drop(model.opsets.insert(String::new(), 999)),
                    1 => model.graph.nodes[renamed].op = "Nonsense".into(),
                    _ => model.graph.nodes[renamed].domain = "com.example".into(),
                }
            }),
            // The text inside the graph that says where its weights are: `offset`, `length`, `location`.
            Self::OffsetBehindTheEnd => change(&folder.join(GRAPH), &mut |bytes| {
                replace_after(
                    bytes,
                    b"offset",
                    dice.below(50),
                    |digit| if digit.is_ascii_digit() { b'9' } else { digit },
                );
            }),
            Self::LengthTooShort => change(&folder.join(GRAPH), &mut |bytes| {
                replace_after(
                    bytes,
                    b"length",
                    dice.below(50),
                    |digit| if digit.is_ascii_digit() { b'1' } else { digit },
                );
            }),
            Self::PathThatLeaves => change(&folder.join(GRAPH), &mut |bytes| {
                let of = b"model.safetensors";
                let to: [&[u8]; 3] = [b"../../etc/passwdx", b"/etc/passwd/./././", b"model.safetensorz"];
                let to = *dice.of(&to);
                for at in 0..bytes.len() - of.len() {
                    if bytes[at..].starts_with(of) {
                        bytes[at..at + of.len()].copy_from_slice(&to[..of.len()]);
                    }
                }
            }),
        }
        if self.is_hidden() {
            packs::recompute(folder);
        }
    }
}

/// Initializers of numbers that do something.
fn numbers(model: &Model) -> Vec<String> {
    let says = |tensor: &Tensor| {
        tensor.to_f32().is_some_and(|values| values.len() > 1 && values.iter().any(|value| *value != 0.0))
    };
    model.graph.initializers.iter().filter(|(_, tensor)| says(tensor)).map(|(name, _)| name.clone()).collect()
}

/// Changes the text that follows the n-th mention of a word in a protobuf's key and value pairs: two bytes of tag and length, then it.
fn replace_after(bytes: &mut [u8], word: &[u8], which: usize, change: impl Fn(u8) -> u8) {
    let places: Vec<usize> =
        (0..bytes.len() - word.len()).filter(|&at| bytes[at..].starts_with(word)).map(|at| at + word.len()).collect();
    let at = places[which % places.len()] + 2;
    let digits = bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    bytes[at..at + digits].iter_mut().for_each(|byte| *byte = change(*byte));
}

/// Publishes and promotes so many tampered versions; none may serve.
async fn mutants(many: usize) {
    let scene = Scene::with(&["--swap-keep-warm", "0", "--limits-rate", "0", "--limits-sessions", "1000000"]).await;
    let source = tempfile::tempdir().expect("a folder");
    packs::tuned(source.path(), 0.1);
    let drawn = async || scene.app.generate(harness::quick()).await["data"][0]["b64_json"].clone();
    let before = drawn().await;
    // What the version draws that nobody has tampered with.
    let whole = scene.publish(source.path()).await;
    assert_eq!(scene.promote(Kind::Generator, &whole, &scene.first).await.status(), 200);
    let right = drawn().await;
    assert_eq!(scene.roll_back(&whole).await.status(), 200);
    let (mut dice, mut refused, mut survivors, mut healed) = (Dice(7), BTreeMap::new(), Vec::new(), 0);
    for number in 0..many {
        let damage = DAMAGES[number % DAMAGES.len()];
        let folder = tempfile::tempdir().expect("a folder");
        for entry in walk(source.path()) {
            let to = folder.path().join(entry.strip_prefix(source.path()).expect("inside"));
            fs::create_dir_all(to.parent().expect("a parent")).expect("a folder");
            fs::copy(&entry, to).expect("a file");
        }
        damage.apply(folder.path(), &mut dice);
        let lineage = Lineage { published_by: "a test".into(), ..Lineage::default() };
        let (published, refusals) = (
            scene.registry.publish(Kind::Generator, folder.path(), lineage).await,
            refused.entry(damage).or_insert((0, 0)),
        );
        match published {
            Err(RegistryError::Pack(_) | RegistryError::Io { .. }) => refusals.0 += 1,
            Err(other) => panic!("{damage:?} {number}: {other}"),
            Ok(record) => {
                let answer = scene.promote(Kind::Generator, &record.version, &scene.first).await;
                if answer.status() == 422 {
                    refusals.1 += 1;
                } else {
                    // Content that the registry has already is not copied again: then what serves is whole, whatever the source was.
                    let is_whole = !damage.is_hidden() && record.version == whole && drawn().await == right;
                    healed += usize::from(is_whole);
                    if !is_whole {
                        survivors.push(format!("{number} {damage:?} {} {}", answer.status(), record.version));
                    }
                    if scene.champion(Kind::Generator).await.as_ref() == Some(&record.version) {
                        assert_eq!(scene.roll_back(&record.version).await.status(), 200);
                    }
                }
            }
        }
        // Where nothing was retired the disk would fill.
        let _ = scene.registry.gc(0, Duration::ZERO, false).await;
    }
    println!("refused when published, when promoted: {refused:?}; {healed} served as they should be");
    assert!(survivors.is_empty(), "{survivors:#?}");
    let after = scene.app.generate(harness::quick()).await;
    assert_eq!(after["model_version"], scene.first.as_str());
    assert_eq!(after["data"][0]["b64_json"], before, "the old version serves as before");
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn tampered_versions_never_serve() {
    mutants(DAMAGES.len()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a quarter of an hour: 1,000 tampered versions"]
async fn a_thousand_tampered_versions_never_serve() {
    mutants(1000).await;
}

/// Golden outputs hold whatever the number of threads and rows, and every tensor of the denoiser has its say in them.
#[test]
fn any_tensor_that_is_exchanged_is_seen_in_the_golden_outputs() {
    use plaudit::{pack, runtime::SessionSettings};
    let pack = Pack::open(&packs::bundled()).expect("the pack");
    let model = pack.model(Component::Unet).expect("the denoiser");
    let settings = packs::quiet();
    let right = pack::answers(Component::Unet, model, &settings).expect("answers");
    let far = |other: &BTreeMap<String, Tensor>| {
        right.iter().map(|(name, golden)| pack::distance(&other[name], golden)).fold(0.0, f64::max)
    };
    for threads in [1, 2, 4] {
        let settings = SessionSettings { threads, ..settings.clone() };
        let distance = far(&pack::answers(Component::Unet, model, &settings).expect("answers"));
        assert!(distance <= pack::TOLERANCE_F32 / 10.0, "{threads} threads: {distance}");
    }
    // Every eighth: a session is opened for each.
    assert_eq!(unseen(model, 8), Vec::<String>::new());
}

#[test]
#[ignore = "minutes: three sessions for each of the denoiser's tensors"]
fn every_tensor_that_is_exchanged_is_seen_in_the_golden_outputs() {
    let pack = Pack::open(&packs::bundled()).expect("the pack");
    /// Its numbers are so small that without them an answer is 6e-5 from its golden one.
    const FAINT: &str = "mid_block.resnets.1.conv1.bias zeroed";
    let unseen = unseen(pack.model(Component::Unet).expect("the denoiser"), 1);
    assert!(unseen.iter().all(|mutant| mutant.starts_with(FAINT)), "{unseen:#?}");
}

/// Which of every `nth` tensor's mutants no golden output tells from the model: the tensor zeroed, not a number, or exchanged with the next of
/// its shape. Two biases that are added to the same numbers can be exchanged without another outcome: those are no mutants.
fn unseen(model: &Model, nth: usize) -> Vec<String> {
    use plaudit::pack;
    let settings = packs::quiet();
    let right = pack::answers(Component::Unet, model, &settings).expect("answers");
    let names = numbers(model);
    /// What rounding makes of one and the same function.
    const SAME: f64 = 1e-6;
    let (mut unseen, mut tried, mut same) = (Vec::new(), 0, 0);
    for (at, name) in names.iter().enumerate().step_by(nth) {
        let own = &model.graph.initializers[name];
        let constant = |value: f32| Tensor::f32(&own.shape, &vec![value; own.shape.iter().product()]);
        let alike = |other: &&String| model.graph.initializers[*other].shape == own.shape;
        let next = names[at + 1..].iter().chain(&names[..at]).find(alike);
        let mut mutants =
            vec![("zeroed", vec![(name, constant(0.0))]), ("not a number", vec![(name, constant(f32::NAN))])];
        mutants.extend(
            next.map(|next| ("exchanged", vec![(name, model.graph.initializers[next].clone()), (next, own.clone())])),
        );
        for (kind, tensors) in mutants {
            if tensors.iter().all(|(name, tensor)| model.graph.initializers[*name].to_f32() == tensor.to_f32()) {
                continue; // It is the model.
            }
            let mut changed = model.clone();
            for (name, tensor) in tensors {
                changed.graph.initializers.insert(name.clone(), tensor);
            }
            tried += 1;
            // The runtime opens no graph whose scales are zero.
            let Ok(answers) = pack::answers(Component::Unet, &changed, &settings) else { continue };
            let far = right.iter().map(|(name, golden)| pack::distance(&answers[name], golden)).fold(0.0, f64::max);
            same += usize::from(kind == "exchanged" && far <= SAME);
            // Not a number is no distance that is allowed.
            if far <= pack::TOLERANCE_F32 && !(kind == "exchanged" && far <= SAME) {
                unseen.push(format!("{name} {kind}: {far:.1e}"));
            }
        }
    }
    println!("{tried} mutants of {} tensors, {same} of them the same function", names.len());
    unseen
}
