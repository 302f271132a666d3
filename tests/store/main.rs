//! The store on a real disk, on a PostgreSQL server and on an S3 server: what survives, what nobody else sees, what leaves.
#![allow(missing_docs)]

mod cases;
mod local;
mod rounds;
#[path = "../common/servers.rs"]
mod servers;
mod shared;
mod trials;
mod versions;

use std::{
    fs,
    future::Future,
    path::{Path, PathBuf},
    pin::Pin,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::Result;
use bytes::Bytes;
use plaudit::{
    domain::{ImageId, JobId, KeyId, Owner, Rater, Rating, Role, Viewing},
    feedback::Reason,
    jobs::{ImageFormat, JobState},
    store::{
        Act, Ballot, Ending, Found, Full, ImageRecord, KeyTaken, NewEvent, NewFeedback, NewJob, Once, Store,
        StoreSettings, Swept, VoteFilter, is_full,
    },
};
use serde_json::json;

/// No test fills it.
const ROOMY: u64 = 1 << 40;
const HOUR: i64 = 3600;

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs() as i64
}

fn alice() -> Owner {
    Owner::session("alice")
}

fn mallory() -> Owner {
    Owner::session("mallory")
}

fn new_job(owner: &Owner) -> NewJob {
    let request = json!({"prompt": "two blue stars"});
    NewJob {
        id: JobId::new(),
        owner: owner.clone(),
        keep: true,
        request,
        start: None,
        idempotency: None,
        created: now(),
    }
}

fn image(job: JobId, bytes: &Bytes) -> ImageRecord {
    ImageRecord {
        id: ImageId::new(),
        job,
        index: 0,
        created: now(),
        expires: now() + HOUR,
        format: ImageFormat::Png,
        bytes: bytes.len() as u64,
        width: 64,
        height: 48,
        seed: u32::MAX,
        model_version: "tiny@0123".into(),
        chosen_by: None,
        rater: Some("r1".into()),
        parameters: json!({"prompt": "two blue stars", "guidance_scale": 5.1}),
    }
}

fn ending(finished: i64, expires: i64) -> Ending {
    let event = NewEvent {
        kind: "candidates",
        created: finished,
        job: None,
        owner: alice(),
        body: json!({"version": 1, "candidates": []}),
    };
    Ending {
        state: JobState::Completed,
        result: Some(json!({"images": []})),
        failure: None,
        last_sequence: 9,
        finished,
        expires,
        event: Some(event),
    }
}

/// A finished job with one picture.
async fn drawn(store: &Store, content: &Bytes, finished: i64, expires: i64) -> Result<(JobId, ImageId)> {
    let job = new_job(&alice());
    let id = job.id;
    store.insert_job(job, ROOMY).await?;
    let picture = image(id, content);
    store.add_image(&alice(), &picture, content.clone(), ROOMY).await?;
    store.finish_job(id, &ending(finished, expires)).await?;
    Ok((id, picture.id))
}

pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn blobs(data: &Path) -> usize {
    files(&data.join("blobs")).len()
}

/// A directory, and whatever else a store needs.
struct Place {
    data: tempfile::TempDir,
    settings: StoreSettings,
}

impl Place {
    fn local() -> Result<Self> {
        Ok(Self { data: tempfile::tempdir()?, settings: StoreSettings::default() })
    }

    /// Opens it; after a store was dropped, as soon as its last task has let go of the directory.
    async fn open(&self) -> Result<Store> {
        const PATIENCE: Duration = Duration::from_secs(30);
        let began = Instant::now();
        loop {
            match Store::open_with(self.data.path(), &self.settings).await {
                Err(error) if began.elapsed() < PATIENCE && error.to_string().contains("is in use") => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                opened => return opened,
            }
        }
    }

    /// How many blobs there are.
    async fn blobs(&self) -> Result<usize> {
        match &self.settings.blobs {
            None => Ok(blobs(self.data.path())),
            Some(url) => shared::objects(url).await,
        }
    }
}

type Case = fn(Place) -> Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// Each is a test on a directory, and one of those that [`shared`] runs on servers.
macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        $(#[tokio::test]
        async fn $name() -> Result<()> {
            cases::$name(Place::local()?).await
        })*

        const CASES: &[(&str, Case)] = &[$((stringify!($name), |place| Box::pin(cases::$name(place)))),*];
    };
}

cases! {
    everything_survives_a_restart,
    keys_open_until_they_are_revoked,
    what_has_expired_or_is_somebody_elses_cannot_be_seen,
    lists_go_from_the_newest_page_by_page,
    equal_pictures_share_a_file_until_the_last_one_leaves,
    a_sweep_leaves_a_tombstone_and_the_log,
    the_oldest_finished_jobs_make_room_and_unfinished_ones_stay,
    an_idempotency_key_is_the_owners_own_and_a_failed_job_lets_go_of_it,
    events_are_read_on_from_where_a_reader_was,
    an_upload_under_a_used_key_says_so,
    a_job_of_the_start_before_is_taken_over_once,
    votes_count_once_and_keep_their_pictures,
    promotions_are_a_serial_order,
    one_process_holds_the_lease_of_training,
    rounds_follow_each_other_and_strangers_write_nothing,
    a_trial_counts_the_thumbs_on_what_its_kind_made,
}
