//! Who is served by a version on trial.

use sha2::{Digest, Sha256};

/// Whether a version on trial serves a subject: a share (0 to 1) of them, always the same ones in one trial, others in another.
pub(crate) fn falls_to(version: &str, subject: &str, share: f64) -> bool {
    place(version, subject) < share
}

/// Where a subject stands in a trial, uniform in [0, 1).
fn place(version: &str, subject: &str) -> f64 {
    /// Of 53 bits, as many as an f64 holds.
    const UNIT: f64 = 1.0 / (1u64 << 53) as f64;
    let digest = Sha256::digest(format!("{version}\n{subject}"));
    let bits = digest.iter().take(8).fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
    (bits >> 11) as f64 * UNIT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_keep_their_place_and_are_spread_evenly() {
        let places: Vec<f64> = (0..4000).map(|rater| place("m@0123456789ab", &format!("rater {rater}"))).collect();
        for share in [0.01, 0.1, 0.5, 0.9] {
            let served =
                (0..4000).filter(|rater| falls_to("m@0123456789ab", &format!("rater {rater}"), share)).count() as f64;
            // Four standard deviations.
            let bound = 4.0 * (share * (1.0 - share) / places.len() as f64).sqrt();
            assert!((served / places.len() as f64 - share).abs() < bound, "{share}: {served}");
        }
        assert_eq!(place("m@0123456789ab", "rater 7"), places[7]);
        let others = (0..4000).map(|rater| place("m@ba9876543210", &format!("rater {rater}")));
        let both = others.zip(&places).filter(|(other, place)| *other < 0.5 && **place < 0.5).count();
        assert!((900..1100).contains(&both), "trials are independent of each other: {both}");
    }
}
