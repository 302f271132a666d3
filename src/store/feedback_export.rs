//! Votes as rows of datasets, from one snapshot of the database.

use bytes::Bytes;
use serde_json::Value;

use super::{
    Store, blobs,
    sql::{query_as, query_scalar},
};
use crate::feedback::{
    dataset::{Rating, Row},
    weights,
};

/// Which votes are exported.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExportScope {
    /// Only votes after this place in the log.
    pub after: i64,
    /// Only this rater's, under whatever owner.
    pub rater: Option<String>,
}

/// Votes as they stood at one moment, in the order of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportedVotes {
    /// The votes; those taken back are not among them.
    pub votes: Vec<ExportedVote>,
    /// The last place in the log at that moment.
    pub to_sequence: i64,
}

/// A vote to be exported.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportedVote {
    /// The row; the picture's place is not in it.
    pub row: Row,
    /// The blob of the picture; `None` where it is not kept.
    pub blob: Option<String>,
}

#[derive(sqlx::FromRow)]
struct VoteRow {
    image: String,
    owner: String,
    rater: String,
    rating: String,
    feedback: String,
    sequence: i64,
    updated: i64,
    quarantined: bool,
    kept: bool,
    blob: String,
    seed: i64,
    model_version: String,
    parameters: String,
    body: String,
    candidates: Option<String>,
}

/// Parameters: the place after which, the rater or null.
const CHOSEN: &str = "votes.rating <> 'clear' AND votes.sequence > $1 AND ($2 IS NULL OR votes.rater = $2)";

impl Store {
    /// Votes for a dataset. `most`: the share of all weight that one rater of the export may have.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn votes_to_export(&self, scope: &ExportScope, most: f64) -> anyhow::Result<ExportedVotes> {
        // One transaction sees one state, whatever a server writes meanwhile.
        let mut snapshot = self.database().snapshot().await?;
        let to_sequence: i64 =
            query_scalar("SELECT COALESCE(MAX(sequence), 0) FROM events").fetch_one(&mut snapshot).await?;
        let sql = format!(
            "SELECT votes.image, votes.owner, votes.rater, votes.rating, votes.feedback, votes.sequence, votes.updated, \
             votes.quarantined, f.kept, f.blob, f.seed, f.model_version, f.parameters, events.body, \
             (SELECT c.body FROM events c WHERE c.job = f.job AND c.kind = 'candidates' \
             ORDER BY c.sequence DESC LIMIT 1) AS candidates \
             FROM votes JOIN feedback_images f ON f.image = votes.image JOIN events ON events.sequence = votes.sequence \
             WHERE {CHOSEN} ORDER BY votes.sequence"
        );
        let rows: Vec<VoteRow> = query_as(sqlx::AssertSqlSafe(sql))
            .bind(scope.after)
            .bind(scope.rater.as_deref())
            .fetch_all(&mut snapshot)
            .await?;
        let mut votes = rows.into_iter().map(exported).collect::<anyhow::Result<Vec<_>>>()?;
        weigh(&mut votes, most);
        Ok(ExportedVotes { votes, to_sequence })
    }

    /// The bytes of a picture to be exported; `None` where it was removed meanwhile.
    ///
    /// # Errors
    /// If the blob is damaged or cannot be read.
    pub async fn exported_picture(&self, blob: &str) -> anyhow::Result<Option<Bytes>> {
        let _kept = self.blobs_stay().await;
        match self.blobs().get(blob).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if blobs::is_missing(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Weights of votes such that no rater has more than a share of the sum; those in quarantine weigh nothing.
fn weigh(votes: &mut [ExportedVote], most: f64) {
    let mut raters = std::collections::HashMap::new();
    let mut counts = Vec::new();
    let places: Vec<Option<usize>> = votes
        .iter()
        .map(|vote| {
            let trusted = vote.row.quarantined != Some(true);
            trusted.then(|| {
                let place = *raters.entry((vote.row.owner.clone(), vote.row.rater.clone())).or_insert(counts.len());
                if place == counts.len() {
                    counts.push(0);
                }
                counts[place] += 1;
                place
            })
        })
        .collect();
    let weights = weights(&counts, most);
    for (vote, place) in votes.iter_mut().zip(places) {
        vote.row.weight = Some(place.map_or(0.0, |place| weights[place]));
    }
}

fn exported(vote: VoteRow) -> anyhow::Result<ExportedVote> {
    let body: Value = serde_json::from_str(&vote.body)?;
    let parameters: Value = serde_json::from_str(&vote.parameters)?;
    let context = &body["context"];
    let candidates: Value = vote.candidates.as_deref().map(serde_json::from_str).transpose()?.unwrap_or_default();
    let among = candidates["candidates"].as_array().into_iter().flatten();
    let drawn = among.into_iter().find(|candidate| candidate["image_id"] == vote.image.as_str());
    // An imported vote brings what its own log knew.
    let (candidate, scored_by) = drawn.map_or((&body["candidate"], &body["candidate"]), |drawn| (drawn, &candidates));
    let labels = &body["labels"];
    let row = Row {
        image_id: vote.image,
        rater: vote.rater,
        rating: Some(vote.rating.parse::<Rating>().map_err(anyhow::Error::msg)?),
        prompt: text(&parameters["prompt"]).unwrap_or_default(),
        model_version: vote.model_version,
        reward_version: text(&candidate["reward_version"]).or_else(|| text(&scored_by["reward_version"])),
        seed: vote.seed.try_into()?,
        created: vote.updated,
        sequence: vote.sequence,
        image_sha256: Some(vote.blob.clone()),
        feedback_id: Some(vote.feedback),
        owner: Some(vote.owner),
        negative_prompt: text(&parameters["negative_prompt"]),
        split: text(&labels["split"]),
        category: text(&labels["category"]),
        truth: labels["truth"].as_bool(),
        quarantined: Some(vote.quarantined),
        reward: share(&candidate["reward"]),
        rank: small(&candidate["rank"]),
        propensity: share(&candidate["propensity"]),
        position: small(&context["position"]),
        surface: text(&context["surface"]),
        dwell_ms: context["dwell_ms"].as_i64(),
        reward_visible: context["reward_visible"].as_bool(),
        reasons: body["reasons"].as_array().into_iter().flatten().filter_map(text).collect(),
        origin: text(&body["origin"]["name"]),
        ..Row::default()
    };
    Ok(ExportedVote { row, blob: vote.kept.then_some(vote.blob) })
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn small(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|number| number.try_into().ok())
}

fn share(value: &Value) -> Option<f64> {
    value.as_f64().filter(|share| (0.0..=1.0).contains(share))
}
