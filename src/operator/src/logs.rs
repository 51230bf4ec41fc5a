//! Logs: to standard error, as JSON or for people; and the spans that traces are made of, where they are asked for.

use std::io::IsTerminal;

use opentelemetry_sdk::trace::Tracer;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::{ParseError, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use crate::args::LogFormat;

/// Spans of the product; what the libraries below say of themselves is no trace of ours.
const TRACED: &str = "runtime::";

/// Starts logging for the whole process.
///
/// # Errors
/// When the filter cannot be read.
pub fn start(filter: &str, format: LogFormat, tracer: Option<Tracer>) -> Result<(), ParseError> {
    let filter = EnvFilter::builder().parse(filter)?;
    let logs = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let logs = match format {
        LogFormat::Json => {
            logs.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed()
        }
        LogFormat::Text => logs.compact().boxed(),
    };
    tracing_subscriber::registry().with(logs.with_filter(filter)).with(tracer.map(traces)).init();
    Ok(())
}

fn traces<S: Subscriber + for<'a> LookupSpan<'a>>(tracer: Tracer) -> impl Layer<S> {
    let ours = |of: &Metadata<'_>| of.is_span() && of.target().starts_with(TRACED);
    tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_filter(filter_fn(ours))
}
