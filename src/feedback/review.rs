//! The review of raters, now and then.

use super::{FeedbackSettings, judge};
use crate::store::Store;

/// Raters of one query.
const PAGE: usize = 256;

/// Judges every rater who voted after a place in the log by their latest votes; the place up to which it has looked. A
/// rater whose votes were fine stays out of quarantine until it votes again, whatever others say meanwhile.
///
/// # Errors
/// If the store cannot be read or written.
pub async fn review(store: &Store, settings: &FeedbackSettings, after: i64) -> anyhow::Result<i64> {
    let mut seen = after;
    loop {
        let raters = store.raters_after(seen, PAGE).await?;
        let Some((.., last)) = raters.last() else { return Ok(seen) };
        seen = *last;
        for (owner, rater, _) in &raters {
            let reason = judge(&store.looks(owner, rater).await?, settings);
            if store.set_quarantine(owner, rater, reason).await? {
                // The rater's name is in the event log; here it has no business.
                tracing::info!(?reason, "a rater went into quarantine, or came out of it");
            }
        }
    }
}
