//! Trials: one goes on at a time, and whose a vote is depends on what is tried.

use plaudit::{
    domain::{Kind, VersionId},
    trial::{NewTrial, TrialState},
};

use super::*;

fn version(digit: char) -> VersionId {
    format!("tiny@{}", digit.to_string().repeat(12)).parse().expect("a version")
}

fn new_trial(kind: Kind) -> NewTrial {
    let (version, champion) = (version('b'), version('a'));
    NewTrial { kind, version, champion, share: 0.5, shadow: 0, actor: "ann".into(), reason: "a test".into() }
}

/// A thumb on a picture of a finished job: drawn by a version, chosen by a reward.
async fn thumb(store: &Store, drawn_by: char, chosen_by: Option<char>, rating: Rating) -> Result<()> {
    let content = Bytes::from_static(b"a picture");
    let job = new_job(&alice());
    let id = job.id;
    store.insert_job(job, ROOMY).await?;
    let (model_version, chosen_by) = (version(drawn_by).to_string(), chosen_by.map(|by| version(by).to_string()));
    let picture = ImageRecord { model_version, chosen_by: chosen_by.clone(), ..image(id, &content) };
    store.add_image(&alice(), &picture, content, ROOMY).await?;
    store.finish_job(id, &ending(now(), now() + HOUR)).await?;
    assert_eq!(store.image(&alice(), picture.id).await?.expect("it is hers").chosen_by, chosen_by);
    let vote = NewFeedback {
        image: picture.id,
        owner: alice(),
        rater: "r1".parse::<Rater>().expect("a rater"),
        viewing: Viewing::default(),
        act: Act::Vote { rating, reasons: Vec::new(), comment: None },
        via: "key",
    };
    store.cast(Ballot { items: vec![vote], once: None, quota: ROOMY }).await?;
    Ok(())
}

pub(crate) async fn a_trial_counts_the_thumbs_on_what_its_kind_made(place: Place) -> Result<()> {
    let store = place.open().await?;
    for kind in Kind::ALL {
        let begun = store.begin_trial(&new_trial(kind)).await?.expect("none goes on");
        assert_eq!((begun.kind, begun.state), (kind, TrialState::Canary));
        assert_eq!(store.trial().await?.as_ref(), Some(&begun));
        for other in Kind::ALL {
            assert_eq!(store.begin_trial(&new_trial(other)).await?, None, "one goes on");
        }
        // Drawn by the generator's candidate, chosen by the reward's champion, and the other way round.
        thumb(&store, 'b', Some('a'), Rating::Up).await?;
        thumb(&store, 'a', Some('b'), Rating::Down).await?;
        // Nothing was left out: no reward's, and the champion's.
        thumb(&store, 'a', None, Rating::Up).await?;
        // A third version's.
        thumb(&store, 'c', Some('c'), Rating::Up).await?;
        let votes = store.trial_votes(&begun).await?;
        let votes: Vec<_> = votes.iter().map(|vote| (vote.candidate, vote.up)).collect();
        match kind {
            Kind::Generator => assert_eq!(votes, [(true, true), (false, false), (false, true)]),
            Kind::Reward => assert_eq!(votes, [(false, true), (true, false)]),
        }
        let evidence = json!({"shadow": null});
        assert!(store.move_trial(&begun, TrialState::Withdrawn, "enough", &evidence).await?);
        assert!(!store.move_trial(&begun, TrialState::Promoted, "late", &evidence).await?, "it is there no more");
        assert_eq!(store.trial().await?, None);
    }
    Ok(())
}
