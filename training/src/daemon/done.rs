//! What came of a look at the votes.

use std::fmt;

use super::Refusal;

/// What came of it, and what `--once` exits with.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum Done {
    /// A round went through: its reward is champion, its generator released as the settings say.
    Released { round: i64, said: String },
    /// A gate did not let a version pass.
    Refused { round: i64, reason: String },
    /// A step failed; the next round begins anew.
    Failed { round: i64, reason: String },
    /// What the round began with is gone.
    Abandoned { round: i64, reason: String },
    /// There is no reason to begin a round yet.
    Nothing(String),
    /// The votes are not fit to learn from.
    Unfit(Refusal),
    /// No round may begin now.
    Capped(String),
    /// Another daemon acts.
    Standby(String),
}

impl Done {
    /// The exit code of `plaudit-train run --once`; 2 is an error.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Released { .. } => 0,
            Self::Refused { .. } => 1,
            Self::Failed { .. } => 2,
            Self::Nothing(_) => 3,
            Self::Unfit(_) => 4,
            Self::Capped(_) => 5,
            Self::Standby(_) => 6,
            Self::Abandoned { .. } => 7,
        }
    }

    /// Its name in metrics and logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Released { .. } => "released",
            Self::Refused { .. } => "refused",
            Self::Failed { .. } => "failed",
            Self::Abandoned { .. } => "abandoned",
            Self::Nothing(_) => "nothing",
            Self::Unfit(_) => "unfit",
            Self::Capped(_) => "capped",
            Self::Standby(_) => "standby",
        }
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Released { round, said } => write!(f, "round {round}: {said}"),
            Self::Refused { round, reason } => write!(f, "round {round} was refused: {reason}"),
            Self::Failed { round, reason } => write!(f, "round {round} failed: {reason}"),
            Self::Abandoned { round, reason } => write!(f, "round {round} was given up: {reason}"),
            Self::Nothing(why) => write!(f, "nothing to do: {why}"),
            Self::Unfit(refusal) => write!(f, "no round: {refusal}"),
            Self::Capped(why) => write!(f, "no round: {why}"),
            Self::Standby(holder) => write!(f, "standing by: {holder}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_has_a_code_and_a_line_of_its_own() {
        let (round, reason) = (3, "because".to_owned());
        let all = [
            Done::Released { round, said: reason.clone() },
            Done::Refused { round, reason: reason.clone() },
            Done::Failed { round, reason: reason.clone() },
            Done::Nothing(reason.clone()),
            Done::Unfit(Refusal::TooFew { votes: 1, least: 2 }),
            Done::Capped(reason.clone()),
            Done::Standby(reason.clone()),
            Done::Abandoned { round, reason },
        ];
        assert_eq!(all.iter().map(Done::exit_code).collect::<Vec<_>>(), (0..8).collect::<Vec<u8>>());
        assert!(all.iter().all(|done| !done.to_string().is_empty() && !done.name().is_empty()));
    }
}
