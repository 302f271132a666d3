//! Traces over OTLP (OpenTelemetry's protocol, protobuf over HTTP): one of each job, with a span for each of its stages. No prompt is in them.

use std::{collections::HashMap, time::SystemTime};

use anyhow::Context as _;
use opentelemetry::{
    Context, KeyValue, global,
    propagation::TextMapPropagator,
    trace::{Span, SpanBuilder, SpanKind, Status, TraceContextExt, Tracer},
};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::{Resource, propagation::TraceContextPropagator, trace::SdkTracerProvider};

/// The instrumentation's name, and the service's where OTEL_SERVICE_NAME says no other.
const NAME: &str = "plaudit";
/// Where a collector takes traces, under its endpoint.
const PATH: &str = "/v1/traces";
/// W3C Trace Context's header.
pub const TRACEPARENT: &str = "traceparent";

/// Sends traces to a collector, in a thread of its own; what the collector does not take is lost with a line in the log.
#[derive(Debug)]
pub struct Traces(SdkTracerProvider);

/// What happened to one job.
#[derive(Debug, Clone)]
pub struct Trace {
    /// The caller's span, if it told one.
    pub parent: Option<Caller>,
    /// Known before: ids, sizes, counts.
    pub facts: Vec<(&'static str, String)>,
    /// From admission …
    pub began: SystemTime,
    /// … to its end.
    pub ended: SystemTime,
    /// Why it failed, as a code.
    pub failure: Option<String>,
    /// Its stages.
    pub stages: Vec<Stage>,
}

/// A stretch of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// queue, text, steps, decode, safety or encode.
    pub name: &'static str,
    /// Its start.
    pub began: SystemTime,
    /// Its end.
    pub ended: SystemTime,
}

/// The span of whoever asked, from a `traceparent` header.
#[derive(Debug, Clone)]
pub struct Caller(Context);

impl Caller {
    /// Reads `version-trace-span-flags`; `None` where it is none.
    pub fn parse(traceparent: &str) -> Option<Self> {
        let headers = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
        let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &headers);
        context.span().span_context().is_valid().then_some(Self(context))
    }
}

impl Traces {
    /// Sends to the collector at `endpoint`, such as `http://127.0.0.1:4318`. Whether one is there is not asked.
    ///
    /// # Errors
    /// An endpoint that is no `http://` address.
    pub fn start(endpoint: &str) -> anyhow::Result<Self> {
        anyhow::ensure!(
            endpoint.starts_with("http://"),
            "the collector {endpoint:?} is no http:// address; give one such as http://127.0.0.1:4318"
        );
        let address = format!("{}{PATH}", endpoint.trim_end_matches('/'));
        let exporter = SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary).with_endpoint(address);
        let exporter = exporter.build().with_context(|| format!("traces cannot be sent to {endpoint}"))?;
        let mut resource = Resource::builder();
        if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
            resource = resource.with_service_name(NAME);
        }
        let provider =
            SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build()).build();
        global::set_tracer_provider(provider.clone());
        Ok(Self(provider))
    }

    /// Sends what is left and ends. Blocks, for a few seconds at most.
    pub fn stop(&self) {
        if let Err(error) = self.0.shutdown() {
            tracing::warn!("the last traces were not sent: {error}");
        }
    }
}

impl Trace {
    /// Sends it a little later, if there is a collector.
    pub fn send(self) {
        let (trace, tracer) = (self, global::tracer(NAME));
        let parent = trace.parent.map_or_else(Context::new, |caller| caller.0);
        let facts = trace.facts.into_iter().map(|(key, value)| KeyValue::new(key, value));
        let job = SpanBuilder::from_name("job")
            .with_kind(SpanKind::Server)
            .with_start_time(trace.began)
            .with_attributes(facts);
        let mut job = tracer.build_with_context(job, &parent);
        if let Some(failure) = trace.failure {
            job.set_status(Status::error(failure));
        }
        let within = parent.with_remote_span_context(job.span_context().clone());
        for stage in trace.stages {
            let span = SpanBuilder::from_name(stage.name).with_start_time(stage.began);
            tracer.build_with_context(span, &within).end_with_timestamp(stage.ended);
        }
        job.end_with_timestamp(trace.ended);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_span_is_read_as_the_standard_writes_it() {
        let caller = Caller::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").expect("a span");
        let context = caller.0.span().span_context().clone();
        assert_eq!(context.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        for none in ["", "00-00000000000000000000000000000000-b7ad6b7169203331-01", "rubbish"] {
            assert!(Caller::parse(none).is_none(), "{none}");
        }
    }

    #[test]
    fn only_plain_http_is_taken() {
        let error = Traces::start("127.0.0.1:4318").expect_err("no address").to_string();
        assert!(error.contains("http://127.0.0.1:4318"), "{error}");
    }
}
