//! Requests that a candidate draws for nobody.

use std::{sync::Arc, time::Duration};

use super::watch::{Outcome, Watch, is_blank};
use crate::{
    engine::{Class, Engine, Event, Generator, Order, Refusal},
    pipeline::Request,
};

/// What came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Drawn {
    pub(super) all: u32,
    /// Failed, or drew a blank picture.
    bad: u32,
}

impl Drawn {
    /// What is plain without a comparison.
    pub(super) fn fault(self) -> Option<String> {
        (2 * self.bad > self.all)
            .then(|| format!("{} of {} requests that nobody saw failed or were blank", self.bad, self.all))
    }
}

/// Draws the requests that were taken last once more, as many as are asked for, beside and behind what others wait for.
pub(super) async fn draw(engine: &Engine, candidate: &Arc<Generator>, watch: &Watch, many: u32) -> Drawn {
    let recent = watch.recent();
    let mut drawn = Drawn::default();
    for at in 0..many {
        let order = match recent.len() {
            0 => quiet(Request { seed: at, ..Request::default() }),
            some => quiet(recent[at as usize % some].request.clone()),
        };
        let outcome = one(engine, candidate, order).await;
        drawn.all += 1;
        drawn.bad += u32::from(outcome.failed || outcome.pictures.iter().any(|(_, blank)| *blank));
        watch.record(candidate.version(), &outcome);
    }
    drawn
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
