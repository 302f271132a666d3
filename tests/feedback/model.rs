//! Promise 15: one vote a rater and picture, undo exact, whoever comes at the same time.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use super::*;

const CLIENTS: usize = 64;
const IMAGES: usize = 16;
/// Raters that several clients vote as, at the same time.
const SHARED: usize = 8;
/// Of the suite; the promise's own number runs with `--ignored`.
const SHORT: usize = 6_400;
const LONG: usize = 200_000;

/// A vote that was acknowledged.
#[derive(Debug, Clone)]
struct Told {
    sequence: i64,
    image: String,
    rater: String,
    rating: &'static str,
}

/// Numbers that only look random, the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % sides
    }
}

async fn client(scene: Arc<Scene>, client: usize, operations: usize) -> Vec<Told> {
    let (mut dice, mut told, mut mine) = (Dice(client as u64), Vec::new(), BTreeMap::new());
    for operation in 0..operations {
        let image = scene.images[dice.roll(IMAGES)].to_string();
        let alone = dice.roll(4) > 0;
        let rater = if alone { format!("own{client}") } else { format!("shared{}", dice.roll(SHARED)) };
        let rating = ["up", "down", "clear"][dice.roll(3)];
        let body = json!({"image_id": image, "rater": rater, "rating": rating});
        let key = format!("{client}-{operation}");
        let send = async || {
            let request = scene.app.as_owner(&scene.key.secret, Method::POST, "/v1/feedback");
            counted(request.header("Idempotency-Key", &key).json(&body).send().await.expect("an answer")).await
        };
        let answer = if dice.roll(10) == 0 {
            let (first, second) = tokio::join!(send(), send());
            assert_eq!(first, second, "one vote, told twice");
            first
        } else {
            send().await
        };
        let sequence = answer["sequence"].as_i64().expect("a place");
        told.push(Told { sequence, image: image.clone(), rater: rater.clone(), rating });
        if alone {
            mine.insert(image, rating);
        }
        // What one has written one reads.
        if dice.roll(50) == 0 {
            let path = format!("/v1/feedback?limit=100&rater=own{client}");
            let list = scene.app.as_owner(&scene.key.secret, Method::GET, &path).send().await.expect("an answer");
            let list: Value = list.json().await.expect("JSON");
            let entry = |vote: &Value| {
                (vote["image_id"].as_str().map(str::to_owned), vote["rating"].as_str().map(str::to_owned))
            };
            let found: HashSet<_> = list["data"].as_array().expect("a list").iter().map(entry).collect();
            let expected = mine.iter().filter(|(_, rating)| **rating != "clear");
            let expected = expected.map(|(image, rating)| (Some(image.clone()), Some((*rating).to_owned()))).collect();
            assert_eq!(found, expected, "client {client} after {operation} operations");
        }
    }
    told
}

async fn compare(operations: usize) {
    let scene = Arc::new(Scene::new(IMAGES, &["--feedback-rate", "0"]).await);
    let clients = (0..CLIENTS).map(|number| tokio::spawn(client(scene.clone(), number, operations / CLIENTS)));
    let mut told = Vec::new();
    for client in clients.collect::<Vec<_>>() {
        told.extend(client.await.expect("no mismatch"));
    }
    // The model: the log's order decides.
    told.sort_by_key(|one| one.sequence);
    let places: HashSet<i64> = told.iter().map(|one| one.sequence).collect();
    assert_eq!(places.len(), operations / CLIENTS * CLIENTS, "no two votes are one");
    let model: BTreeMap<_, _> = told.iter().map(|one| ((one.image.clone(), one.rater.clone()), one.rating)).collect();
    let log = events(&scene.store, "vote").await;
    assert_eq!(log.len(), told.len(), "as many events as acknowledged votes");
    let votes = scene.store.votes_after(0, usize::MAX >> 1).await.expect("votes");
    let stored: BTreeMap<_, _> =
        votes.iter().map(|vote| ((vote.image.to_string(), vote.rater.to_string()), vote.rating.name())).collect();
    assert_eq!((votes.len(), stored), (model.len(), model));
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_clients_and_a_model_in_memory_agree() {
    compare(SHORT).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "two hundred thousand operations: some minutes"]
async fn sixty_four_clients_and_a_model_in_memory_agree_for_long() {
    compare(LONG).await;
}
