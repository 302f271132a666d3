//! Erasure: the one exception to a log that only grows. Events of who, or what, is erased lose their content in place and keep
//! their places; a tombstone tells which places, not whose.

use std::{collections::HashSet, ops::RangeInclusive};

use super::{
    ImportedVote, NewEvent, Store,
    blobs::hex,
    database::{Lock, Transaction},
    events, now,
    sql::{On, query, query_as, query_scalar},
};
use crate::domain::{ImageId, Owner};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

/// Events that are read at a time while those to be erased are looked for.
const PAGE: i64 = 1000;
/// Owner of events that nobody is to be known by.
const NOBODY: &str = "erased";

/// What is erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Erasure {
    /// All that a rater of this name did, under whatever owner.
    Rater(String),
    /// A picture, with all votes on it.
    Image(ImageId),
}

impl Erasure {
    fn name(&self) -> String {
        match self {
            Self::Rater(rater) => format!("rater\0{rater}"),
            Self::Image(image) => format!("image\0{image}"),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Rater(_) => "rater",
            Self::Image(_) => "image",
        }
    }

    /// What remains of an event's body; `None`: it has nothing to do with this.
    fn redacted(&self, kind: &str, body: &Value) -> Option<Redacted> {
        let told = |field: &str, name: &str| body[field] == name;
        let about = match self {
            Self::Rater(rater) => told("rater", rater),
            Self::Image(image) => told("image_id", &image.to_string()),
        };
        match (kind, about) {
            ("vote" | "impression" | "quarantine", true) => {
                let rest = json!({"version": body["version"], "feedback_id": body["feedback_id"], "erased": true});
                Some(Redacted { body: rest, whole: true, vote: kind == "vote" })
            }
            _ => self.without_names(body).map(|body| Redacted { body, whole: false, vote: false }),
        }
    }

    /// A body about others that names whom, or what, is erased, without the name.
    fn without_names(&self, body: &Value) -> Option<Value> {
        let mut rest = body.clone();
        match self {
            Self::Rater(rater) => {
                for place in ["/rater", "/picture/rater"] {
                    if let Some(value) = rest.pointer_mut(place).filter(|value| **value == rater.as_str()) {
                        *value = Value::Null;
                    }
                }
            }
            Self::Image(image) => {
                let image = image.to_string();
                let candidates = rest["candidates"].as_array_mut().into_iter().flatten();
                let named = candidates.filter(|candidate| candidate["image_id"] == image.as_str());
                named.for_each(|candidate| *candidate = json!({"index": candidate["index"], "erased": true}));
            }
        }
        (rest != *body).then_some(rest)
    }
}

struct Redacted {
    body: Value,
    /// Nothing of the content is left.
    whole: bool,
    vote: bool,
}

/// What an erasure did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tombstone {
    /// Its place in the log; `None`: there was nothing to erase.
    pub sequence: Option<i64>,
    /// Votes that stood.
    pub votes: u64,
    /// Events that lost their content.
    pub events: u64,
    /// Pictures that nothing keeps any more.
    pub images: u64,
    /// From the first to the last place in the log of votes that were erased: versions that were trained on a range which
    /// overlaps may have learned from them.
    pub range: Option<RangeInclusive<i64>>,
}

impl Store {
    /// Erases a rater or a picture; a server may be running. Exports from now on have none of it.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn erase(&self, what: &Erasure) -> anyhow::Result<Tombstone> {
        // The long look goes before the transaction: others write meanwhile.
        let mut found = Vec::new();
        let seen = look((&self.database().readers).into(), what, 0, &mut found).await?;
        let mut transaction = self.database().begin().await?;
        // From here to the end nobody adds an event that the look would miss.
        transaction.lock(Lock::Events).await?;
        look((&mut transaction).into(), what, seen, &mut found).await?;
        let votes = remove_votes(&mut transaction, what).await?;
        let (images, blobs) = remove_pictures(&mut transaction, what).await?;
        let range = redact(&mut transaction, &found).await?;
        let events = found.iter().filter(|(_, redacted)| redacted.whole).count() as u64;
        let mut tombstone = Tombstone { sequence: None, votes, events, images, range };
        if votes + events + images > 0 {
            let key = Erased::new(*self.feedback_secret(), HashSet::new());
            tombstone.sequence = Some(bury(&mut transaction, what, &key.digest(&what.name()), &tombstone).await?);
        }
        transaction.commit().await?;
        self.recount_voted().await?;
        let _alone = self.blobs_may_go().await;
        self.remove_unnamed(blobs).await?;
        Ok(tombstone)
    }
}

type Found = Vec<(i64, Redacted)>;

/// Looks through events after a place; the last one that was looked at.
async fn look(mut on: On<'_>, what: &Erasure, after: i64, found: &mut Found) -> anyhow::Result<i64> {
    let mut seen = after;
    loop {
        let page: Vec<(i64, String, String)> =
            query_as("SELECT sequence, kind, body FROM events WHERE sequence > $1 ORDER BY sequence LIMIT $2")
                .bind(seen)
                .bind(PAGE)
                .fetch_all(on.again())
                .await?;
        let Some((last, ..)) = page.last() else { return Ok(seen) };
        seen = *last;
        for (sequence, kind, body) in page {
            found.extend(what.redacted(&kind, &serde_json::from_str(&body)?).map(|redacted| (sequence, redacted)));
        }
    }
}

async fn redact(
    transaction: &mut Transaction,
    found: &[(i64, Redacted)],
) -> anyhow::Result<Option<RangeInclusive<i64>>> {
    for (sequence, redacted) in found {
        query("UPDATE events SET body = $1, owner = CASE WHEN $2 THEN $3 ELSE owner END WHERE sequence = $4")
            .bind(redacted.body.to_string())
            .bind(redacted.whole)
            .bind(NOBODY)
            .bind(*sequence)
            .execute(&mut *transaction)
            .await?;
    }
    let votes: Vec<i64> = found.iter().filter(|(_, redacted)| redacted.vote).map(|(sequence, _)| *sequence).collect();
    Ok(votes.iter().min().zip(votes.iter().max()).map(|(first, last)| *first..=*last))
}

async fn remove_votes(transaction: &mut Transaction, what: &Erasure) -> anyhow::Result<u64> {
    let (sql, name) = match what {
        Erasure::Rater(rater) => ("DELETE FROM votes WHERE rater = $1", rater.clone()),
        Erasure::Image(image) => ("DELETE FROM votes WHERE image = $1", image.to_string()),
    };
    let gone = query(sql).bind(&name).execute(&mut *transaction).await?;
    if matches!(what, Erasure::Rater(_)) {
        let named = [
            "DELETE FROM raters WHERE rater = $1",
            "UPDATE images SET rater = NULL WHERE rater = $1",
            "UPDATE feedback_images SET rater = NULL WHERE rater = $1",
        ];
        for sql in named {
            query(sql).bind(&name).execute(&mut *transaction).await?;
        }
    }
    Ok(gone)
}

/// Pictures that nobody's vote keeps, and their blobs. One that is erased by name is not given to anybody any more; its row
/// leaves with its job.
async fn remove_pictures(transaction: &mut Transaction, what: &Erasure) -> anyhow::Result<(u64, Vec<String>)> {
    let sql = match what {
        Erasure::Rater(_) => {
            "DELETE FROM feedback_images WHERE gold IS NULL \
             AND NOT EXISTS (SELECT 1 FROM votes WHERE votes.image = feedback_images.image) RETURNING blob"
        }
        Erasure::Image(_) => "DELETE FROM feedback_images WHERE image = $1 RETURNING blob",
    };
    let mut removed = query_scalar::<String>(sql);
    if let Erasure::Image(image) = what {
        removed = removed.bind(image.to_string());
    }
    let blobs = removed.fetch_all(&mut *transaction).await?;
    if let Erasure::Image(image) = what {
        query("UPDATE images SET expires = 0 WHERE id = $1").bind(image.to_string()).execute(&mut *transaction).await?;
    }
    Ok((blobs.len() as u64, blobs))
}

async fn bury(
    transaction: &mut Transaction,
    what: &Erasure,
    digest: &str,
    tombstone: &Tombstone,
) -> anyhow::Result<i64> {
    let Tombstone { votes, events, images, range, .. } = tombstone;
    let body = json!({
        "version": 1, "what": what.kind(), "digest": digest, "votes": votes, "events": events, "images": images,
        "from_sequence": range.as_ref().map(RangeInclusive::start), "to_sequence": range.as_ref().map(RangeInclusive::end),
    });
    let owner = Owner::from_stored(NOBODY.to_owned());
    let event = NewEvent { kind: "erasure", created: now(), job: None, owner, body };
    Ok(events::append(transaction, &event).await?)
}

/// Digests of what was erased, under this server's own key: they tell nobody a name, and know it when it comes back in a file.
pub(super) struct Erased {
    key: [u8; 32],
    digests: HashSet<String>,
}

impl Erased {
    pub(super) fn new(key: [u8; 32], digests: HashSet<String>) -> Self {
        Self { key, digests }
    }

    /// Whether the rater or the picture of a vote was erased.
    pub(super) fn has(&self, vote: &ImportedVote) -> bool {
        let names = [Erasure::Rater(vote.rater.to_string()), Erasure::Image(vote.image)];
        names.iter().any(|what| self.digests.contains(&self.digest(&what.name())))
    }

    /// HMAC-SHA-256 in hexadecimal digits.
    fn digest(&self, name: &str) -> String {
        let mut code = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        code.update(b"erasure\0");
        code.update(name.as_bytes());
        hex(&code.finalize().into_bytes())
    }
}
