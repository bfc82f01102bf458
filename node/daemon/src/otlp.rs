//! Traces of migrations, sent to a collector by OTLP over HTTP.
//!
//! In: spans of the node that name a migration and its run. Out: protobuf, in batches, to the collector. Holds: a bounded queue
//! and the thread that empties it. All spans of one run have one trace id, on whatever node they are made, because it follows
//! from the migration's id: nodes tell each other nothing for it. Not here: which work has a span (`skein-node`).

mod client;
mod layer;
#[cfg(test)]
mod tests;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use opentelemetry::KeyValue;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SpanData, SpanProcessor};
use tracing::level_filters::LevelFilter;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;
use ureq::http::Uri;

use client::Collector;
use layer::Spans;

/// The name that collectors show.
const SERVICE: &str = "skein-node";
/// Where collectors take traces, when the address names no path.
const PATH: &str = "/v1/traces";
/// Spans that wait for the collector: some minutes of a busy node, and about a megabyte. What is more is dropped.
const QUEUE_SPANS: usize = 2048;
/// Spans of one call.
const CALL_SPANS: usize = 512;
/// A span is at the collector after about so long; a node that is killed takes as much with it.
const CALL_EVERY: Duration = Duration::from_secs(1);
/// A call and its repetitions take no longer.
const CALL_DEADLINE: Duration = Duration::from_secs(10);
/// The process waits no longer for the last call at its end.
const LAST_CALL: Duration = Duration::from_secs(2);

/// The way of spans to the collector. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Traces(Arc<RwLock<BatchSpanProcessor>>);

impl Traces {
    /// Starts the thread that sends spans to the collector at `url`.
    ///
    /// # Errors
    /// When `url` is no address of a collector, or a variable of OpenTelemetry asks for what is not there.
    pub(crate) fn start(url: &str) -> Result<Self> {
        let url = address(url)?;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Collector::new(&url))
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(url.to_string())
            .with_timeout(CALL_DEADLINE)
            .build()
            .context("--otlp")?;
        let bounds = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE_SPANS)
            .with_max_export_batch_size(CALL_SPANS)
            .with_scheduled_delay(CALL_EVERY)
            .build();
        let mut processor = BatchSpanProcessor::builder(exporter).with_batch_config(bounds).build();
        processor.set_resource(&resource(None));
        Ok(Self(Arc::new(RwLock::new(processor))))
    }

    /// Says which node this is; before it is known, spans have a service name alone.
    pub(crate) fn of_node(&self, node: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).set_resource(&resource(Some(node)));
    }

    /// What hears of spans. It hears of the node's own spans, whatever is logged.
    pub(crate) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let own = |metadata: &Metadata<'_>| metadata.is_span() && metadata.target().starts_with("skein_");
        Spans::new(self.clone()).with_filter(filter_fn(own).with_max_level_hint(LevelFilter::INFO))
    }

    /// Takes a span that is over. When the queue is full, it is dropped.
    fn take(&self, span: SpanData) {
        self.0.read().unwrap_or_else(PoisonError::into_inner).on_end(span);
    }

    /// Sends what waits, if the collector takes it soon.
    pub(crate) fn stop(&self) {
        let processor = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = processor.shutdown_with_timeout(LAST_CALL) {
            tracing::warn!(%error, "the last spans did not reach the collector");
        }
    }
}

fn resource(node: Option<&str>) -> Resource {
    let resource = Resource::builder_empty()
        .with_service_name(SERVICE)
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    match node {
        Some(node) => resource.with_attribute(KeyValue::new("service.instance.id", node.to_owned())).build(),
        None => resource.build(),
    }
}

/// The collector's address with a path.
fn address(url: &str) -> Result<Uri> {
    let uri: Uri = url.parse().with_context(|| format!("--otlp: {url:?} is no URL"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        bail!("--otlp: {url:?} is not http://HOST:PORT{PATH}, nor https");
    }
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        bail!("--otlp: no passwords in the address; put a header into OTEL_EXPORTER_OTLP_HEADERS");
    }
    if matches!(uri.path(), "" | "/") && uri.query().is_none() {
        let mut parts = uri.into_parts();
        parts.path_and_query = Some(PATH.parse().context("--otlp")?);
        return Uri::from_parts(parts).context("--otlp");
    }
    Ok(uri)
}
