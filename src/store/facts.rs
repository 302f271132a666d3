//! What all servers of a database must agree on: the first one's word holds.

use super::{
    blobs::Blobs,
    database::Database,
    secrets,
    sql::{query, query_scalar},
};

/// The value of a name: the one that is known, else this one from now on.
pub(super) async fn agreed(database: &Database, name: &str, proposal: &[u8]) -> sqlx::Result<Vec<u8>> {
    if let Some(known) = known(database, name).await? {
        return Ok(known);
    }
    query("INSERT INTO facts (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING")
        .bind(name)
        .bind(proposal)
        .execute(&database.writer)
        .await?;
    query_scalar("SELECT value FROM facts WHERE name = $1").bind(name).fetch_one(&database.writer).await
}

async fn known(database: &Database, name: &str) -> sqlx::Result<Option<Vec<u8>>> {
    query_scalar("SELECT value FROM facts WHERE name = $1").bind(name).fetch_optional(&database.readers).await
}

/// Makes a place of blobs this database's own; see [`Blobs::claim`].
pub(super) async fn claim(database: &Database, blobs: &Blobs) -> anyhow::Result<()> {
    /// The database's own name, and that it has a place.
    const NAMES: (&str, &str) = ("database", "has place");
    let (name, has_place) = NAMES;
    let own = agreed(database, name, secrets::random_name()?.as_bytes()).await?;
    let claimed = known(database, has_place).await?.is_some();
    blobs.claim(&String::from_utf8_lossy(&own), claimed).await?;
    agreed(database, has_place, b"yes").await?;
    Ok(())
}
