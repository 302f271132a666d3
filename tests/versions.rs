//! Versions of the generator in one engine: which of them draws, what they share, and what becomes of their memory.
#![allow(missing_docs)]

#[allow(dead_code)]
#[path = "common/packs.rs"]
mod packs;

use std::{sync::Arc, time::Duration};

use image::RgbImage;
use plaudit::{
    engine::{
        Class, Engine, EngineSettings, Event, Failure, Generator, LoadError, Order, Refusal, Routes, Ticket, Trial,
    },
    metrics::Metrics,
    pack::{Component, Pack},
    pipeline::{Pipeline, PipelineSettings, Request, schedule::SchedulerKind},
    runtime::Device,
};
use plaudit_onnx::Tensor;

const PATIENCE: Duration = Duration::from_secs(60);

fn engine() -> Engine {
    let pack = Pack::open(&packs::bundled()).expect("the bundled pack");
    Engine::start(&pack, Device::Cpu, &EngineSettings::default(), Metrics::new()).expect("an engine")
}

fn order(steps: usize, seed: u32) -> Order {
    Order {
        request: Request { prompt: "two blue stars".into(), steps, seed, ..Request::default() },
        client: "a client".into(),
        class: Class::Interactive,
        deadline: None,
        previews: 0,
        optional: 0,
        deterministic: false,
    }
}

fn picture(mut ticket: Ticket) -> Result<RgbImage, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let mut made = None;
        while let Some(event) = ticket.next().await {
            match event {
                Event::Picture { image, .. } => made = image,
                Event::Failed(failure) => return Err(failure),
                _ => {}
            }
        }
        Ok(made.expect("a picture"))
    })
}

/// What the pack draws by itself.
fn alone(pack: &Pack, order: &Order) -> RgbImage {
    let mut pipeline = Pipeline::load(pack, &PipelineSettings::default()).expect("a pipeline");
    let request = Request { guidance: pipeline.default_guidance(), ..order.request.clone() };
    pipeline.run(&request, &mut |_| {}).expect("a picture").pictures.remove(0).pixels
}

fn guided(engine: &Engine, order: Order) -> Order {
    let guidance = engine.model().guidance;
    Order { request: Request { guidance, ..order.request }, ..order }
}

fn serve(engine: &Engine, generator: &Arc<Generator>) {
    engine.serve(Routes { champion: generator.clone(), candidate: None });
}

#[test]
fn each_picture_is_drawn_by_one_version_bit_for_bit_while_both_draw() {
    let folder = tempfile::tempdir().expect("a folder");
    let (engine, tuned) = (engine(), packs::tuned(folder.path(), 0.1));
    let bundled = Pack::open(&packs::bundled()).expect("the bundled pack");
    let first = engine.routes().champion.clone();
    let second = engine.open(&tuned).expect("it fits");
    let orders: Vec<Order> = (0..6).map(|seed| guided(&engine, order(6, seed))).collect();
    let before: Vec<Ticket> = orders.iter().map(|order| engine.submit(order.clone()).expect("room")).collect();
    serve(&engine, &second);
    let after: Vec<Ticket> = orders.iter().map(|order| engine.submit(order.clone()).expect("room")).collect();
    let pinned = engine.submit_to(&first, orders[0].clone()).expect("room");
    for (order, (before, after)) in orders.iter().zip(before.into_iter().zip(after)) {
        let (before, after) = (picture(before).expect("drawn"), picture(after).expect("drawn"));
        assert!(before == alone(&bundled, order), "what began before is the first version's");
        assert!(after == alone(&tuned, order), "what began after is the second's");
        assert!(before != after);
    }
    assert!(picture(pinned).expect("drawn") == alone(&bundled, &orders[0]));
    assert_eq!(engine.model().version, tuned.version());
}

#[test]
fn sessions_of_equal_files_are_shared_and_the_rest_is_released_with_the_last_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let (engine, tuned) = (engine(), packs::tuned(folder.path(), 0.1));
    let missing = |pack: &Pack| engine.missing(pack).into_iter().map(|(component, _)| component).collect::<Vec<_>>();
    let clip = |component: &Component| !matches!(component, Component::ClipText | Component::ClipVision);
    assert_eq!(missing(&tuned).into_iter().filter(clip).collect::<Vec<_>>(), [Component::Unet]);
    let (old, second) = (engine.model().version, engine.open(&tuned).expect("it fits"));
    assert!(Arc::ptr_eq(&second, &engine.open(&tuned).expect("it is open already")));
    let long = engine.submit(order(200, 1)).expect("room");
    serve(&engine, &second);
    assert!(engine.versions().contains(&old), "an order holds it");
    drop(long);
    let began = std::time::Instant::now();
    while engine.versions().contains(&old) {
        assert!(began.elapsed() < PATIENCE, "{:?}", engine.versions());
        std::thread::sleep(Duration::from_millis(10));
    }
    engine.release();
    assert!(picture(engine.submit(order(2, 1)).expect("room")).is_ok(), "what they shared is still there");
}

#[test]
fn a_version_draws_by_its_own_scheduler_where_a_request_names_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let (engine, bundled) = (engine(), Pack::open(&packs::bundled()).expect("the bundled pack"));
    let rescheduled = packs::rescheduled(folder.path());
    let unnamed = guided(&engine, order(4, 1));
    let request = Request { scheduler: Some(SchedulerKind::Pndm), ..unnamed.request.clone() };
    let named = Order { request, ..unnamed.clone() };
    let before = picture(engine.submit(unnamed.clone()).expect("room")).expect("drawn");
    serve(&engine, &engine.open(&rescheduled).expect("another version"));
    assert_eq!(engine.model().scheduler, SchedulerKind::Ddim);
    let after = picture(engine.submit(unnamed.clone()).expect("room")).expect("drawn");
    assert!(after == alone(&rescheduled, &unnamed), "by its own");
    assert!(after != before && before == alone(&bundled, &unnamed));
    let asked_for = picture(engine.submit(named).expect("room")).expect("drawn");
    assert!(asked_for == before, "weights are equal, and so is the scheduler that was named");
}

#[test]
fn another_model_is_not_another_version() {
    let folder = tempfile::tempdir().expect("a folder");
    packs::copy(folder.path());
    plaudit::pack::seal(folder.path(), "gigantic", &Default::default(), &packs::quiet(), |_| ()).expect("a pack");
    let engine = engine();
    let refused = engine.open(&Pack::open(folder.path()).expect("a pack")).expect_err("another name");
    assert!(matches!(&refused, LoadError::Differs(facts) if facts.len() == 1), "{refused}");
    assert!(refused.to_string().contains("gigantic"), "{refused}");
}

#[test]
fn a_version_that_answers_no_numbers_is_not_opened() {
    let folder = tempfile::tempdir().expect("a folder");
    packs::copy(folder.path());
    packs::edit(folder.path(), Component::Unet, |model| {
        let bias = model.graph.initializers.iter_mut().find(|(name, _)| name.ends_with("conv_out.bias"));
        let (_, bias) = bias.expect("a last bias");
        let shape = bias.shape.clone();
        *bias = Tensor::f32(&shape, &vec![f32::NAN; shape.iter().product()]);
    });
    plaudit::pack::seal(folder.path(), "miniature", &Default::default(), &packs::quiet(), |_| ()).expect("a pack");
    let engine = engine();
    let refused = engine.open(&Pack::open(folder.path()).expect("a pack")).expect_err("no numbers");
    assert!(refused.to_string().contains("finite"), "{refused}");
    assert_eq!(engine.versions(), [engine.model().version]);
}

#[test]
fn where_there_is_no_room_for_two_the_old_one_goes_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let (engine, tuned) = (engine(), packs::tuned(folder.path(), 0.1));
    let before = engine.submit(order(20, 1)).expect("room");
    std::thread::scope(|scope| {
        let replacing = scope.spawn(|| engine.replace(&tuned, PATIENCE, || Ok(())).map(drop));
        // As long as it is drawn nothing more is taken; afterwards the new version draws.
        let refused = std::iter::repeat_with(|| {
            std::thread::sleep(Duration::from_millis(1));
            engine.submit(order(2, 1))
        });
        let refused = refused.take(1000).find_map(Result::err).expect("a refusal");
        assert!(matches!(refused, Refusal::Swapping { .. }), "{refused}");
        assert!(picture(before).is_ok(), "what was taken is drawn");
        replacing.join().expect("no panic").expect("replaced");
    });
    assert_eq!(engine.versions(), [tuned.version()]);
    let order = guided(&engine, order(4, 1));
    assert!(picture(engine.submit(order.clone()).expect("room")).expect("drawn") == alone(&tuned, &order));
    // What cannot be opened leaves what served.
    let other = tempfile::tempdir().expect("a folder");
    packs::copy(other.path());
    plaudit::pack::seal(other.path(), "gigantic", &Default::default(), &packs::quiet(), |_| ()).expect("a pack");
    assert!(engine.replace(&Pack::open(other.path()).expect("a pack"), PATIENCE, || Ok(())).is_err());
    assert!(picture(engine.submit(order.clone()).expect("room")).expect("drawn") == alone(&tuned, &order));
}

#[test]
fn a_trial_draws_for_its_share_and_for_who_names_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let (engine, tuned) = (engine(), packs::tuned(folder.path(), 0.1));
    let (old, candidate) = (engine.routes().champion.clone(), engine.open(&tuned).expect("it fits"));
    engine
        .serve(Routes { champion: old.clone(), candidate: Some(Trial { generator: candidate.clone(), share: 0.25 }) });
    let routes = engine.routes();
    let drawn = |rater: usize| routes.choose("miniature", &format!("rater {rater}")).expect("a version").version();
    let tried = (0..1000).filter(|rater| drawn(*rater) == candidate.version()).count();
    assert!((190..310).contains(&tried), "{tried} of 1000");
    for version in [old.version(), candidate.version()] {
        assert_eq!(routes.choose(version, "anybody").expect("it serves").version(), version);
    }
    let unknown = routes.choose("miniature@000000000000", "anybody").expect_err("it does not serve").to_string();
    assert!(unknown.contains(old.version()) && unknown.contains(candidate.version()), "{unknown}");
}
