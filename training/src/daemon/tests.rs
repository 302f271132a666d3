//! Looks at votes that are fit or not, and two daemons on one store.

use plaudit::{domain::Kind, round::RoundOutcome};

use super::{fixture, *};
use crate::finetune::Objective;

/// A daemon that learns rewards only, over these votes.
async fn daemon(
    data: &std::path::Path,
    up: impl Fn(usize, bool) -> bool,
    rater: impl Fn(usize) -> String,
) -> anyhow::Result<Daemon> {
    fixture::store(data, up, rater).await;
    let mut settings = fixture::settings(data);
    settings.learning.rewards_only = true;
    Ok(Daemon::open(settings).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_that_would_change_nothing_is_refused_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut settings = fixture::settings(folder.path());
    settings.learning = Learning { objective: TuneObjective::LatentReward, anchor: Some(1.0), ..settings.learning };
    let refused = Daemon::open(settings.clone()).await.map(drop).expect_err("no anchor").to_string();
    assert!(refused.contains("--anchor") && refused.contains("latent-reward"), "{refused}");
    settings.learning =
        Learning { objective: TuneObjective::Kto, anchor: None, tune_strength: Some(40.0), ..settings.learning };
    let refused = Daemon::open(settings.clone()).await.map(drop).expect_err("no strength").to_string();
    assert!(refused.contains("--tune-strength") && refused.contains("kto"), "{refused}");
    settings.learning.objective = TuneObjective::LatentReward;
    let Objective::LatentReward(latent) = settings.learning.tuned_by() else { panic!("another objective") };
    assert_eq!(latent.strength, 40.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn votes_that_are_not_fit_are_refused_with_the_reason() -> anyhow::Result<()> {
    type Case = (&'static str, fn(usize, bool) -> bool, fn(usize) -> String, &'static str);
    let cases: [Case; 4] = [
        ("one_sided", |_, _| true, fixture::anybody, "--min-minority"),
        ("disagreement", |vote, _| vote % 2 == 0, fixture::anybody, "--min-agreement"),
        (
            "one_rater",
            |_, truth| truth,
            |vote| format!("rater-{}", if vote % 2 == 0 { 0 } else { vote % 16 }),
            "rater-0",
        ),
        ("too_few_raters", |_, truth| truth, |vote| format!("rater-{}", vote % 2), "--min-raters"),
    ];
    for (name, up, rater, says) in cases {
        let folder = tempfile::tempdir()?;
        let daemon = daemon(folder.path(), up, rater).await?;
        let done = daemon.once().await?;
        let Done::Unfit(refusal) = &done else { panic!("{name}: {done}") };
        assert_eq!(refusal.name(), name, "{done}");
        assert!(done.to_string().contains(says) && done.exit_code() == 4, "{done}");
        assert_eq!(daemon.store.rounds(9).await?, [], "{name}: nothing was begun");
        let metrics = daemon.metrics().text();
        assert!(metrics.contains(&format!("plaudit_train_refusals_total{{reason=\"{name}\"}} 1")), "{metrics}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn too_few_votes_begin_nothing_and_caps_hold() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut daemon = daemon(folder.path(), |_, truth| truth, fixture::anybody).await?;
    daemon.settings.watermark.new_votes = fixture::VOTES as u32 + 1;
    daemon.settings.watermark.max_age = 0.0;
    let done = daemon.once().await?;
    assert!(matches!(&done, Done::Nothing(why) if why.contains("192 new votes of 193")), "{done}");
    daemon.settings.watermark.new_votes = 1;
    daemon.settings.soundness.min_votes = 1000;
    let done = daemon.once().await?;
    assert!(matches!(&done, Done::Unfit(Refusal::TooFew { votes: 192, least: 1000 })), "{done}");
    daemon.settings.watermark.rounds_per_day = 0;
    assert_eq!(daemon.once().await?.exit_code(), 5);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_daemons_one_acts_and_a_second_round_waits_for_new_votes() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let one = daemon(folder.path(), |_, truth| truth, fixture::anybody).await?;
    let mut other = Daemon::open(one.settings.clone()).await?;
    other.holder = "the other".to_owned();
    let (first, second) = tokio::join!(one.once(), other.once());
    let done = [first?, second?];
    let acted = done.iter().filter(|done| matches!(done, Done::Released { .. })).count();
    let stood =
        done.iter().filter(|done| matches!(done, Done::Standby(why) if why.contains("holds the lease"))).count();
    assert_eq!((acted, stood), (1, 1), "{done:?}");
    let rounds = one.store.rounds(9).await?;
    assert_eq!((rounds.len(), rounds[0].outcome), (1, Some(RoundOutcome::Released)));
    let champion = one.registry.aliases(Kind::Reward).await?.champion.expect("a reward");
    let record = one.registry.version(Kind::Reward, &champion).await?;
    assert_eq!(record.lineage.published_by, ACTOR);
    assert_eq!(record.lineage.events.map(|range| range.last), Some(rounds[0].upto));
    let done = other.once().await?;
    assert!(matches!(&done, Done::Nothing(why) if why.starts_with("0 new votes")), "{done}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_whose_champion_or_files_are_gone_is_given_up() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let daemon = daemon(folder.path(), |_, truth| truth, fixture::anybody).await?;
    let held = lease::Held::take(&daemon.store, &daemon.holder, 60).await?.expect("free");
    let begin::Reason::Begin(round) = begin::reason(&daemon).await? else { panic!("there is reason") };
    let begun = daemon.store.begin_round(&held.lease, &round).await?.expect("begun");
    let facts = begun.facts.clone();
    daemon.store.move_round(&held.lease, &begun, plaudit::round::RoundStage::Reward, &facts).await?.expect("moved");
    held.give_back(&daemon.store).await?;
    let done = daemon.once().await?;
    assert!(matches!(&done, Done::Abandoned { reason, .. } if reason.contains("its files are not in")), "{done}");
    assert_eq!(daemon.store.round().await?, None);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_and_metrics_answer_on_a_listener_of_their_own() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut settings = fixture::settings(folder.path());
    settings.listen = "127.0.0.1:0".parse()?;
    let daemon = Daemon::open(settings).await?;
    let address = daemon.listen()?;
    let get = async |path: &str| -> anyhow::Result<(u16, String)> {
        let answer = reqwest::get(format!("http://{address}{path}")).await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    };
    assert_eq!(get("/health/live").await?.0, 200);
    assert_eq!(get("/health/ready").await?.0, 503, "it has not looked yet");
    let done = daemon.once().await?;
    assert!(matches!(&done, Done::Nothing(why) if why.starts_with("0 new votes")), "{done}");
    assert_eq!(get("/health/ready").await?.0, 200);
    let (_, text) = get("/metrics").await?;
    for line in [
        "plaudit_train_looks_total{result=\"nothing\"} 1",
        "plaudit_train_lease_held 0",
        "plaudit_train_votes_waiting 0",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    Ok(())
}

/// docs/daemon.md says what `/metrics` exports: no more, no less.
#[test]
fn the_document_names_every_metric() -> anyhow::Result<()> {
    const TABLE: &str = include_str!("../../../docs/daemon.md");
    let metrics = Metrics::new()?;
    metrics.looks.with_label_values(&["nothing"]).inc();
    metrics.refusals.with_label_values(&["gold"]).inc();
    metrics.stage.with_label_values(&["tune"]).set(1.0);
    metrics.stage_seconds.with_label_values(&["tune"]).observe(1.0);
    let text = metrics.text();
    let exported: std::collections::BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let rows = TABLE.lines().filter_map(|line| line.strip_prefix("| `plaudit_train_"));
    let named: Vec<String> =
        rows.map(|row| format!("plaudit_train_{}", row.split('`').next().unwrap_or_default())).collect();
    assert_eq!(exported, named.iter().map(String::as_str).collect());
    Ok(())
}
