//! Requests that were drawn for others, drawn once more by a candidate.

use std::{sync::Arc, time::Duration};

use serde_json::json;

use super::Shadowed;
use crate::{
    domain::Kind,
    engine::{Class, Engine, Event, Generator, Order, Refusal},
    pipeline::Request,
    trial::{
        seen::Outcome,
        watch::{Watch, is_blank},
    },
};

/// Draws the requests that were taken last once more, as many as are asked for, beside and behind what others wait for.
pub(super) async fn draw(engine: &Engine, candidate: &Arc<Generator>, watch: &Watch, many: u32) -> Shadowed {
    let recent = watch.recent();
    let mut bad = 0;
    for at in 0..many {
        let order = match recent.len() {
            0 => quiet(Request { seed: at, ..Request::default() }),
            some => quiet(recent[at as usize % some].request.clone()),
        };
        let outcome = one(engine, candidate, order).await;
        bad += u32::from(outcome.failed || outcome.pictures.iter().any(|(_, blank)| *blank));
        watch.record(Kind::Generator, candidate.version(), &outcome);
    }
    Shadowed { all: many, bad, wrong: "failed or were blank", evidence: json!({"requests": many, "failed": bad}) }
}

fn quiet(request: Request) -> Order {
    Order {
        request,
        client: "shadow".into(),
        class: Class::Bulk,
        deadline: None,
        previews: 0,
        optional: 0,
        deterministic: false,
    }
}

async fn one(engine: &Engine, candidate: &Arc<Generator>, order: Order) -> Outcome {
    const PATIENCE: Duration = Duration::from_millis(200);
    let failed = || Outcome { failed: true, ..Outcome::default() };
    let mut ticket = loop {
        match engine.submit_to(candidate, order.clone()) {
            Ok(ticket) => break ticket,
            Err(Refusal::Full { .. } | Refusal::ClientFull { .. } | Refusal::Swapping { .. }) => {
                tokio::time::sleep(PATIENCE).await;
            }
            // The server ends: that says nothing of the candidate.
            Err(Refusal::Draining | Refusal::Broken) => return Outcome::default(),
            Err(_) => return failed(),
        }
    };
    let mut outcome = Outcome::default();
    while let Some(event) = ticket.next().await {
        match event {
            Event::Picture { image, .. } => {
                outcome.pictures.push((image.is_none(), image.as_ref().is_some_and(is_blank)));
            }
            // How long it took behind others says little of its pace: that is measured where people wait.
            Event::Finished { .. } => return outcome,
            Event::Failed(_) => return failed(),
            _ => {}
        }
    }
    outcome
}
