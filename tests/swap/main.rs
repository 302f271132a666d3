//! Versions come and go under a running server: what clients, operators and the disk see of it.
#![allow(missing_docs)]

#[allow(dead_code, unreachable_pub)] // other tests use the rest
#[path = "../api/harness.rs"]
mod harness;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/packs.rs"]
mod packs;
#[path = "../common/rewards.rs"]
mod rewards;

mod drift;
mod kills;
mod load;
mod memory;
mod mutants;
mod promote;
mod refuse;
mod restart;
mod reward_trials;
mod trials;

use std::{path::Path, time::Duration};

use plaudit::{
    domain::{Kind, Role, VersionId},
    pack::Pack,
    registry::{Lineage, Registry, RegistrySettings},
    store::Store,
};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use harness::TestApp;

/// A test's machine is busy with other tests: a swap that stands back behind them takes minutes.
const USUAL: &[&str] = &["--allow-anonymous", "--swap-poll", "50", "--swap-niceness", "0"];

/// A server with an administrator, and its registry beside it.
struct Scene {
    app: TestApp,
    registry: Registry,
    admin: String,
    /// What the server started with.
    first: VersionId,
}

impl Scene {
    async fn start() -> Self {
        Self::with(&[]).await
    }

    /// With the defaults of everything that swaps take time by.
    async fn as_served(flags: &[&str]) -> Self {
        Self::over(TestApp::with(&[&["--allow-anonymous"], flags].concat()).await).await
    }

    async fn with(flags: &[&str]) -> Self {
        Self::over(TestApp::with(&[USUAL, flags].concat()).await).await
    }

    async fn over(app: TestApp) -> Self {
        let store = Store::attach(app.data.path()).await.expect("the store");
        let (_, admin) = store.create_key("operator", Role::Admin).await.expect("a key");
        let registry = Registry::new(store, RegistrySettings::default()).expect("the registry");
        let scene = Self { app, registry, admin, first: version(&packs::bundled()) };
        scene.until("a champion", async |scene| scene.champion(Kind::Generator).await.is_some()).await;
        scene.until("a reward", async |scene| scene.champion(Kind::Reward).await.is_some()).await;
        scene
    }

    async fn until(&self, what: &str, is: impl AsyncFn(&Self) -> bool) {
        let waited = tokio::time::timeout(harness::PATIENCE, async {
            while !is(self).await {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        waited.await.unwrap_or_else(|_| panic!("there never was {what}"));
    }

    async fn champion(&self, kind: Kind) -> Option<VersionId> {
        self.registry.aliases(kind).await.expect("the registry").champion
    }

    /// Another version of the bundled pack, published.
    async fn tuned(&self, shift: f32) -> VersionId {
        let folder = tempfile::tempdir().expect("a folder");
        packs::tuned(folder.path(), shift);
        self.publish(folder.path()).await
    }

    async fn publish(&self, folder: &Path) -> VersionId {
        let lineage = Lineage { published_by: "a test".into(), ..Lineage::default() };
        self.registry.publish(Kind::Generator, folder, lineage).await.expect("published").version
    }

    async fn admin(&self, method: Method, path: &str, body: Value) -> Response {
        let request = self.app.ask(method, path).bearer_auth(&self.admin);
        let request = if body.is_null() { request } else { request.json(&body) };
        request.send().await.expect("an answer")
    }

    async fn promote(&self, kind: Kind, version: &VersionId, expected: &VersionId) -> Response {
        let path = format!("/v1/admin/versions/{kind}/{version}/promote");
        self.admin(Method::POST, &path, json!({"expected": expected.as_str(), "reason": "a test"})).await
    }

    async fn roll_back(&self, expected: &VersionId) -> Response {
        let body = json!({"expected": expected.as_str(), "reason": "a test"});
        self.admin(Method::POST, "/v1/admin/versions/generator/rollback", body).await
    }

    /// Where a kind stands on the server.
    async fn place(&self, kind: Kind) -> Value {
        let list: Value = self.admin(Method::GET, "/v1/admin/swaps", Value::Null).await.json().await.expect("JSON");
        let places = list["data"].as_array().expect("a list");
        places.iter().find(|place| place["kind"] == kind.name()).expect("the kind").clone()
    }

    /// The version that draws for who names none.
    async fn drawn_by(&self) -> String {
        let made = self.app.generate(harness::quick()).await;
        made["model_version"].as_str().expect("a version").to_owned()
    }
}

fn version(folder: &Path) -> VersionId {
    Pack::open(folder).expect("a pack").version().parse().expect("a version's name")
}

async fn said(answer: Response) -> (u16, Value) {
    let status = answer.status().as_u16();
    (status, answer.json().await.expect("JSON"))
}
