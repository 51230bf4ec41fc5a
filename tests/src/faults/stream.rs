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

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{FutureExt, StreamExt};

    const EVENT: &str = "{\"type\":\"ADDED\"}\n";

    struct Watched(std::pin::Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, Cut>>>>);

    impl Watched {
        fn under(commands: &watch::Sender<Command>) -> Self {
            let body = Body::from(EVENT.as_bytes().to_vec());
            Self(Box::pin(ordered(body, "pods".into(), commands.subscribe())))
        }

        /// What comes now; `None` where nothing does, and `end` or `cut` at the end.
        fn now(&mut self) -> Option<String> {
            Some(match self.0.next().now_or_never()? {
                Some(Ok(frame)) => String::from_utf8(frame.into_data().ok()?.to_vec()).ok()?,
                Some(Err(Cut)) => "cut".into(),
                None => "end".into(),
            })
        }
    }

    fn order(commands: &watch::Sender<Command>, order: Order, resources: &'static [&'static str]) {
        commands.send_replace(Command { order, resources });
    }

    #[test]
    fn a_watch_flows_and_what_was_ordered_before_it_is_not_for_it() {
        let commands = watch::Sender::default();
        order(&commands, Order::Drop, &[]);
        let mut watch = Watched::under(&commands);
        assert_eq!((watch.now().as_deref(), watch.now().as_deref()), (Some(EVENT), Some("end")));
    }

    #[test]
    fn a_watch_is_cut_or_told_that_it_is_too_old() {
        let commands = watch::Sender::default();
        let (mut one, mut other) = (Watched::under(&commands), Watched::under(&commands));
        order(&commands, Order::Drop, &["secrets"]);
        assert_eq!(one.now().as_deref(), Some(EVENT), "an order for others");
        order(&commands, Order::Drop, &["pods"]);
        assert_eq!(one.now().as_deref(), Some("cut"));
        order(&commands, Order::Expire, &[]);
        let told = other.now().unwrap();
        assert!(told.starts_with("{\"type\":\"ERROR\"") && told.contains("\"code\":410"), "{told}");
        assert_eq!(other.now().as_deref(), Some("end"));
    }

    #[test]
    fn a_silent_watch_gives_later_what_came() {
        let commands = watch::Sender::default();
        order(&commands, Order::Silence, &[]);
        let mut watch = Watched::under(&commands);
        assert_eq!((watch.now(), watch.now()), (None, None));
        order(&commands, Order::Flow, &[]);
        assert_eq!(watch.now().as_deref(), Some(EVENT));
    }
}
