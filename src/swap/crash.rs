//! Where a test ends the process in the middle of a swap.

/// The moments between two steps of a swap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// The version's files are what they should be, and compute what they should.
    Verified,
    /// What served is out of memory, the version is not in it yet: only where a promotion drains first.
    Drained,
    /// It is open and warm.
    Opened,
    /// The database names it champion, nobody was answered.
    Promoted,
    /// It draws, and nothing is written down of that.
    Flipped,
    /// It is written down as serving.
    Told,
}

/// Does nothing but in a debug build whose environment names the moment.
pub(crate) fn pass(_moment: Moment) {
    #[cfg(debug_assertions)]
    if std::env::var("PLAUDIT_TEST_CRASH").is_ok_and(|planned| planned == format!("{_moment:?}")) {
        std::process::abort();
    }
}
