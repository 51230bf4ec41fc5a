//! From what a watch store was touched with to what has to be looked at.
//!
//! In: a store, and whose its objects are. Out: owners to look at; all of them where it is not known what was touched. It
//! decides nothing.

use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use runtime::hub::{Hub, Touch, Watched};

/// Owners of what `hub` is touched with; `all` are those that there are.
pub fn touches<K, O, I>(
    hub: &Hub<K>,
    all: &Hub<O>,
    owners: impl Fn(&K) -> I + Send + 'static,
) -> BoxStream<'static, ObjectRef<O>>
where
    K: Watched,
    O: Watched,
    I: IntoIterator<Item = ObjectRef<O>>,
{
    let all = all.clone();
    let named = move |touch: Touch<K>| match touch {
        Touch::Object(object) => owners(object.as_ref()).into_iter().collect(),
        Touch::Resync => all.all(),
    };
    hub.touched().flat_map(move |touch| stream::iter::<Vec<_>>(named(touch))).boxed()
}

/// The owner of kind `O` that controls a child.
pub fn by_owner<K: Watched, O: Watched>(child: &K) -> Option<ObjectRef<O>> {
    let kind = crds::k8s::kind::<O>();
    let owners = child.owner_references();
    let owner = owners.iter().find(|owner| owner.controller == Some(true) && owner.kind == kind)?;
    Some(ObjectRef::new(&owner.name).within(child.namespace().as_deref()?))
}
