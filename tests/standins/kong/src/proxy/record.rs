//! Counts one request when it is over, however it ends.
//! In: what became of it, bit by bit. Out: one sample to the registry, on drop. Never changes an answer.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::HeaderMap;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use tokio::time::{Instant as TokioInstant, Sleep, sleep};

use super::forward::Answered;
use super::{Exchange, millis};
use crate::answer::BodyError;
use crate::config::Snapshot;
use crate::config::service::Service;
use crate::metrics::Sample;
use crate::node::Node;
use crate::router::Route;

/// A request that is not over.
pub struct Record {
    node: Arc<Node>,
    begun: Instant,
    sample: Sample,
}

impl Record {
    /// Begins; a client that goes away from here on is counted as 499.
    pub fn new(
        exchange: &Exchange<'_>,
        snapshot: &Snapshot,
        service: &Service,
        route: &Route,
        body: &Incoming,
    ) -> Self {
        let line = exchange.head.method.as_str().len() + exchange.head.uri.to_string().len() + 12;
        let declared = body.size_hint().exact().unwrap_or(0);
        Self {
            node: exchange.node.clone(),
            begun: exchange.begun,
            sample: Sample {
                service: service.label.clone(),
                route: route.label.clone(),
                code: 499,
                from_service: true,
                counting: snapshot.plugins.counting(&route.id, &service.id),
                total: 0,
                upstream: None,
                own: 0,
                ingress: size(&exchange.head.headers) + line as u64 + declared,
                egress: 0,
            },
        }
    }

    /// Notes the length of a body that came without one.
    pub fn received(&mut self, bytes: usize) {
        self.sample.ingress = self.sample.ingress.max(bytes as u64);
    }

    /// Ends with an answer of Kong's own.
    pub fn own(mut self, code: u16, bytes: u64) {
        self.sample.code = code;
        self.sample.from_service = false;
        self.sample.egress += bytes;
        self.sample.own = millis(self.begun);
    }

    /// The upstream answered; the request goes on until its body is sent.
    pub fn answered(mut self, answered: &Answered) -> Self {
        self.sample.code = answered.response.status().as_u16();
        self.sample.upstream = Some(answered.waited);
        self.sample.own = millis(self.begun).saturating_sub(answered.waited);
        self.sample.egress += size(answered.response.headers()) + 17;
        self
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.sample.total = millis(self.begun);
        self.node.metrics.count(&self.sample);
    }
}

fn size(headers: &HeaderMap) -> u64 {
    headers.iter().map(|(name, value)| (name.as_str().len() + value.len() + 4) as u64).sum()
}

/// The upstream's body on its way to the client: counted, and given up where the upstream pauses too long.
pub struct Counted {
    inner: Incoming,
    record: Option<Record>,
    limit: Duration,
    timer: Pin<Box<Sleep>>,
}

impl Counted {
    /// Wraps a body.
    pub fn new(inner: Incoming, record: Option<Record>, limit: Duration) -> Self {
        Self { inner, record, limit, timer: Box::pin(sleep(limit)) }
    }
}

impl Body for Counted {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                if let Some(record) = &mut self.record {
                    record.sample.egress += bytes as u64;
                }
                let next = TokioInstant::now() + self.limit;
                self.timer.as_mut().reset(next);
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(Box::new(error)))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => self.timer.as_mut().poll(cx).map(|()| Some(Err("upstream timed out".into()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
