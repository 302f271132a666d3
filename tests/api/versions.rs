use std::path::Path;

use plaudit::{
    domain::Role,
    registry::{Kind, Lineage, Registry, RegistrySettings, VersionId},
    store::Store,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{TestApp, error, pack};

/// A registry with the bundled reward under these names, and keys of both roles.
struct Begun {
    versions: Vec<VersionId>,
    admin: String,
    client: String,
}

async fn begun(data: &Path, names: &[&str]) -> Begun {
    let store = Store::attach(data).await.expect("a store");
    let registry = Registry::open(store.clone(), RegistrySettings::default()).await.expect("a registry");
    let mut versions = Vec::new();
    for name in names {
        let source = data.join("sources").join(name);
        std::fs::create_dir_all(&source).expect("a folder");
        for entry in std::fs::read_dir(pack().join("reward")).expect("a folder").flatten() {
            std::fs::copy(entry.path(), source.join(entry.file_name())).expect("copied");
        }
        let manifest = source.join("manifest.json");
        let text = std::fs::read_to_string(&manifest).expect("a manifest");
        let named: Value = serde_json::from_str(&text).expect("JSON");
        let old = format!("\"name\": {}", named["name"]);
        std::fs::write(&manifest, text.replace(&old, &format!("\"name\": \"{name}\""))).expect("written");
        let lineage = Lineage { published_by: "trainer".into(), ..Lineage::default() };
        versions.push(registry.publish(Kind::Reward, &source, lineage).await.expect("published").version);
    }
    let (_, admin) = store.create_key("operator", Role::Admin).await.expect("a key");
    let (_, client) = store.create_key("app", Role::Client).await.expect("a key");
    store.close().await;
    Begun { versions, admin, client }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_promotes_goes_back_and_is_told_what_was_served() {
    let data = tempfile::tempdir().expect("a folder");
    let Begun { versions, admin, .. } = begun(data.path(), &["a", "b", "c"]).await;
    let app = TestApp::over(data, &[]).await;
    let post = async |path: String, body: Value| {
        app.as_owner(&admin, Method::POST, &path).json(&body).send().await.expect("an answer")
    };
    let get = async |path: &str| app.as_owner(&admin, Method::GET, path).send().await.expect("an answer");
    let read = async |path: &str| get(path).await.json::<Value>().await.expect("JSON");
    let of = |version: &VersionId| format!("/v1/admin/versions/reward/{version}/promote");
    let [a, b, c] = &versions[..] else { panic!("three") };

    // What the server started with became champion by itself.
    let first = loop {
        let log = read("/v1/admin/promotions?kind=reward").await;
        match log["data"][0]["version"].as_str() {
            Some(version) => break version.to_owned(),
            None => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
        }
    };
    let answer = post(of(a), json!({"expected": first, "reason": "the first of ours"})).await;
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap_or_default());
    let (status, conflict) = error(post(of(b), json!({"expected": null, "reason": "better"})).await).await;
    assert_eq!((status, &conflict["code"], &conflict["param"]), (409, &json!("version_conflict"), &json!("expected")));
    assert!(conflict["message"].as_str().is_some_and(|text| text.contains(a.as_str())), "{conflict}");
    let answer = post(of(b), json!({"expected": a, "reason": "better"})).await;
    let entry: Value = answer.json().await.expect("JSON");
    assert_eq!((&entry["action"], &entry["version"], &entry["previous"]), (&json!("promote"), &json!(b), &json!(a)));
    assert!(entry["actor"].as_str().is_some_and(|actor| actor.starts_with("key_")), "{entry}");

    // The newest is what the server published when it started.
    let list = read("/v1/admin/versions?kind=reward&limit=3").await;
    assert_eq!((&list["data"][1]["version"], &list["has_more"]), (&json!(c), &json!(true)));
    assert_eq!(list["data"][2]["alias"], "champion");
    assert_eq!(read(&format!("/v1/admin/versions?before={b}")).await["data"][0]["version"], json!(a));
    let view = read(&format!("/v1/admin/versions/reward/{b}")).await;
    assert_eq!((&view["state"], &view["lineage"]["published_by"]), (&json!("ready"), &json!("trainer")));
    assert_eq!(get(&format!("/v1/admin/versions/generator/{b}")).await.status(), 404);

    for (field, body) in [
        ("reason", json!({"expected": b})),
        ("reason", json!({"expected": b, "reason": "  "})),
        ("expected", json!({"expected": "b", "reason": "x"})),
        ("to", json!({"expected": b, "to": c, "reason": "never champion"})),
        ("why", json!({"expected": b, "reason": "x", "why": 1})),
    ] {
        let (status, error) = error(post("/v1/admin/versions/reward/rollback".into(), body).await).await;
        assert_eq!((status, &error["param"]), (400, &json!(field)), "{error}");
    }
    let answer =
        post("/v1/admin/versions/reward/rollback".into(), json!({"expected": b, "reason": "thumbs fell"})).await;
    assert_eq!(answer.json::<Value>().await.expect("JSON")["version"], json!(a));
    let log = read("/v1/admin/promotions?kind=reward").await;
    let actions: Vec<&str> =
        log["data"].as_array().expect("a list").iter().filter_map(|e| e["action"].as_str()).collect();
    assert_eq!(actions, ["promote", "promote", "promote", "rollback"]);
    let generators = read("/v1/admin/promotions?kind=generator").await;
    assert_eq!(generators["data"].as_array().map(Vec::len), Some(1), "what the server started with");

    // The pack that is served was published by the server itself.
    let served = read("/v1/admin/served").await;
    let generator = served["data"].as_array().expect("a list").iter().find(|served| served["kind"] == "generator");
    assert_eq!(generator.expect("it serves")["lineage"]["published_by"], "plaudit serve", "{served}");
    assert_eq!(read("/v1/admin/served?at=1000").await["data"], json!([]));

    let store = Store::attach(app.data.path()).await.expect("a store");
    let registry = Registry::new(store, RegistrySettings::default()).expect("a registry");
    registry.gc(0, std::time::Duration::ZERO, false).await.expect("collected");
    let (status, retired) = error(post(of(c), json!({"expected": a, "reason": "x"})).await).await;
    assert_eq!((status, &retired["code"]), (410, &json!("version_retired")));
    // Files that are damaged are not promoted.
    let again = app.data.path().join("sources/b");
    let lineage = Lineage { published_by: "trainer".into(), ..Lineage::default() };
    registry.publish(Kind::Reward, &again, lineage).await.expect("published");
    std::fs::write(registry.folder(Kind::Reward, b).join("report.json"), "{}").expect("damaged");
    let (status, _) = error(post(of(b), json!({"expected": a, "reason": "x"})).await).await;
    let after = log["data"].as_array().and_then(|entries| entries.last()?["sequence"].as_i64()).expect("a place");
    let later = read(&format!("/v1/admin/promotions?kind=reward&after={after}")).await;
    assert_eq!((status, &later["data"]), (422, &json!([])));
}

/// Promise 24: every route of operators is for administrators only.
#[tokio::test(flavor = "multi_thread")]
async fn no_route_of_administrators_is_open_to_a_foreign_role() {
    let data = tempfile::tempdir().expect("a folder");
    let Begun { versions, admin, client } = begun(data.path(), &["a"]).await;
    let app = TestApp::over(data, &["--allow-anonymous"]).await;
    let document: Value = app.get("/openapi.json").await.json().await.expect("JSON");
    let mut asked = 0;
    for (path, operations) in document["paths"].as_object().expect("paths") {
        if !path.starts_with("/v1/admin/") {
            continue;
        }
        let path = path.replace("{kind}", "reward").replace("{version}", versions[0].as_str());
        for method in operations.as_object().expect("operations").keys() {
            let method: Method = method.to_uppercase().parse().expect("a method");
            let body = json!({"expected": null, "reason": "mine now"});
            for request in [app.as_owner(&client, method.clone(), &path), app.ask(method.clone(), &path)] {
                let (status, error) = error(request.json(&body).send().await.expect("an answer")).await;
                assert_eq!((status, &error["code"]), (403, &json!("forbidden")), "{method} {path}");
                asked += 1;
            }
            let stranger = app.as_owner("plaudit_unknown", method.clone(), &path).json(&body);
            assert_eq!(error(stranger.send().await.expect("an answer")).await.0, 401, "{method} {path}");
        }
    }
    assert!(asked >= 16, "{asked}");
    let log = app.as_owner(&admin, Method::GET, "/v1/admin/promotions").send().await.expect("an answer");
    assert_eq!(log.json::<Value>().await.expect("JSON")["data"], json!([]));
}
