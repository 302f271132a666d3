//! Votes in figures.

use serde::Serialize;

use super::{Store, database::Transaction, sql::query_as};

/// Seconds of a day.
const DAY: i64 = 86_400;

/// Thumbs of a group of votes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Thumbs {
    /// What the group has in common.
    pub name: String,
    /// Thumbs up.
    pub up: i64,
    /// Thumbs down.
    pub down: i64,
    /// Of both, those in quarantine.
    pub quarantined: i64,
}

/// All votes as they stand, those taken back left out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VoteStats {
    /// Votes.
    pub votes: i64,
    /// Of those, thumbs up.
    pub up: i64,
    /// Thumbs down.
    pub down: i64,
    /// Of both, those in quarantine.
    pub quarantined: i64,
    /// Votes that were taken back.
    pub taken_back: i64,
    /// Raters; those of one name under two owners are two.
    pub raters: i64,
    /// Pictures with votes.
    pub images: i64,
    /// Pairs of raters who voted on the same picture.
    pub pairs: i64,
    /// Share of those pairs that agree; `None` where there are none.
    pub agreement: Option<f64>,
    /// The last place in the event log.
    pub to_sequence: i64,
    /// By what drew the pictures.
    pub model_versions: Vec<Thumbs>,
    /// By rater, who has most first.
    pub by_rater: Vec<Thumbs>,
    /// By day (UTC), as `2026-01-31`.
    pub by_day: Vec<Thumbs>,
}

type Group = (String, i64, i64, i64);

const COUNTS: &str = "CAST(SUM(CASE WHEN votes.rating = 'up' THEN 1 ELSE 0 END) AS BIGINT), \
     CAST(SUM(CASE WHEN votes.rating = 'down' THEN 1 ELSE 0 END) AS BIGINT), \
     CAST(SUM(CASE WHEN votes.quarantined THEN 1 ELSE 0 END) AS BIGINT)";
const STANDING: &str = "FROM votes JOIN feedback_images f ON f.image = votes.image WHERE votes.rating <> 'clear'";

impl Store {
    /// Counts votes.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn vote_stats(&self) -> anyhow::Result<VoteStats> {
        let mut snapshot = self.database().snapshot().await?;
        let model_versions = groups(&mut snapshot, "f.model_version", "1").await?;
        let by_rater = groups(&mut snapshot, "votes.owner || ' ' || votes.rater", "COUNT(*) DESC, 1").await?;
        let mut by_day = groups(&mut snapshot, &format!("CAST(votes.updated / {DAY} AS TEXT)"), "1").await?;
        by_day.iter_mut().for_each(|day| day.name = date(&day.name));
        let (agreeing, pairs): (i64, i64) = query_as(
            "SELECT CAST(COALESCE(SUM((up * (up - 1) + down * (down - 1)) / 2), 0) AS BIGINT), \
             CAST(COALESCE(SUM((up + down) * (up + down - 1) / 2), 0) AS BIGINT) \
             FROM (SELECT SUM(CASE WHEN rating = 'up' THEN 1 ELSE 0 END) AS up, \
             SUM(CASE WHEN rating = 'down' THEN 1 ELSE 0 END) AS down FROM votes WHERE rating <> 'clear' \
             GROUP BY image) AS pictures",
        )
        .fetch_one(&mut snapshot)
        .await?;
        let (taken_back, images, to_sequence): (i64, i64, i64) = query_as(
            "SELECT (SELECT COUNT(*) FROM votes WHERE rating = 'clear'), \
             (SELECT COUNT(DISTINCT image) FROM votes WHERE rating <> 'clear'), \
             (SELECT COALESCE(MAX(sequence), 0) FROM events)",
        )
        .fetch_one(&mut snapshot)
        .await?;
        let sum = |of: fn(&Thumbs) -> i64| model_versions.iter().map(of).sum::<i64>();
        let (up, down, quarantined) = (sum(|all| all.up), sum(|all| all.down), sum(|all| all.quarantined));
        Ok(VoteStats {
            votes: up + down,
            up,
            down,
            quarantined,
            taken_back,
            raters: by_rater.len() as i64,
            images,
            pairs,
            agreement: (pairs > 0).then(|| agreeing as f64 / pairs as f64),
            to_sequence,
            model_versions,
            by_rater,
            by_day,
        })
    }
}

async fn groups(snapshot: &mut Transaction, by: &str, order: &str) -> anyhow::Result<Vec<Thumbs>> {
    let sql = format!("SELECT {by}, {COUNTS} {STANDING} GROUP BY 1 ORDER BY {order}");
    let rows: Vec<Group> = query_as(sqlx::AssertSqlSafe(sql)).fetch_all(snapshot).await?;
    Ok(rows.into_iter().map(|(name, up, down, quarantined)| Thumbs { name, up, down, quarantined }).collect())
}

/// The date of a day since 1970.
fn date(days: &str) -> String {
    let second = days.parse::<i64>().ok().map(|days| days * DAY);
    let day = second.and_then(|second| jiff::Timestamp::from_second(second).ok());
    day.map_or_else(|| "?".to_owned(), |day| day.strftime("%Y-%m-%d").to_string())
}
