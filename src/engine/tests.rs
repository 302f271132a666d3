//! What goes wrong inside the engine, and what those outside see of it. All over the bundled pack.

use std::{path::Path, time::Duration};

use super::{shared::CrashPoint, *};
use crate::pipeline::Request;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn pack() -> Pack {
    Pack::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("onnx/packs/miniature")).expect("the bundled pack")
}

fn engine() -> Engine {
    Engine::start(&pack(), Device::Cpu, &EngineSettings::default(), Metrics::new()).expect("an engine")
}

fn order(steps: usize, count: usize) -> Order {
    Order {
        request: Request { steps, count, ..Request::default() },
        client: "a client".into(),
        class: Class::Interactive,
        deadline: None,
        previews: 0,
        optional: 0,
        deterministic: false,
    }
}

/// Why an order failed, if it did. Panics where it has no end.
fn failure(mut ticket: Ticket) -> Option<Failure> {
    let (told, heard) = mpsc::channel();
    std::thread::spawn(move || told.send(ticket.failure()));
    heard.recv_timeout(PATIENCE).expect("an end")
}

#[test]
fn a_denoiser_that_panics_fails_every_order_and_takes_no_more() {
    let engine = engine();
    *engine.shared.crash.lock().expect("the point") = Some(CrashPoint::Steps);
    let tickets = [order(2, 2), order(900, 1)].map(|order| engine.submit(order));
    for ticket in tickets.into_iter().flatten() {
        let failure = failure(ticket);
        assert!(matches!(failure, Some(Failure::Runtime(_))), "{failure:?}");
    }
    assert!(engine.is_broken());
    let refused = engine.submit(order(2, 1));
    assert!(matches!(refused, Err(Refusal::Broken)), "{refused:?}");
    assert_eq!((engine.load().waiting, engine.load().running), (0, 0));
}

#[test]
fn an_order_whose_own_work_panics_fails_alone() {
    for point in [CrashPoint::Prepare, CrashPoint::Finish] {
        let engine = engine();
        *engine.shared.crash.lock().expect("the point") = Some(point);
        let failure = failure(engine.submit(order(2, 2)).expect("room"));
        assert!(matches!(failure, Some(Failure::Runtime(_))), "{point:?}: {failure:?}");
        *engine.shared.crash.lock().expect("the point") = None;
        assert!(!engine.is_broken(), "{point:?}");
        assert_eq!(self::failure(engine.submit(order(2, 1)).expect("room")), None, "{point:?}: the next is drawn");
    }
}

#[test]
fn a_thread_that_returns_early_breaks_the_engine_down_and_one_that_stops_with_it_does_not() {
    let stopping = engine();
    let shared = stopping.shared.clone();
    drop(stopping);
    assert!(!shared.book().is_broken());

    let engine = engine();
    let ticket = engine.submit(order(900, 1)).expect("admitted");
    named(&engine.shared, "test", || ()).join().expect("no panic");
    assert!(failure(ticket).is_some() && engine.is_broken());
}

#[test]
fn a_ticket_without_an_end_is_no_success() {
    let (delivery, ticket) = Delivery::new(1, 1, None);
    drop(delivery);
    assert!(failure(ticket).is_some());
    let (told, events) = tokio::sync::mpsc::unbounded_channel();
    drop(told);
    assert!(failure(Ticket { events }).is_some());
}

#[test]
fn an_engine_that_refuses_its_first_picture_does_not_start() {
    let engine = engine();
    engine.drain();
    let refused = engine.warm_up();
    assert!(matches!(refused, Err(PipelineError::WarmUp(_))), "{refused:?}");
}

#[test]
fn a_slow_spell_long_ago_refuses_nothing_that_can_be_done_in_time() {
    let engine = engine();
    (0..100).for_each(|_| drop(engine.shared.book().give_back(Vec::new(), 2, Duration::from_secs(60))));
    let mut tight = order(4, 1);
    tight.deadline = Some(Instant::now() + PATIENCE);
    assert_eq!(failure(engine.submit(tight).expect("admitted")), None);
}

#[test]
fn a_picture_whose_deadline_passed_before_it_was_decoded_is_late() {
    let (sessions, settings, releaser) = (SessionSettings::default(), EngineSettings::default(), Releaser::start());
    let generator = Generator::open(&pack(), &sessions, &settings, &[], &releaser).expect("sessions");
    let generator = Arc::new(generator);
    let shape = generator.planner.plan(&Request::default()).expect("a plan").latent;
    let (calls, latent) = (20, vec![0.0; shape.iter().product()]);
    let now = Instant::now();
    let (orders, work) = mpsc::sync_channel(2);
    let [late, early] = [now, now + PATIENCE].map(|deadline| {
        let (delivery, ticket) = Delivery::new(1, calls, Some(deadline));
        delivery.report().progress = (calls, calls);
        let delivery = Arc::new(delivery);
        let latent = latent.clone();
        orders
            .send(finish::Work::Picture {
                generator: generator.clone(),
                delivery,
                picture: 0,
                seed: 0,
                latent,
                shape,
                denoised: Instant::now(),
            })
            .expect("room");
        ticket
    });
    drop(orders);
    let shared = Shared::new(EngineSettings::default(), Metrics::new());
    finish::run(&shared, &work);
    assert_eq!(failure(late), Some(Failure::Deadline { done: calls, total: calls }));
    assert_eq!(failure(early), None);
}

#[test]
fn a_newcomer_does_not_make_late_what_was_admitted_to_be_in_time() {
    let engine = engine();
    let settings = EngineSettings { max_rows: 2, ..EngineSettings::default() };
    let (mut book, now) = (book::Book::default(), Instant::now());
    // A hundred rows a second.
    book.rate.record(2, Duration::from_millis(20));
    let mut admit = |client: &str, steps, seconds: Option<f64>| {
        let deadline = seconds.map(|seconds| now + Duration::from_secs_f64(seconds));
        let order = Order { client: client.into(), deadline, ..order(steps, 1) };
        let generator = engine.routes().champion.clone();
        let plan = Arc::new(generator.planner.plan(&order.request).expect("a plan"));
        let ticket = book.admit(generator, order, plan, &settings, now)?;
        Ok::<_, Refusal>((ticket, book.jobs().last().expect("it is there").tag()))
    };
    // Alone it takes 2 s; of the rest it counts on three quarters.
    let promised = admit("promised", 100, Some(2.4)).expect("in time");
    let first = admit("first", 10, None).expect("room");
    let second = admit("second", 10, None).expect("room");
    assert!(first.1 < promised.1, "there is time for one short order");
    assert!(second.1 > promised.1, "and not for another");
    let late = admit("third", 10, Some(2.0)).err();
    assert!(matches!(late, Some(Refusal::Late { retry_after: Some(_), .. })), "behind them it would be late: {late:?}");
}
