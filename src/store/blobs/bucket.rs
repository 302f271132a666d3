//! Blobs in an S3 bucket, under the same names as in a folder. The keys, the region and the endpoint come from the
//! environment, by the names that Amazon's own tools use.

use std::{fmt, sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::{
    ObjectStore, ObjectStoreExt, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder},
    path::Path,
};

use super::{DIGITS, MARK, PREFIX};

/// How often a request is tried again: a moment's trouble passes, and somebody waits for the picture.
const RETRIES: usize = 4;
/// How long all tries of a request may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A bucket, and what its objects' names begin with.
#[derive(Debug, Clone)]
pub(in crate::store) struct Bucket {
    objects: Arc<AmazonS3>,
    prefix: Path,
    url: String,
}

impl Bucket {
    /// Of a URL such as `s3://bucket/prefix`. Nothing is asked of the server yet.
    pub(super) fn open(url: &str) -> anyhow::Result<Self> {
        let place = url.strip_prefix("s3://").unwrap_or_default();
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        ensure!(!bucket.is_empty(), "--store-blobs {url} is neither s3://BUCKET/PREFIX nor a directory");
        let retry = RetryConfig { max_retries: RETRIES, retry_timeout: PATIENCE, ..RetryConfig::default() };
        let objects = AmazonS3Builder::from_env().with_bucket_name(bucket).with_retry(retry).build();
        let objects = objects.with_context(|| format!("cannot use {url}; are the AWS_ variables right?"))?;
        let prefix = Path::parse(prefix.trim_matches('/')).with_context(|| format!("{url} is no place for objects"))?;
        Ok(Self { objects: Arc::new(objects), prefix, url: url.to_owned() })
    }

    /// Equal content replaces itself.
    pub(super) async fn put(&self, digest: &str, bytes: Bytes) -> anyhow::Result<()> {
        let put = self.objects.put(&self.path(digest), bytes.into()).await;
        put.map(drop).with_context(|| format!("cannot write to {self}"))
    }

    pub(super) async fn get(&self, digest: &str) -> anyhow::Result<Bytes> {
        self.read(&self.path(digest)).await.with_context(|| format!("cannot read {digest} of {self}"))
    }

    async fn read(&self, path: &Path) -> object_store::Result<Bytes> {
        self.objects.get(path).await?.bytes().await
    }

    pub(super) async fn remove(&self, digests: Vec<String>) -> anyhow::Result<()> {
        let paths: Vec<_> = digests.iter().map(|digest| Ok(self.path(digest))).collect();
        let mut removed = self.objects.delete_stream(stream::iter(paths).boxed());
        while let Some(removed) = removed.next().await {
            match removed {
                Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(error).with_context(|| format!("cannot remove from {self}")),
            }
        }
        Ok(())
    }

    pub(super) async fn prefixes(&self) -> anyhow::Result<Vec<String>> {
        let listed = self.objects.list_with_delimiter(Some(&self.prefix)).await;
        let listed = listed.with_context(|| format!("cannot list {self}"))?;
        let names = listed.common_prefixes.iter().filter_map(|path| path.filename().map(str::to_owned));
        Ok(names.filter(|name| name.len() == PREFIX).collect())
    }

    pub(super) async fn under(&self, prefix: &str) -> anyhow::Result<Vec<String>> {
        let listed = self.objects.list(Some(&self.prefix.clone().join(prefix)));
        let listed: Vec<_> = listed.try_collect().await.with_context(|| format!("cannot list {self}"))?;
        let digests = listed.iter().filter_map(|object| Some(format!("{prefix}{}", object.location.filename()?)));
        Ok(digests.filter(|digest| digest.len() == DIGITS).collect())
    }

    /// Whose the place is.
    pub(super) async fn mark(&self) -> anyhow::Result<Option<String>> {
        match self.read(&self.prefix.clone().join(MARK)).await {
            Ok(found) => Ok(Some(String::from_utf8_lossy(&found).into_owned())),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read from {self}; are the AWS_ variables right?")),
        }
    }

    pub(super) async fn set_mark(&self, owner: &str) -> anyhow::Result<()> {
        let put = self.objects.put(&self.prefix.clone().join(MARK), owner.to_owned().into()).await;
        put.map(drop).with_context(|| format!("cannot write to {self}"))
    }

    fn path(&self, digest: &str) -> Path {
        self.prefix.clone().join(&digest[..PREFIX]).join(&digest[PREFIX..])
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}
