//! One text of each statement for SQLite and PostgreSQL: numbered placeholders (`$1`), integers of 64 bits, and nothing
//! that only one of them knows. The functions are called as sqlx's own are.
//!
//! Not sqlx's `Any`: it has no numbered placeholders for SQLite and takes the driver's types away. Not generic functions
//! over `sqlx::Database`: their bounds are longer than the statements.

use std::marker::PhantomData;

use sqlx::{
    Arguments, Encode, FromRow, PgPool, Postgres, SqlSafeStr, SqlStr, Sqlite, SqlitePool, Type,
    postgres::{PgArguments, PgConnection, PgRow},
    query::QueryAs,
    sqlite::{SqliteArguments, SqliteConnection, SqliteRow},
};

/// A value that takes the place of a placeholder. NULL has a type too: PostgreSQL asks for it.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Text(Option<String>),
    Integer(Option<i64>),
    Real(Option<f64>),
    Boolean(Option<bool>),
    Bytes(Option<Vec<u8>>),
}

macro_rules! values {
    ($($from:ty => $variant:ident),* $(,)?) => {$(
        impl From<$from> for Value {
            fn from(value: $from) -> Self {
                Self::$variant(Some(value.into()))
            }
        }

        impl From<Option<$from>> for Value {
            fn from(value: Option<$from>) -> Self {
                Self::$variant(value.map(Into::into))
            }
        }
    )*};
}

values! {
    &str => Text,
    String => Text,
    &String => Text,
    i64 => Integer,
    f64 => Real,
    bool => Boolean,
    Vec<u8> => Bytes,
    &[u8] => Bytes,
}

impl From<&Option<String>> for Value {
    fn from(value: &Option<String>) -> Self {
        Self::Text(value.clone())
    }
}

/// The values of a statement, for one of the databases.
fn arguments<A>(values: Vec<Value>) -> sqlx::Result<A>
where
    A: Arguments,
    for<'q> Option<String>: Encode<'q, A::Database> + Type<A::Database>,
    for<'q> Option<i64>: Encode<'q, A::Database> + Type<A::Database>,
    for<'q> Option<f64>: Encode<'q, A::Database> + Type<A::Database>,
    for<'q> Option<bool>: Encode<'q, A::Database> + Type<A::Database>,
    for<'q> Option<Vec<u8>>: Encode<'q, A::Database> + Type<A::Database>,
{
    let mut arguments = A::default();
    for value in values {
        match value {
            Value::Text(value) => arguments.add(value),
            Value::Integer(value) => arguments.add(value),
            Value::Real(value) => arguments.add(value),
            Value::Boolean(value) => arguments.add(value),
            Value::Bytes(value) => arguments.add(value),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

/// A row of either database.
pub(super) trait Row: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin {}

impl<R> Row for R where R: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin {}

/// What a statement runs on.
#[derive(Debug)]
pub(super) enum On<'c> {
    SqlitePool(&'c SqlitePool),
    Sqlite(&'c mut SqliteConnection),
    PostgresPool(&'c PgPool),
    Postgres(&'c mut PgConnection),
}

impl On<'_> {
    /// The same once more, for another statement.
    pub(super) fn again(&mut self) -> On<'_> {
        match self {
            Self::SqlitePool(pool) => On::SqlitePool(pool),
            Self::Sqlite(connection) => On::Sqlite(connection),
            Self::PostgresPool(pool) => On::PostgresPool(pool),
            Self::Postgres(connection) => On::Postgres(connection),
        }
    }
}

/// A statement whose rows are `R`.
#[derive(Debug)]
pub(super) struct Query<R> {
    sql: SqlStr,
    values: Vec<Value>,
    row: PhantomData<fn() -> R>,
}

/// A statement whose rows, if any, nobody looks at.
pub(super) fn query(sql: impl SqlSafeStr) -> Query<()> {
    query_as(sql)
}

/// A statement whose rows are `R`.
pub(super) fn query_as<R: Row>(sql: impl SqlSafeStr) -> Query<R> {
    Query { sql: sql.into_sql_str(), values: Vec::new(), row: PhantomData }
}

/// A statement whose rows are one value each.
pub(super) fn query_scalar<T>(sql: impl SqlSafeStr) -> Scalar<T>
where
    (T,): Row,
{
    Scalar(query_as(sql))
}

/// Runs a method of sqlx's query on whatever it is to run on.
macro_rules! run {
    ($query:expr, $on:expr, $method:ident) => {
        match $on.into() {
            On::SqlitePool(pool) => $query.sqlite()?.$method(pool).await,
            On::Sqlite(connection) => $query.sqlite()?.$method(connection).await,
            On::PostgresPool(pool) => $query.postgres()?.$method(pool).await,
            On::Postgres(connection) => $query.postgres()?.$method(connection).await,
        }
    };
}

impl<R: Row> Query<R> {
    /// The value of the next placeholder.
    pub(super) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    pub(super) async fn fetch_all<'c>(self, on: impl Into<On<'c>>) -> sqlx::Result<Vec<R>> {
        run!(self, on, fetch_all)
    }

    pub(super) async fn fetch_optional<'c>(self, on: impl Into<On<'c>>) -> sqlx::Result<Option<R>> {
        run!(self, on, fetch_optional)
    }

    pub(super) async fn fetch_one<'c>(self, on: impl Into<On<'c>>) -> sqlx::Result<R> {
        run!(self, on, fetch_one)
    }

    fn sqlite(self) -> sqlx::Result<QueryAs<'static, Sqlite, R, SqliteArguments>> {
        Ok(sqlx::query_as_with(self.sql, arguments(self.values)?))
    }

    fn postgres(self) -> sqlx::Result<QueryAs<'static, Postgres, R, PgArguments>> {
        Ok(sqlx::query_as_with(self.sql, arguments(self.values)?))
    }
}

impl Query<()> {
    /// How many rows it changed.
    pub(super) async fn execute<'c>(self, on: impl Into<On<'c>>) -> sqlx::Result<u64> {
        let Self { sql, values, .. } = self;
        Ok(match on.into() {
            On::SqlitePool(pool) => sqlx::query_with::<Sqlite, SqliteArguments>(sql, arguments(values)?)
                .execute(pool)
                .await?
                .rows_affected(),
            On::Sqlite(connection) => {
                let query = sqlx::query_with::<Sqlite, SqliteArguments>(sql, arguments(values)?);
                query.execute(connection).await?.rows_affected()
            }
            On::PostgresPool(pool) => {
                sqlx::query_with::<Postgres, PgArguments>(sql, arguments(values)?).execute(pool).await?.rows_affected()
            }
            On::Postgres(connection) => {
                let query = sqlx::query_with::<Postgres, PgArguments>(sql, arguments(values)?);
                query.execute(connection).await?.rows_affected()
            }
        })
    }
}

/// A statement whose rows are one value each.
#[derive(Debug)]
pub(super) struct Scalar<T>(Query<(T,)>);

impl<T> Scalar<T>
where
    (T,): Row,
{
    /// The value of the next placeholder.
    pub(super) fn bind(self, value: impl Into<Value>) -> Self {
        Self(self.0.bind(value))
    }

    pub(super) async fn fetch_all<'c>(self, on: impl Into<On<'c>>) -> sqlx::Result<Vec<T>> {
        Ok(self.0.fetch_all(on).await?.into_iter().map(|(value,)| value).collect())
    }

    pub(super) async fn fetch_optional<'c>(self, on: impl Into<On<'c>>) -> sqlx::Result<Option<T>> {
        Ok(self.0.fetch_optional(on).await?.map(|(value,)| value))
    }

    pub(super) async fn fetch_one<'c>(self, on: impl Into<On<'c>>) -> sqlx::Result<T> {
        Ok(self.0.fetch_one(on).await?.0)
    }
}
