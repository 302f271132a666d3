//! Who served what, and when: so that it can be told of any time.
//!
//! Rows are only ever added. A server's row `began` holds until its next row of the same kind and role: another `began`, `ended`
//! where it stopped in good order, or `lost`, which others write once it is gone. Times never go backwards for a server.

use std::collections::HashMap;

use sqlx::FromRow;

use super::{
    Store,
    database::Transaction,
    parsed,
    sql::{query, query_as, query_scalar},
    versions,
};
use crate::{
    domain::{Kind, VersionId},
    registry::{Alias, RegistryError, Serving, VersionState},
};

/// What a row says.
const BEGAN: &str = "began";
const ENDED: &str = "ended";
const LOST: &str = "lost";

/// A row, and what came after it.
#[derive(FromRow)]
struct ServingRow {
    server: String,
    kind: String,
    role: String,
    version: String,
    since: i64,
    until: Option<i64>,
    how: Option<String>,
}

/// A server's serving that has not ended.
#[derive(FromRow)]
struct Open {
    server: String,
    kind: String,
    role: String,
    version: String,
}

impl Store {
    /// Writes down that this server serves a version from now on, and no other of this kind and role; to say it again changes
    /// nothing. `at` is a time in the place of the database's.
    ///
    /// # Errors
    /// A version that is retired; a database that cannot be written.
    pub(crate) async fn began_serving(
        &self,
        kind: Kind,
        role: Alias,
        version: &VersionId,
        at: Option<i64>,
    ) -> Result<(), RegistryError> {
        if self.serves(kind, role).await?.as_ref() == Some(version) {
            return Ok(());
        }
        self.renew_lease().await?;
        let mut transaction = self.versions_alone().await?;
        // One that was never published, such as the bundled pack, may be served too.
        let known = versions::find(&mut transaction, kind, version).await?;
        if known.is_some_and(|known| known.state == VersionState::Retired) {
            return Err(RegistryError::Retired { kind, version: version.clone() });
        }
        self.end_lost_servings(&mut transaction).await?;
        let open = Open {
            server: self.server().to_owned(),
            kind: kind.name().to_owned(),
            role: role.name().to_owned(),
            version: version.to_string(),
        };
        add(&mut transaction, &open, BEGAN, at).await?;
        Ok(transaction.commit().await?)
    }

    /// Writes down that this server serves nothing of this kind and role any more.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub(crate) async fn ended_serving(&self, kind: Kind, role: Alias, at: Option<i64>) -> Result<(), RegistryError> {
        let own = self.open_servings().await?;
        for open in own.into_iter().filter(|open| open.kind == kind.name() && open.role == role.name()) {
            let mut transaction = self.versions_alone().await?;
            add(&mut transaction, &open, ENDED, at).await?;
            transaction.commit().await?;
        }
        Ok(())
    }

    /// Writes down that this server serves nothing any more.
    pub(super) async fn end_servings(&self) -> sqlx::Result<()> {
        let own = self.open_servings().await?;
        if own.is_empty() {
            return Ok(());
        }
        let mut transaction = self.versions_alone().await?;
        for open in own {
            add(&mut transaction, &open, ENDED, None).await?;
        }
        transaction.commit().await
    }

    /// Writes down that servers which are gone serve nothing any more. One that holds the lock of a directory is alone with its
    /// SQLite file; servers that share a database have leases.
    pub(super) async fn end_lost_servings(&self, transaction: &mut Transaction) -> sqlx::Result<()> {
        if self.is_alone() && self.inner._lock.is_none() {
            return Ok(());
        }
        let now = transaction.now().await?;
        let gone: Vec<Open> = query_as(
            "SELECT s.server, s.kind, s.role, s.version FROM servings AS s WHERE s.action = 'began' AND s.server <> $1 \
             AND NOT EXISTS (SELECT 1 FROM servers WHERE servers.id = s.server AND servers.expires > $2) \
             AND NOT EXISTS (SELECT 1 FROM servings AS e WHERE e.server = s.server AND e.kind = s.kind AND e.role = s.role \
             AND e.sequence > s.sequence)"
        )
        .bind(self.server())
        .bind(now)
        .fetch_all(&mut *transaction)
        .await?;
        for open in gone {
            add(transaction, &open, LOST, None).await?;
        }
        Ok(())
    }

    /// What was served in a second of Unix time, by server, kind and role. A version that ended or began in that second was served in it.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub(crate) async fn served_at(&self, time: i64) -> Result<Vec<Serving>, RegistryError> {
        let rows: Vec<ServingRow> = query_as(
            "SELECT s.server, s.kind, s.role, s.version, s.moment AS since, e.moment AS until, e.action AS how \
             FROM servings AS s LEFT JOIN servings AS e ON e.sequence = (SELECT MIN(n.sequence) FROM servings AS n \
             WHERE n.server = s.server AND n.kind = s.kind AND n.role = s.role AND n.sequence > s.sequence) \
             WHERE s.action = 'began' AND s.moment <= $1 AND (e.moment IS NULL OR e.moment >= $1) \
             ORDER BY s.kind, s.role, s.sequence",
        )
        .bind(time)
        .fetch_all(&self.database().readers)
        .await?;
        let mut known = HashMap::new();
        let mut servings = Vec::new();
        for row in rows {
            let (kind, version): (Kind, VersionId) = (parsed(&row.kind)?, parsed(&row.version)?);
            let of = (kind, version.clone());
            if !known.contains_key(&of) {
                let found = versions::find(&self.database().readers, kind, &version).await?;
                known.insert(of.clone(), found.map(|record| record.lineage));
            }
            servings.push(Serving {
                kind,
                role: parsed(&row.role)?,
                version,
                server: row.server,
                since: row.since,
                until: row.until,
                lost: row.how.as_deref() == Some(LOST),
                lineage: known[&of].clone(),
            });
        }
        Ok(servings)
    }

    /// What this server serves.
    async fn serves(&self, kind: Kind, role: Alias) -> Result<Option<VersionId>, RegistryError> {
        let row: Option<(String, String)> = query_as(
            "SELECT version, action FROM servings WHERE server = $1 AND kind = $2 AND role = $3 ORDER BY sequence DESC LIMIT 1",
        )
        .bind(self.server())
        .bind(kind.name())
        .bind(role.name())
        .fetch_optional(&self.database().readers)
        .await?;
        let open = row.filter(|(_, action)| action == BEGAN);
        Ok(open.map(|(version, _)| parsed(&version)).transpose()?)
    }

    /// What this server serves, all of it.
    async fn open_servings(&self) -> sqlx::Result<Vec<Open>> {
        query_as(
            "SELECT s.server, s.kind, s.role, s.version FROM servings AS s WHERE s.action = 'began' AND s.server = $1 \
             AND NOT EXISTS (SELECT 1 FROM servings AS e WHERE e.server = s.server AND e.kind = s.kind AND e.role = s.role \
             AND e.sequence > s.sequence)",
        )
        .bind(self.server())
        .fetch_all(&self.database().readers)
        .await
    }
}

/// A row of a server, now or at a time; not before its row before.
async fn add(transaction: &mut Transaction, of: &Open, action: &'static str, at: Option<i64>) -> sqlx::Result<()> {
    let now = match at {
        Some(time) => time,
        None => transaction.now().await?,
    };
    let last: Option<i64> =
        query_scalar("SELECT MAX(moment) FROM servings WHERE server = $1 AND kind = $2 AND role = $3")
            .bind(&of.server)
            .bind(&of.kind)
            .bind(&of.role)
            .fetch_one(&mut *transaction)
            .await?;
    query("INSERT INTO servings (server, kind, role, version, action, moment) VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(&of.server)
        .bind(&of.kind)
        .bind(&of.role)
        .bind(&of.version)
        .bind(action)
        .bind(last.map_or(now, |last| last.max(now)))
        .execute(transaction)
        .await
        .map(drop)
}
