//! Watches on their way: forwarded as they come, until somebody orders otherwise.
//!
//! In: the body of a watch, and orders. Out: the body that the watcher gets. It never adds an event of an object.

use futures::{Stream, stream};
use http_body_util::BodyExt;
use hyper::body::{Bytes, Frame};
use kube::client::Body;
use tokio::sync::watch;

use super::fault::Refusal;
use super::proxy::Cut;

/// What becomes of watches, those under way and those to come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// They flow.
    #[default]
    Flow,
    /// Those under way are cut off; new ones flow.
    Drop,
    /// Those under way are told that their version is too old, and end; new ones flow.
    Expire,
    /// The connection stays, and nothing comes. What happens meanwhile comes later, in its order.
    Silence,
}

/// An order, and for which resources it is; for all when none is named.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Command {
    pub(super) order: Order,
    pub(super) resources: &'static [&'static str],
}

impl Command {
    /// What it means for watches of a resource.
    fn to(self, resource: &str) -> Order {
        let meant = self.resources.is_empty() || self.resources.contains(&resource);
        if meant { self.order } else { Order::Flow }
    }
}

struct Watching {
    body: Body,
    resource: String,
    commands: watch::Receiver<Command>,
    ended: bool,
}

/// The body of a watch of `resource` under `commands`.
pub(super) fn ordered(
    body: Body,
    resource: String,
    mut commands: watch::Receiver<Command>,
) -> impl Stream<Item = Result<Frame<Bytes>, Cut>> {
    // What was ordered before it began is not for this one, but for silence, which lasts.
    commands.mark_unchanged();
    let watching = Watching { body, resource, commands, ended: false };
    stream::unfold(watching, |mut watching| async {
        if watching.ended {
            return None;
        }
        let frame = watching.next().await?;
        watching.ended |= frame.is_err();
        Some((frame, watching))
    })
}

impl Watching {
    async fn next(&mut self) -> Option<Result<Frame<Bytes>, Cut>> {
        loop {
            let now = self.commands.borrow().to(&self.resource);
            tokio::select! {
                biased;
                changed = self.commands.changed() => {
                    changed.ok()?;
                    let order = self.commands.borrow().to(&self.resource);
                    match order {
                        Order::Drop => return Some(Err(Cut)),
                        Order::Expire => return Some(Ok(self.expired())),
                        Order::Flow | Order::Silence => {}
                    }
                }
                frame = self.body.frame(), if now != Order::Silence => {
                    return frame.map(|frame| frame.map_err(|_| Cut));
                }
            }
        }
    }

    fn expired(&mut self) -> Frame<Bytes> {
        self.ended = true;
        Frame::data(format!("{{\"type\":\"ERROR\",\"object\":{}}}\n", Refusal::Gone.status()).into())
    }
}
