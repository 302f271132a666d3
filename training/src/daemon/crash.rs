//! Where a test ends the process.

/// The moments between a step of a round and the line that says that it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CrashPoint {
    /// The round is written down, nothing is done.
    Begun,
    /// The dataset is at its place.
    Exported,
    /// The reward is trained.
    Rewarded,
    /// Its gate has decided.
    RewardJudged,
    /// It is published.
    RewardPublished,
    /// It is champion.
    RewardPromoted,
    /// The generator is tuned.
    Tuned,
    /// Its gate has decided.
    GeneratorJudged,
    /// It is published.
    Published,
    /// It is on trial, or champion.
    Released,
}

impl CrashPoint {
    /// In the order of a round.
    #[cfg(test)]
    pub(super) const ALL: [Self; 10] = [
        Self::Begun,
        Self::Exported,
        Self::Rewarded,
        Self::RewardJudged,
        Self::RewardPublished,
        Self::RewardPromoted,
        Self::Tuned,
        Self::GeneratorJudged,
        Self::Published,
        Self::Released,
    ];
}

/// What a test sets to the name of a point.
#[cfg(test)]
pub(super) const VARIABLE: &str = "PLAUDIT_TEST_ROUND_CRASH";

/// Does nothing outside of tests.
pub(super) fn pass(_point: CrashPoint) {
    #[cfg(test)]
    if std::env::var(VARIABLE).is_ok_and(|planned| planned == format!("{_point:?}")) {
        std::process::abort();
    }
}
