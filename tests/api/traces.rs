//! Traces reach a collector: OTLP, protobuf over HTTP.

use std::sync::{Arc, Mutex};

use actix_web::{App, HttpResponse, HttpServer, web};
use opentelemetry_proto::tonic::{collector::trace::v1::ExportTraceServiceRequest, trace::v1::Span};
use plaudit::traces::Traces;
use prost::Message;
use reqwest::Method;
use serde_json::json;

use crate::harness::{TestApp, with};

type Received = Arc<Mutex<Vec<Span>>>;

/// A collector on a free port, and what it is sent.
fn collector() -> (String, Received) {
    let received = Received::default();
    let kept = web::Data::new(received.clone());
    let take = |kept: web::Data<Received>, body: web::Bytes| async move {
        let request = ExportTraceServiceRequest::decode(body).expect("OTLP");
        let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        kept.lock().expect("no panic before").extend(scopes.flat_map(|scope| scope.spans));
        HttpResponse::Ok().finish()
    };
    let server = HttpServer::new(move || App::new().app_data(kept.clone()).route("/v1/traces", web::post().to(take)));
    let server = server.workers(1).bind("127.0.0.1:0").expect("a port");
    let address = server.addrs()[0];
    tokio::spawn(server.run());
    (format!("http://{address}"), received)
}

const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_leaves_a_span_for_each_stage_under_its_callers() {
    let (address, received) = collector();
    let traces = std::thread::spawn(move || Traces::start(&address)).join().expect("no panic").expect("traces");
    let app = TestApp::start().await;
    let secret = "a prompt that nobody else should read";
    let ask = app.ask(Method::POST, "/v1/images/generations").header("traceparent", CALLER);
    let body = with(json!({"prompt": secret, "num_inference_steps": 4}));
    assert_eq!(ask.json(&body).send().await.expect("an answer").status(), 200);
    std::thread::spawn(move || traces.stop()).join().expect("no panic");
    let spans: Vec<Span> = received.lock().expect("no panic").iter().filter(ours).cloned().collect();
    let job = spans.iter().find(|span| span.name == "job").expect("a job");
    assert_eq!(hex(&job.parent_span_id), "b7ad6b7169203331");
    let mut stages: Vec<&Span> = spans.iter().filter(|span| span.parent_span_id == job.span_id).collect();
    stages.sort_by_key(|span| (span.end_time_unix_nano, span.start_time_unix_nano));
    let names: Vec<&str> = stages.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["text", "queue", "steps", "decode", "reward", "encode"]);
    for span in &stages {
        assert!(span.start_time_unix_nano < span.end_time_unix_nano, "{span:?}");
        // Two clocks are read, one after the other.
        const SLACK: u64 = 5_000_000;
        assert!(span.start_time_unix_nano + SLACK >= job.start_time_unix_nano, "{span:?}");
        assert!(span.end_time_unix_nano <= job.end_time_unix_nano + SLACK, "{span:?}");
    }
    assert!(!format!("{spans:?}").contains(secret));
}

fn ours(span: &&Span) -> bool {
    hex(&span.trace_id) == "0af7651916cd43dd8448eb211c80319c"
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
