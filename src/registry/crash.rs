//! Where a test ends the process.

/// The moments between two steps on the disk or in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CrashPoint {
    /// A publication has left its mark.
    Marked,
    /// One file is in the staging folder, others are not.
    OneFile,
    /// All files are in the staging folder but the manifest.
    Copied,
    /// One new component is at its place, others are not.
    OneComponent,
    /// All components are at their places.
    Components,
    /// The manifest is in the staging folder.
    Manifest,
    /// The version's folder is at its place.
    Placed,
    /// The row is committed.
    Row,
    /// Versions are retired, their folders are there.
    Retired,
    /// A folder is moved away.
    MovedAway,
    /// All folders are gone, their components are there.
    FoldersGone,
}

impl CrashPoint {
    /// Those on the way of a publication.
    #[cfg(test)]
    pub(super) const PUBLISHING: [Self; 8] = [
        Self::Marked,
        Self::OneFile,
        Self::Copied,
        Self::OneComponent,
        Self::Components,
        Self::Manifest,
        Self::Placed,
        Self::Row,
    ];
    /// Those on the way of a collection.
    #[cfg(test)]
    pub(super) const COLLECTING: [Self; 3] = [Self::Retired, Self::MovedAway, Self::FoldersGone];
}

/// What a test sets to the name of a point.
#[cfg(test)]
pub(super) const VARIABLE: &str = "PLAUDIT_TEST_CRASH";

/// Does nothing outside of tests.
pub(super) fn pass(_point: CrashPoint) {
    #[cfg(test)]
    if std::env::var(VARIABLE).is_ok_and(|planned| planned == format!("{_point:?}")) {
        std::process::abort();
    }
}
