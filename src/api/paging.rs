//! Pages of lists.

use super::ApiError;

/// Entries of a page where nobody says.
const USUAL: usize = 20;
/// Entries of a page at most.
const MOST: usize = 100;

/// Entries of a page.
pub(super) fn limit(asked: Option<usize>) -> Result<usize, ApiError> {
    let limit = asked.unwrap_or(USUAL);
    let wrong = || ApiError::invalid("limit", format!("it must be from 1 to {MOST}"));
    (1..=MOST).contains(&limit).then_some(limit).ok_or_else(wrong)
}
