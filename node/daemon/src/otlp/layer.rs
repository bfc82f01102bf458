//! From the node's spans to those of OpenTelemetry.
//!
//! In: spans as they open, change and close. Out: finished spans with trace ids. Holds: the fields of open spans. Spans that
//! name no migration are nobody's trace and go nowhere.

use std::borrow::Cow;
use std::fmt::Debug;
use std::time::{Instant, SystemTime};

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, SpanData, SpanEvents, SpanLinks};
use skein_protocol::hash::Hash256;
use skein_protocol::ids::MigrationId;
use tracing::Subscriber;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::Traces;

/// Ends that are failures. Others are ends that the record knows how to go on from, or none at all.
const FAILURES: [&str; 2] = ["error", "failed"];

/// Listens to spans.
#[derive(Debug)]
pub(super) struct Spans {
    to: Traces,
    scope: InstrumentationScope,
}

/// A span that is not over.
#[derive(Debug)]
struct Open {
    at: SystemTime,
    since: Instant,
    fields: Fields,
}

/// What a span says of itself.
#[derive(Debug, Default)]
struct Fields {
    all: Vec<KeyValue>,
    migration: Option<MigrationId>,
    run: u64,
    batch: Option<String>,
    attempt: u64,
    job: Option<String>,
    end: Option<String>,
    /// Whether another node asked for it.
    borrowed: bool,
}

impl Spans {
    pub(super) fn new(to: Traces) -> Self {
        Self { to, scope: InstrumentationScope::builder("skein").with_version(env!("CARGO_PKG_VERSION")).build() }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let (Some(span), Some(_)) = (context.span(id), fields.migration) {
            span.extensions_mut().insert(Open { at: SystemTime::now(), since: Instant::now(), fields });
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(open) = span.extensions_mut().get_mut::<Open>()
        {
            values.record(&mut open.fields);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        // Not held while the span is handed on.
        let open = span.extensions_mut().remove::<Open>();
        if let Some(open) = open
            && let Some(migration) = open.fields.migration
        {
            self.to.take(open.finish(span.name(), migration, self.scope.clone()));
        }
    }
}

impl Open {
    fn finish(self, name: &'static str, migration: MigrationId, scope: InstrumentationScope) -> SpanData {
        let Self { at, since, fields } = self;
        let trace = trace_id(migration, fields.run);
        let batch = fields.batch.as_ref().map(|batch| batch_span_id(trace, batch, fields.attempt));
        // Who runs a batch for another node knows under which id that node has it.
        let (own, parent) = match batch {
            Some(owners) if fields.borrowed => (None, Some(owners)),
            own => (own, None),
        };
        let own = own.unwrap_or_else(|| RandomIdGenerator::default().new_span_id());
        SpanData {
            span_context: SpanContext::new(trace, own, TraceFlags::SAMPLED, false, TraceState::default()),
            parent_span_id: parent.unwrap_or(SpanId::INVALID),
            parent_span_is_remote: parent.is_some(),
            span_kind: if fields.borrowed { SpanKind::Server } else { SpanKind::Internal },
            name: fields.job.map_or(Cow::Borrowed(name), Cow::Owned),
            start_time: at,
            // The clock may have been set meanwhile.
            end_time: at + since.elapsed(),
            attributes: fields.all,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: match fields.end {
                Some(end) if FAILURES.contains(&end.as_str()) => Status::error(end),
                _ => Status::Unset,
            },
            instrumentation_scope: scope,
        }
    }
}

/// The trace of one run of a migration: the same on all nodes.
pub(super) fn trace_id(migration: MigrationId, run: u64) -> TraceId {
    TraceId::from(migration.0.as_u128() ^ u128::from(run))
}

/// The span that a batch has at its owner: the same wherever it is computed. An attempt is given once in a run.
pub(super) fn batch_span_id(trace: TraceId, batch: &str, attempt: u64) -> SpanId {
    let Hash256([a, b, c, d, e, f, g, h, ..]) = Hash256::of(format!("span\n{trace}\n{batch}\n{attempt}").as_bytes());
    SpanId::from_bytes([a, b, c, d, e, f, g, h])
}

impl Fields {
    fn text(&mut self, field: &Field, value: String) {
        match field.name() {
            "migration" => self.migration = value.parse().ok(),
            "batch" => self.batch = Some(value.clone()),
            "job" => self.job = Some(value.clone()),
            "end" => self.end = Some(value.clone()),
            _ => {}
        }
        self.all.push(KeyValue::new(format!("skein.{}", field.name()), value));
    }
}

impl Visit for Fields {
    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "run" => self.run = value,
            "attempt" => self.attempt = value,
            "owner" => self.borrowed = true,
            _ => {}
        }
        let key = format!("skein.{}", field.name());
        self.all.push(match i64::try_from(value) {
            Ok(number) => KeyValue::new(key, number),
            // Collectors have no larger numbers; texts keep all digits.
            Err(_) => KeyValue::new(key, value.to_string()),
        });
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.text(field, format!("{value:?}"));
    }
}
