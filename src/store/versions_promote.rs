//! Which version is champion: each change is one transaction over the alias and the log, and only for who knew what it was.

use sqlx::FromRow;

use super::{
    Store,
    database::Transaction,
    now, parsed,
    sql::{query, query_as, query_scalar},
    versions::ready,
};
use crate::{
    domain::{Kind, VersionId},
    registry::{Action, Alias, Aliases, Promotion, PromotionRecord, RegistryError},
};

#[derive(FromRow)]
struct PromotionRow {
    sequence: i64,
    kind: String,
    action: String,
    version: Option<String>,
    previous: Option<String>,
    actor: String,
    reason: String,
    created: i64,
}

impl TryFrom<PromotionRow> for PromotionRecord {
    type Error = anyhow::Error;

    fn try_from(row: PromotionRow) -> anyhow::Result<Self> {
        Ok(Self {
            sequence: row.sequence,
            kind: parsed(&row.kind)?,
            action: parsed(&row.action)?,
            version: row.version.as_deref().map(parsed).transpose()?,
            previous: row.previous.as_deref().map(parsed).transpose()?,
            actor: row.actor,
            reason: row.reason,
            created: row.created,
        })
    }
}

/// What an alias names, and the entry of the log that made it so.
struct Named {
    version: VersionId,
    sequence: i64,
}

/// An entry to be written.
struct Entry<'a> {
    kind: Kind,
    action: Action,
    version: Option<VersionId>,
    previous: Option<VersionId>,
    /// The entry that a rollback from this one goes back to.
    below: Option<i64>,
    actor: &'a str,
    reason: &'a str,
}

/// A rollback that is asked for.
pub(crate) struct Rollback<'a> {
    pub(crate) kind: Kind,
    /// An earlier champion; else the one before.
    pub(crate) to: Option<&'a VersionId>,
    pub(crate) expected: Option<&'a VersionId>,
    pub(crate) actor: &'a str,
    pub(crate) reason: &'a str,
}

impl Store {
    /// Which versions of a kind are champion and candidate, at one moment.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub(crate) async fn aliases(&self, kind: Kind) -> Result<Aliases, RegistryError> {
        let (champion, candidate, sequence): (Option<String>, Option<String>, i64) = query_as(
            "SELECT (SELECT version FROM aliases WHERE kind = $1 AND alias = 'champion'), \
             (SELECT version FROM aliases WHERE kind = $1 AND alias = 'candidate'), \
             (SELECT COALESCE(MAX(sequence), 0) FROM promotions WHERE kind = $1)",
        )
        .bind(kind.name())
        .fetch_one(&self.database().readers)
        .await?;
        let read = |version: Option<String>| version.as_deref().map(parsed).transpose();
        Ok(Aliases { champion: read(champion)?, candidate: read(candidate)?, sequence })
    }

    /// Makes a version champion, if the champion is the one that was expected.
    ///
    /// # Errors
    /// Another champion; a version that is unknown, retired or champion already; a database that cannot be written.
    pub(crate) async fn promote(&self, promotion: &Promotion) -> Result<PromotionRecord, RegistryError> {
        let Promotion { kind, version, expected, actor, reason } = promotion;
        let mut transaction = self.versions_alone().await?;
        let current = expect(&mut transaction, *kind, expected.as_ref()).await?;
        ready(&mut transaction, *kind, version).await?;
        refuse_champion(*kind, version, current.as_ref())?;
        let (previous, below) = (current.as_ref().map(|now| now.version.clone()), current.map(|now| now.sequence));
        let entry = Entry {
            kind: *kind,
            action: Action::Promote,
            version: Some(version.clone()),
            previous,
            below,
            actor,
            reason,
        };
        crown(transaction, entry).await
    }

    /// Makes an earlier champion champion again, if the champion is the one that was expected.
    ///
    /// # Errors
    /// Another champion; nothing to go back to; a version that never was champion or is retired; a database that cannot be
    /// written.
    pub(crate) async fn roll_back(&self, rollback: Rollback<'_>) -> Result<PromotionRecord, RegistryError> {
        let Rollback { kind, to, expected, actor, reason } = rollback;
        let mut transaction = self.versions_alone().await?;
        let current = expect(&mut transaction, kind, expected).await?;
        let current = current.ok_or(RegistryError::NoEarlier { kind })?;
        let (version, below) = match to {
            Some(version) => {
                refuse_champion(kind, version, Some(&current))?;
                ready(&mut transaction, kind, version).await?;
                (version.clone(), reign(&mut transaction, kind, version).await?)
            }
            None => before(&mut transaction, kind, current.sequence).await?,
        };
        let (action, previous) = (Action::Rollback, Some(current.version));
        let entry = Entry { kind, action, version: Some(version), previous, below, actor, reason };
        crown(transaction, entry).await
    }

    /// Makes a version candidate, or takes the candidate back.
    ///
    /// # Errors
    /// A version that is unknown, retired or champion; no candidate to take back; a database that cannot be written.
    pub(crate) async fn set_candidate(
        &self,
        kind: Kind,
        version: Option<&VersionId>,
        actor: &str,
        reason: &str,
    ) -> Result<PromotionRecord, RegistryError> {
        let mut transaction = self.versions_alone().await?;
        let previous = named(&mut transaction, kind, Alias::Candidate).await?.map(|now| now.version);
        let action = match version {
            Some(version) => {
                let champion = named(&mut transaction, kind, Alias::Champion).await?;
                ready(&mut transaction, kind, version).await?;
                refuse_champion(kind, version, champion.as_ref())?;
                Action::Candidate
            }
            None if previous.is_none() => return Err(RegistryError::NoCandidate { kind }),
            None => Action::Withdraw,
        };
        let entry = Entry { kind, action, version: version.cloned(), previous, below: None, actor, reason };
        let written = write(&mut transaction, entry).await?;
        match version {
            Some(version) => name(&mut transaction, kind, Alias::Candidate, version, written.sequence).await?,
            None => unname_candidate(&mut transaction, kind, None).await?,
        }
        transaction.commit().await?;
        Ok(written)
    }

    /// Writes down that nothing is to be promoted for now.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub(crate) async fn pause(&self, kind: Kind, actor: &str, reason: &str) -> Result<PromotionRecord, RegistryError> {
        let mut transaction = self.versions_alone().await?;
        let champion = named(&mut transaction, kind, Alias::Champion).await?.map(|now| now.version);
        let (version, previous) = (champion.clone(), champion);
        let entry = Entry { kind, action: Action::Pause, version, previous, below: None, actor, reason };
        let written = write(&mut transaction, entry).await?;
        transaction.commit().await?;
        Ok(written)
    }

    /// Entries of the log after a place in it, in their order, at most `limit`.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub(crate) async fn promotions(
        &self,
        kind: Option<Kind>,
        after: i64,
        limit: usize,
    ) -> Result<Vec<PromotionRecord>, RegistryError> {
        let rows: Vec<PromotionRow> = query_as(
            "SELECT sequence, kind, action, version, previous, actor, reason, created FROM promotions \
             WHERE sequence > $1 AND ($2 IS NULL OR kind = $2) ORDER BY sequence LIMIT $3",
        )
        .bind(after)
        .bind(kind.map(Kind::name))
        .bind(limit as i64)
        .fetch_all(&self.database().readers)
        .await?;
        Ok(rows.into_iter().map(PromotionRecord::try_from).collect::<Result<_, _>>()?)
    }
}

/// The champion, if it is the one that was expected.
async fn expect(
    transaction: &mut Transaction,
    kind: Kind,
    expected: Option<&VersionId>,
) -> Result<Option<Named>, RegistryError> {
    let current = named(transaction, kind, Alias::Champion).await?;
    let version = current.as_ref().map(|now| &now.version);
    if version == expected {
        return Ok(current);
    }
    Err(RegistryError::Conflict { kind, expected: expected.cloned(), current: version.cloned() })
}

fn refuse_champion(kind: Kind, version: &VersionId, current: Option<&Named>) -> Result<(), RegistryError> {
    if current.is_some_and(|now| now.version == *version) {
        return Err(RegistryError::IsChampion { kind, version: version.clone() });
    }
    Ok(())
}

async fn named(transaction: &mut Transaction, kind: Kind, alias: Alias) -> Result<Option<Named>, RegistryError> {
    let row: Option<(String, i64)> = query_as("SELECT version, sequence FROM aliases WHERE kind = $1 AND alias = $2")
        .bind(kind.name())
        .bind(alias.name())
        .fetch_optional(transaction)
        .await?;
    let read = |(version, sequence): (String, i64)| anyhow::Ok(Named { version: parsed(&version)?, sequence });
    Ok(row.map(read).transpose()?)
}

/// The champion below an entry that can still be served, and what is below that one. What is below came earlier: it ends.
async fn before(
    transaction: &mut Transaction,
    kind: Kind,
    mut sequence: i64,
) -> Result<(VersionId, Option<i64>), RegistryError> {
    let mut retired = None;
    loop {
        let row: Option<(String, i64, Option<i64>)> = query_as(
            "SELECT lower.version, lower.sequence, lower.below FROM promotions AS upper \
             JOIN promotions AS lower ON lower.sequence = upper.below WHERE upper.sequence = $1",
        )
        .bind(sequence)
        .fetch_optional(&mut *transaction)
        .await?;
        let Some((version, place, below)) = row else {
            return Err(retired.unwrap_or(RegistryError::NoEarlier { kind }));
        };
        let version: VersionId = parsed(&version)?;
        match ready(&mut *transaction, kind, &version).await {
            Ok(_) => return Ok((version, below)),
            Err(error @ RegistryError::Retired { .. }) => retired = retired.or(Some(error)),
            Err(error) => return Err(error),
        }
        sequence = place;
    }
}

/// What was below a version when it last became champion.
async fn reign(transaction: &mut Transaction, kind: Kind, version: &VersionId) -> Result<Option<i64>, RegistryError> {
    let below: Option<Option<i64>> = query_scalar(
        "SELECT below FROM promotions WHERE kind = $1 AND version = $2 AND action IN ('promote', 'rollback') \
         ORDER BY sequence DESC LIMIT 1",
    )
    .bind(kind.name())
    .bind(version.as_str())
    .fetch_optional(transaction)
    .await?;
    below.ok_or_else(|| RegistryError::NeverChampion { kind, version: version.clone() })
}

/// Writes the entry and makes its version champion; it is candidate no more.
async fn crown(mut transaction: Transaction, entry: Entry<'_>) -> Result<PromotionRecord, RegistryError> {
    let written = write(&mut transaction, entry).await?;
    if let Some(version) = &written.version {
        name(&mut transaction, written.kind, Alias::Champion, version, written.sequence).await?;
        unname_candidate(&mut transaction, written.kind, Some(version)).await?;
    }
    transaction.commit().await?;
    Ok(written)
}

async fn write(transaction: &mut Transaction, entry: Entry<'_>) -> Result<PromotionRecord, RegistryError> {
    let Entry { kind, action, version, previous, below, actor, reason } = entry;
    let created = now();
    let sequence: i64 = query_scalar(
        "INSERT INTO promotions (kind, action, version, previous, below, actor, reason, created) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING sequence",
    )
    .bind(kind.name())
    .bind(action.name())
    .bind(version.as_ref().map(VersionId::as_str))
    .bind(previous.as_ref().map(VersionId::as_str))
    .bind(below)
    .bind(actor)
    .bind(reason)
    .bind(created)
    .fetch_one(transaction)
    .await?;
    let (actor, reason) = (actor.to_owned(), reason.to_owned());
    Ok(PromotionRecord { sequence, kind, action, version, previous, actor, reason, created })
}

async fn name(
    transaction: &mut Transaction,
    kind: Kind,
    alias: Alias,
    version: &VersionId,
    sequence: i64,
) -> sqlx::Result<()> {
    query(
        "INSERT INTO aliases (kind, alias, version, sequence) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (kind, alias) DO UPDATE SET version = excluded.version, sequence = excluded.sequence",
    )
    .bind(kind.name())
    .bind(alias.name())
    .bind(version.as_str())
    .bind(sequence)
    .execute(transaction)
    .await
    .map(drop)
}

/// Takes the name of candidate away: from this version, or from whichever has it.
async fn unname_candidate(transaction: &mut Transaction, kind: Kind, version: Option<&VersionId>) -> sqlx::Result<()> {
    query("DELETE FROM aliases WHERE kind = $1 AND alias = 'candidate' AND ($2 IS NULL OR version = $2)")
        .bind(kind.name())
        .bind(version.map(VersionId::as_str))
        .execute(transaction)
        .await
        .map(drop)
}
