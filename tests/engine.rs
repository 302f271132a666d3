//! The step engine over the bundled pack: what clients see of batching, fairness, deadlines and cancelling.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use image::RgbImage;
use plaudit::{
    engine::{Class, Engine, EngineSettings, Event, Failure, Order, Refusal, Ticket},
    metrics::Metrics,
    pack::Pack,
    pipeline::{Pipeline, PipelineSettings, Request, Start, schedule::SchedulerKind},
    runtime::Device,
};

fn pack() -> Pack {
    Pack::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("onnx/packs/miniature")).expect("the bundled pack")
}

fn engine_with(settings: EngineSettings) -> (Engine, Metrics) {
    let metrics = Metrics::new();
    (Engine::start(&pack(), Device::Cpu, &settings, metrics.clone()).expect("an engine"), metrics)
}

fn engine() -> Engine {
    engine_with(EngineSettings::default()).0
}

fn request(prompt: &str, steps: usize, seed: u32) -> Request {
    Request { prompt: prompt.into(), steps, seed, ..Request::default() }
}

/// With a scheduler whose calls are as many as its steps.
fn counted(prompt: &str, steps: usize, count: usize) -> Request {
    Request { scheduler: Some(SchedulerKind::Ddim), count, ..request(prompt, steps, 1) }
}

fn order(request: Request) -> Order {
    Order {
        request,
        client: "a client".into(),
        class: Class::Interactive,
        deadline: None,
        previews: 0,
        optional: 0,
        deterministic: false,
    }
}

/// Hears an order to its end.
fn hear(mut ticket: Ticket) -> Vec<Event> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let mut events = Vec::new();
        while let Some(event) = ticket.next().await {
            events.push(event);
        }
        events
    })
}

fn images(events: &[Event]) -> Vec<RgbImage> {
    let mut made: Vec<(usize, RgbImage)> = events
        .iter()
        .filter_map(|event| match event {
            Event::Picture { picture, image: Some(image), .. } => Some((*picture, image.clone())),
            _ => None,
        })
        .collect();
    made.sort_by_key(|(picture, _)| *picture);
    made.into_iter().map(|(_, image)| image).collect()
}

fn draw(engine: &Engine, request: Request) -> Vec<RgbImage> {
    images(&hear(engine.submit(order(request)).expect("admitted")))
}

/// Calls of the denoiser and their rows together, as far as they were counted.
fn calls(metrics: &Metrics) -> [f64; 2] {
    [metrics.step_rows.get_sample_count() as f64, metrics.step_rows.get_sample_sum()]
}

/// Requests that differ in everything that a batch may mix.
fn mixed() -> Vec<Request> {
    let kinds = SchedulerKind::ALL;
    let varied = |(at, kind): (usize, SchedulerKind)| Request {
        scheduler: Some(kind),
        guidance: [5.0, 1.0, 7.5][at % 3],
        guidance_interval: (at % 2 == 1).then_some((0.2, 0.8)),
        count: 1 + at % 2,
        ..request(["a red fish", "two blue stars", "a cat in the city"][at % 3], 3 + 2 * at, at as u32)
    };
    kinds.into_iter().enumerate().map(varied).collect()
}

#[test]
fn the_engine_draws_what_the_pipeline_draws() {
    let mut pipeline = Pipeline::load(&pack(), &PipelineSettings::default()).expect("a pipeline");
    let engine = engine();
    for request in mixed() {
        let expected: Vec<_> = pipeline.run(&request, &mut |_| ()).expect("drawn").pictures;
        let got = draw(&engine, request.clone());
        assert_eq!(got.len(), request.count, "{request:?}");
        for (got, expected) in got.iter().zip(&expected) {
            let apart = got.iter().zip(expected.pixels.iter()).filter(|(a, b)| a.abs_diff(**b) > 1).count();
            assert!(apart * 100 < got.len(), "{request:?}: {apart} bytes differ by more than one");
        }
    }
}

#[test]
fn a_picture_is_the_same_alone_and_in_any_company() {
    for max_rows in [2, 5, 8, 16, 64] {
        let engine = engine_with(EngineSettings { max_rows, ..EngineSettings::default() }).0;
        let alone: Vec<_> = mixed().into_iter().map(|request| draw(&engine, request)).collect();
        let tickets: Vec<_> =
            mixed().into_iter().map(|request| engine.submit(order(request)).expect("admitted")).collect();
        for (at, (ticket, alone)) in tickets.into_iter().zip(alone).enumerate() {
            assert!(images(&hear(ticket)) == alone, "request {at} with {max_rows} rows");
        }
    }
}

#[test]
fn rows_of_different_requests_share_calls() {
    let (engine, metrics) = engine_with(EngineSettings::default());
    let before = metrics.step_rows.get_sample_count();
    let tickets: Vec<_> =
        (0..4).map(|seed| engine.submit(order(request("a star", 12, seed))).expect("admitted")).collect();
    tickets.into_iter().for_each(|ticket| assert_eq!(images(&hear(ticket)).len(), 1));
    let calls = metrics.step_rows.get_sample_count() - before;
    assert!(calls < 4 * 12 - 6, "{calls} calls: nothing was shared");
}

#[test]
fn rows_without_guidance_cost_one() {
    let (engine, metrics) = engine_with(EngineSettings::default());
    let rows = |request: Request| {
        let before = metrics.step_rows.get_sample_sum();
        draw(&engine, request);
        metrics.step_rows.get_sample_sum() - before
    };
    let guided = Request { scheduler: Some(SchedulerKind::Ddim), ..request("a star", 10, 1) };
    let halfway = Request { guidance_interval: Some((0.5, 1.0)), ..guided.clone() };
    let unguided = Request { guidance: 1.0, ..guided.clone() };
    assert_eq!([guided, halfway, unguided].map(rows), [20.0, 15.0, 10.0]);
}

#[test]
fn who_leaves_takes_the_rows_along() {
    let (engine, metrics) = engine_with(EngineSettings::default());
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut ticket = engine.submit(order(request("a star", 900, 1))).expect("admitted");
    runtime.block_on(async { while !matches!(ticket.next().await, Some(Event::Progress { .. })) {} });
    let before = metrics.step_rows.get_sample_count();
    drop(ticket);
    let deadline = Instant::now() + Duration::from_secs(10);
    while engine.load().running > 0 {
        assert!(Instant::now() < deadline, "still running");
        std::thread::sleep(Duration::from_millis(1));
    }
    // The call that was under way, and none that began after the ticket was gone.
    let calls = metrics.step_rows.get_sample_count() - before;
    assert!(calls <= 2, "{calls} calls for nobody");
}

#[test]
fn a_deadline_ends_an_order_and_what_cannot_end_in_time_never_starts() {
    let (engine, metrics) = engine_with(EngineSettings::default());
    let mut long = order(request("a star", 900, 1));
    long.deadline = Some(Instant::now() + Duration::from_millis(1));
    let before = metrics.step_rows.get_sample_count();
    match engine.submit(long) {
        Err(Refusal::Late { .. }) => {}
        Ok(ticket) => assert!(matches!(hear(ticket).last(), Some(Event::Failed(Failure::Deadline { .. })))),
        Err(other) => panic!("{other}"),
    }
    assert_eq!(metrics.step_rows.get_sample_count(), before, "it was started");
}

#[test]
fn what_the_queue_makes_late_is_refused_and_may_come_back() {
    let engine = engine_with(EngineSettings::default()).0;
    let of = |client: &str, steps, deadline: Option<Duration>| {
        let deadline = deadline.map(|wait| Instant::now() + wait);
        Order { client: client.into(), deadline, ..order(request("a star", steps, 1)) }
    };
    // So that the rate is known.
    images(&hear(engine.submit(of("first", 20, None)).expect("room")));
    let seconds = |row_steps: f64| Duration::from_secs_f64(row_steps / engine.load().rate.expect("measured"));
    let waiting: Vec<_> =
        ["a", "b", "c"].map(|client| engine.submit(of(client, 900, None)).expect("room")).into_iter().collect();
    // Alone it needs 1,800 of the row-steps that it has time for; with the others, which are due before it, 7,200.
    let refused = engine.submit(of("late", 900, Some(seconds(2600.0))));
    let Err(Refusal::Late { retry_after: Some(wait), .. }) = refused else { panic!("{refused:?}") };
    assert!(wait > Duration::ZERO);
    // A short picture is due before all of them.
    drop(engine.submit(of("short", 10, Some(seconds(10.0 * 20.0)))).expect("it passes the long ones"));
    drop(waiting);
}

#[test]
fn a_full_queue_refuses_one_client_and_takes_another() {
    let settings = EngineSettings { max_queue: 5000, max_queue_per_client: 2500, ..EngineSettings::default() };
    let engine = engine_with(settings).0;
    let of = |client: &str| Order { client: client.into(), ..order(request("a star", 900, 1)) };
    let first = engine.submit(of("greedy")).expect("room");
    let refused = engine.submit(of("greedy"));
    let Err(Refusal::ClientFull { retry_after, .. }) = refused else { panic!("{refused:?}") };
    assert!(retry_after > Duration::ZERO);
    let second = engine.submit(of("modest")).expect("room for another client");
    assert!(matches!(engine.submit(of("third")), Err(Refusal::Full { .. })));
    drop((first, second));
}

#[test]
fn bulk_work_leaves_room_in_the_queue() {
    let settings = EngineSettings { max_queue: 5000, max_queue_bulk: 3000, ..EngineSettings::default() };
    let engine = engine_with(settings).0;
    let of = |client: &str, class| Order { client: client.into(), class, ..order(request("a star", 900, 1)) };
    let first = engine.submit(of("one", Class::Bulk)).expect("room");
    assert!(matches!(engine.submit(of("another", Class::Bulk)), Err(Refusal::Full { limit: 3000, .. })));
    drop(engine.submit(of("another", Class::Interactive)).expect("room for who waits"));
    drop(first);
}

#[test]
fn a_bulk_order_does_not_hold_up_another_clients_picture() {
    let engine = engine_with(EngineSettings { max_rows: 4, ..EngineSettings::default() }).0;
    let bulk = Order {
        client: "greedy".into(),
        class: Class::Bulk,
        ..order(Request { count: 12, ..request("a star", 20, 1) })
    };
    let bulk = engine.submit(bulk).expect("admitted");
    let single = engine.submit(order(request("a fish", 10, 1))).expect("admitted");
    assert_eq!(images(&hear(single)).len(), 1);
    assert!(engine.load().row_steps > 12 * 40 / 2, "most of the bulk is still to come");
    assert_eq!(images(&hear(bulk)).len(), 12);
}

#[test]
fn events_come_in_order_with_previews_of_full_size() {
    let engine = engine();
    let events = hear(engine.submit(Order { previews: 3, ..order(request("a red heart", 8, 1)) }).expect("admitted"));
    assert!(matches!(events.first(), Some(Event::Started { .. })), "{events:?}");
    assert!(matches!(events.last(), Some(Event::Finished { .. })), "{events:?}");
    let numbers: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Preview { number, image, .. } => Some((*number, image.dimensions())),
            _ => None,
        })
        .collect();
    assert_eq!(numbers, [(0, (64, 64)), (1, (64, 64)), (2, (64, 64))]);
    let Some(Event::Progress { done, total }) = events.iter().rfind(|event| matches!(event, Event::Progress { .. }))
    else {
        panic!("no progress")
    };
    assert_eq!(done, total);
}

#[test]
fn a_late_preview_resembles_the_picture() {
    let engine = engine();
    let events = hear(engine.submit(Order { previews: 3, ..order(request("a red heart", 20, 3)) }).expect("admitted"));
    let picture = &images(&events)[0];
    let last = events.iter().rev().find_map(|event| match event {
        Event::Preview { image, .. } => Some(image),
        _ => None,
    });
    let mean = |a: &RgbImage, b: &RgbImage| {
        a.iter().zip(b.iter()).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / a.len() as f64
    };
    let (near, grey) =
        (mean(last.expect("a preview"), picture), mean(&RgbImage::from_pixel(64, 64, image::Rgb([128; 3])), picture));
    assert!(near < grey / 2.0, "{near} levels away; plain grey is {grey} away");
}

#[test]
fn a_start_picture_is_left_further_with_more_strength() {
    let engine = engine();
    let start = Arc::new(draw(&engine, request("a red heart", 20, 3)).remove(0));
    let distance = |strength: f64| {
        let from = Some(Start { image: start.clone(), strength });
        let made = draw(&engine, Request { start: from, ..request("a blue star", 20, 9) }).remove(0);
        made.iter().zip(start.iter()).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>()
    };
    let distances = [0.1, 0.5, 1.0].map(distance);
    assert!(distances.is_sorted() && distances[0] < distances[2] / 2.0, "{distances:?}");
}

#[test]
fn a_draining_engine_takes_nothing_and_finishes_what_it_has() {
    let engine = engine();
    let ticket = engine.submit(order(request("a star", 10, 1))).expect("admitted");
    engine.drain();
    assert!(matches!(engine.submit(order(request("a star", 10, 1))), Err(Refusal::Draining)));
    assert_eq!(images(&hear(ticket)).len(), 1);
}

#[test]
fn a_deterministic_picture_is_alone_in_its_calls_and_the_same_as_in_company() {
    let (engine, metrics) = engine_with(EngineSettings::default());
    let expected = draw(&engine, counted("a star", 12, 1));
    let before = calls(&metrics);
    let company = Order { client: "another".into(), ..order(counted("a fish", 60, 4)) };
    let company = engine.submit(company).expect("admitted");
    let alone = engine.submit(Order { deterministic: true, ..order(counted("a star", 12, 1)) }).expect("admitted");
    assert!(images(&hear(alone)) == expected, "another picture than the one drawn in a call that may be shared");
    assert_eq!(images(&hear(company)).len(), 4);
    // The four share each of their calls, so a single row of the fifth in one of them would make the calls fewer.
    let [made, rows] = calls(&metrics);
    assert_eq!([made - before[0], rows - before[1]], [60.0 + 12.0, 60.0 * 8.0 + 12.0 * 2.0]);
}

#[test]
fn pictures_of_a_deterministic_order_do_not_share_calls_with_each_other() {
    let (engine, metrics) = engine_with(EngineSettings::default());
    let before = calls(&metrics);
    let order = Order { deterministic: true, ..order(counted("a star", 5, 3)) };
    assert_eq!(images(&hear(engine.submit(order).expect("admitted"))).len(), 3);
    assert_eq!(calls(&metrics)[0] - before[0], 15.0);
}

#[test]
fn padding_is_counted_and_changes_no_picture() {
    let three = || counted("a red heart", 5, 3);
    let expected = draw(&engine(), three());
    // Six rows a call: with a bucket of their size, with a larger one, and with one above max_rows.
    for (max_rows, bucket, each) in [(16, 6, 0), (16, 8, 2), (7, 32, 1)] {
        let settings = EngineSettings { max_rows, buckets: vec![4, bucket], ..EngineSettings::default() };
        let (engine, metrics) = engine_with(settings);
        let before = metrics.padding_rows_total.get();
        assert!(draw(&engine, three()) == expected, "{max_rows} rows, bucket {bucket}");
        assert_eq!(metrics.padding_rows_total.get() - before, 5 * each, "{max_rows} rows, bucket {bucket}");
    }
}
