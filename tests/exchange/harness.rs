//! A store with pictures and votes, as a server holds it, and the command beside it.

use std::{
    io::Cursor,
    path::Path,
    process::{Command, Output},
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use image::{ImageFormat as Coding, Rgb, RgbImage};
use plaudit::{
    domain::{ImageId, JobId, Owner, Rating, Viewing},
    feedback::dataset::{DatasetLimits, Entry, Reader},
    jobs::{ImageFormat, JobState},
    store::{Act, Ballot, Ending, ImageRecord, NewEvent, NewFeedback, NewJob, Store},
};
use serde_json::json;

/// No test fills it.
const ROOMY: u64 = 1 << 40;
const HOUR: i64 = 3600;

pub(crate) struct Shop {
    pub(crate) store: Store,
    pub(crate) data: tempfile::TempDir,
}

pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs() as i64
}

pub(crate) fn alice() -> Owner {
    Owner::session("alice")
}

pub(crate) fn picture(number: u8) -> Bytes {
    let mut bytes = Cursor::new(Vec::new());
    let drawn = RgbImage::from_pixel(8, 6, Rgb([number, 1, 2]));
    drawn.write_to(&mut bytes, Coding::Png).expect("a picture is coded");
    bytes.into_inner().into()
}

impl Shop {
    /// As a server has it: with the lock.
    pub(crate) async fn open() -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let store = Store::open(data.path()).await.expect("a store");
        Self { store, data }
    }

    /// Draws a picture as a job of its own, with its event.
    pub(crate) async fn draw(&self, number: u8) -> ImageId {
        let (job, owner, bytes) = (JobId::new(), alice(), picture(number));
        let new = NewJob {
            id: job,
            owner: owner.clone(),
            keep: true,
            request: json!({}),
            start: None,
            idempotency: None,
            created: now(),
        };
        self.store.insert_job(new, ROOMY).await.expect("a job");
        let record = ImageRecord {
            id: ImageId::new(),
            job,
            index: 0,
            created: now(),
            expires: now() + HOUR,
            format: ImageFormat::Png,
            bytes: bytes.len() as u64,
            width: 8,
            height: 6,
            seed: u32::from(number),
            model_version: "miniature@0123456789ab".into(),
            chosen_by: None,
            rater: Some("ann".into()),
            parameters: json!({"prompt": format!("{number} stars"), "negative_prompt": "fish"}),
        };
        self.store.add_image(&owner, &record, bytes, ROOMY).await.expect("a picture");
        let body = json!({
            "version": 1, "rater": "ann", "reward_version": "reward@ba9876543210",
            "candidates": [{"index": 0, "image_id": record.id, "reward": 0.75, "rank": 2, "propensity": 0.5}],
        });
        let event = NewEvent { kind: "candidates", created: now(), job: Some(job), owner, body };
        let ending = Ending {
            state: JobState::Completed,
            result: None,
            failure: None,
            last_sequence: 1,
            finished: now(),
            expires: now() + HOUR,
            event: Some(event),
        };
        self.store.finish_job(job, &ending).await.expect("it ends");
        record.id
    }

    pub(crate) async fn vote(&self, image: ImageId, rater: &str, rating: Rating) -> i64 {
        cast(&self.store, image, rater, rating).await
    }

    /// Three pictures, on which ann, bob and cid vote.
    pub(crate) async fn with_votes() -> (Self, Vec<ImageId>) {
        let shop = Self::open().await;
        let mut images = Vec::new();
        for number in 0..3 {
            let image = shop.draw(number).await;
            shop.vote(image, "ann", Rating::Up).await;
            if number > 0 {
                shop.vote(image, "bob", if number == 1 { Rating::Up } else { Rating::Down }).await;
            }
            images.push(image);
        }
        shop.vote(images[0], "cid", Rating::Down).await;
        shop.vote(images[0], "cid", Rating::Clear).await;
        (shop, images)
    }

    /// The command, in a process of its own while this one holds the lock.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        let output = Command::new(env!("CARGO_BIN_EXE_plaudit"))
            .arg("feedback")
            .args(arguments)
            .arg("--data")
            .arg(self.data.path())
            .output();
        output.expect("the command runs")
    }

    /// What the command says, when it succeeds.
    pub(crate) fn tell(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned() + &said
    }

    /// What it says when it does not.
    pub(crate) fn refusal(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(!output.status.success(), "{arguments:?} succeeded");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// All rows of the log, as text.
    pub(crate) async fn log(&self) -> Vec<String> {
        let events = self.store.events(0, 10_000).await.expect("events");
        events.iter().map(|event| format!("{} {} {} {}", event.sequence, event.kind, event.owner, event.body)).collect()
    }
}

pub(crate) async fn cast(store: &Store, image: ImageId, rater: &str, rating: Rating) -> i64 {
    let item = NewFeedback {
        image,
        owner: alice(),
        rater: rater.parse().expect("a name"),
        viewing: Viewing { surface: Some("page".into()), position: Some(1), dwell_ms: Some(900), reward_visible: None },
        act: Act::Vote { rating, reasons: vec!["count".into()], comment: Some("secret words".into()) },
        via: "key",
    };
    let cast = store.cast(Ballot { items: vec![item], once: None, quota: ROOMY }).await.expect("a vote");
    cast.receipts[0].sequence
}

pub(crate) fn rows(place: &Path) -> Vec<Entry> {
    let reader = Reader::open(place, &DatasetLimits::default()).expect("a dataset");
    reader.entries().collect::<Result<_, _>>().expect("rows")
}
