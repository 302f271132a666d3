//! Rows as Parquet, with pictures in the column `image` {bytes, path} as `datasets` has them.

mod read;
mod write;

pub(super) use read::Rows;
pub(super) use write::Shards;
