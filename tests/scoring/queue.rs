use std::sync::Arc;

use futures_util::future::join_all;
use image::{Rgb, RgbImage};
use plaudit::{
    metrics::Metrics,
    runtime::Device,
    scoring::{Pixels, RewardTrial, Score, ScoreError, Scorer, ScoringSettings},
};

use crate::{
    harness::{miniature, reward},
    made,
};

/// Features of the miniature's CLIP.
const WIDTH: usize = 128;
/// The last bits may differ with what shares a call.
const NEIGHBOURS: f32 = 2e-6;

fn picture(index: u8) -> RgbImage {
    RgbImage::from_fn(64, 64, |x, y| Rgb([(x * 3) as u8 ^ index, (y * 5) as u8, index.wrapping_mul(40)]))
}

fn start(settings: &ScoringSettings, metrics: &Metrics) -> Scorer {
    Scorer::start(&miniature(), Device::Cpu, settings, metrics.clone()).expect("a scorer").expect("a CLIP")
}

fn pixels(scorer: &Scorer, count: u8) -> Vec<Pixels> {
    (0..count).map(|index| scorer.preprocessor().prepare(&picture(index))).collect()
}

#[tokio::test]
async fn rewards_and_shares_are_answered_with_the_version() {
    let folder = tempfile::tempdir().expect("a folder");
    let sealed = reward(folder.path(), &miniature(), WIDTH);
    let settings = ScoringSettings { reward: Some(folder.path().to_owned()), ..ScoringSettings::default() };
    let metrics = Metrics::new();
    let scorer = start(&settings, &metrics);
    assert_eq!(scorer.reward_version().as_deref(), Some(sealed.version()));
    let scores = scorer.score("two blue stars on the beach", vec![Arc::new(picture(1)), Arc::new(picture(2))]).await;
    let scores = scores.expect("scores");
    for Score { reward, clip_score, normalized_score } in scores {
        assert!((0.0..=1.0).contains(&reward.expect("a reward")) && (-1.0..=1.0).contains(&clip_score));
        assert!((0.0..=1.0).contains(&normalized_score.expect("the prompt has contrasts")));
    }
    let plain = scorer.score("hm", vec![Arc::new(picture(1))]).await.expect("scores");
    assert_eq!(plain[0].normalized_score, None);
    let counted = metrics.reward.with_label_values(&[sealed.version()]).get_sample_count();
    assert_eq!(counted, 3);
}

#[tokio::test]
async fn a_score_does_not_depend_on_who_else_asks() {
    let scorer = start(&ScoringSettings::default(), &Metrics::new());
    let all = pixels(&scorer, 20);
    let alone = scorer.score_prepared(&["a red fish"], vec![all[0].clone()]).await.expect("a score")[0][0];
    let ask = |one: &Pixels| {
        let (scorer, one) = (scorer.clone(), one.clone());
        async move { scorer.score_prepared(&["a red fish"], vec![one]).await.expect("a score")[0][0] }
    };
    let together = join_all(all.iter().map(ask)).await;
    assert!((together[0].clip_score - alone.clip_score).abs() <= NEIGHBOURS, "{alone:?} {:?}", together[0]);
}

#[tokio::test]
async fn a_reward_on_trial_that_fails_fails_only_those_whom_it_judges() {
    let folder = tempfile::tempdir().expect("a folder");
    made::broken(folder.path());
    let metrics = Metrics::new();
    // Room for the contrasts of several.
    let scorer = start(&ScoringSettings { max_batch: 64, ..ScoringSettings::default() }, &metrics);
    let reward = scorer.open_reward(folder.path()).expect("its golden outputs are right");
    scorer.try_beside(Some(RewardTrial { reward, share: 1.0 }));
    let (champion, candidate) = (scorer.pinned(), scorer.pinned_for("anybody"));
    let all = pixels(&scorer, 20);
    let ask = |scorer: &Scorer, one: &Pixels| {
        let (scorer, one) = (scorer.clone(), one.clone());
        async move { scorer.score_prepared(&["two blue stars"], vec![one]).await }
    };
    let answers = join_all(all.iter().flat_map(|one| [ask(&champion, one), ask(&candidate, one)])).await;
    for (at, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer.is_ok(), at % 2 == 0, "{at}: {answer:?}");
    }
    assert!(metrics.scoring_rows.get_sample_count() < 40, "they shared calls");
    // The last one's trial is over.
    scorer.try_beside(None);
    assert_eq!(scorer.pinned_for("anybody").reward_version(), champion.reward_version());
}

#[tokio::test]
async fn what_does_not_fit_into_the_queue_is_refused_and_told_when_to_come_back() {
    let settings = ScoringSettings { max_queue: 8, max_batch: 4, ..ScoringSettings::default() };
    let metrics = Metrics::new();
    let scorer = start(&settings, &metrics);
    let pictures = pixels(&scorer, 4);
    let answers = join_all((0..40).map(|_| scorer.embed(Vec::new(), pictures.clone()))).await;
    let refused: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
    assert!(!refused.is_empty() && refused.len() < 40, "{}", refused.len());
    for error in &refused {
        assert!(matches!(error, ScoreError::Full { waiting: 1..=8, .. }), "{error}");
    }
    assert_eq!(metrics.rejected_total.with_label_values(&["scoring"]).get(), refused.len() as u64);
    scorer.embed(Vec::new(), pictures).await.expect("there is room again");
}

#[tokio::test]
async fn who_left_is_not_scored() {
    let settings = ScoringSettings { max_batch: 4, ..ScoringSettings::default() };
    let metrics = Metrics::new();
    let scorer = start(&settings, &metrics);
    let pictures = pixels(&scorer, 4);
    let long: Vec<Pixels> = pictures.iter().cycle().take(64).cloned().collect();
    let first = tokio::spawn({
        let (scorer, long) = (scorer.clone(), long.clone());
        async move { scorer.embed(Vec::new(), long).await }
    });
    tokio::task::yield_now().await;
    for _ in 0..10 {
        let mut asked = Box::pin(scorer.embed(Vec::new(), pictures.clone()));
        // Polled once: it waits. Then its client leaves.
        assert!(futures_util::poll!(asked.as_mut()).is_pending());
    }
    first.await.expect("no panic").expect("points");
    scorer.embed(Vec::new(), pictures.clone()).await.expect("points");
    assert_eq!(metrics.cancelled_total.with_label_values(&["disconnect"]).get(), 10);
    assert_eq!(metrics.scoring_rows.get_sample_sum(), 64.0 + 4.0);
}
