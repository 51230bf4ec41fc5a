//! What stands in front of the pods: certificate, Services, budget; and a Service under another name than before.
//!
//! In: the children as they are wanted. Out: the two Services as they are, and whether a former one still serves. An
//! ingress Service goes when another one can do its work, and no sooner where that is possible.

use std::sync::Arc;

use crds::k8s::Service;
use crds::names::{self, labels, managers, values};
use crds::wanted::Wanted;
use kube::ResourceExt;
use plan::dataplane::{Families, Network};
use runtime::writer::{self, Cause, Owner, Target};
use serde_json::Value;

use super::{DataPlanes, Error};

/// The Services as they are.
pub struct Services {
    /// That of the admin API.
    pub admin: Arc<Service>,
    /// That which takes the traffic.
    pub ingress: Arc<Service>,
}

impl Services {
    /// What Kong is to listen on.
    pub fn families(&self) -> Families {
        Families::of([self.admin.as_ref(), self.ingress.as_ref()])
    }
}

impl DataPlanes {
    /// Identity and configuration come before the workload: a pod never starts without what it mounts. Returns the
    /// Services, whose addresses say on what families to listen.
    pub(super) async fn network(
        &self,
        owner: &Owner,
        wanted: Network,
        preview: Option<&Wanted<Service>>,
    ) -> Result<Services, Error> {
        let (hubs, writer) = (&self.0.hubs, &self.0.kit.writer);
        let Network { certificate, clients, admin, ingress, disruption_budget } = wanted;
        for secret in [&clients, &certificate] {
            writer.under(managers::CERTIFICATES).apply(&hubs.secrets, owner, secret).await?;
        }
        let admin = writer.apply(&hubs.services, owner, &admin).await?;
        let ingress = self.ingress(owner, &ingress).await?;
        self.optional(&hubs.services, owner, (&names::preview_service(&owner.name), preview)).await?;
        let budget = names::disruption_budget(&owner.name);
        self.optional(&hubs.budgets, owner, (&budget, disruption_budget.as_ref())).await?;
        Ok(Services { admin, ingress })
    }

    /// Under its old name the Service may hold the very node ports that it is to have under the new one: only then the
    /// old one goes first.
    async fn ingress(&self, owner: &Owner, wanted: &Wanted<Service>) -> Result<Arc<Service>, Error> {
        let (hub, writer) = (&self.0.hubs.services, &self.0.kit.writer);
        let refused = match writer.apply(hub, owner, wanted).await {
            Err(error @ writer::Error::Refused { cause: Cause::Port, .. }) => error,
            answer => return Ok(answer?),
        };
        let former = self.former(owner, wanted.name());
        let Some(rival) = former.iter().find(|service| shares_node_port(service, wanted.body())) else {
            return Err(refused.into());
        };
        let name = rival.name_any();
        writer.remove(hub, owner, &name).await?;
        match writer.apply(hub, owner, wanted).await {
            // Its load balancer has to be taken down before it goes.
            Err(writer::Error::Refused { cause: Cause::Port, .. }) => {
                Err(writer::Error::Terminating(Target::of::<Service>(&name)).into())
            }
            answer => Ok(answer?),
        }
    }

    /// Deletes Services under other names, once this one can take their traffic: one of type `LoadBalancer` needs its
    /// address first. Returns whether all are gone.
    pub(super) async fn retire(&self, owner: &Owner, ingress: &Service) -> Result<bool, Error> {
        let former = self.former(owner, &ingress.name_any());
        let waits = is_balanced(ingress) && !has_address(ingress);
        let (kept, gone): (Vec<_>, Vec<_>) =
            former.into_iter().partition(|service| waits && has_address(service));
        for service in &gone {
            self.0.kit.writer.remove(&self.0.hubs.services, owner, &service.name_any()).await?;
        }
        Ok(kept.is_empty())
    }

    /// Services under other names that were made to take the traffic. The status may name none of them, where a
    /// renaming was interrupted and taken back.
    fn former(&self, owner: &Owner, ingress: &str) -> Vec<Arc<Service>> {
        self.0.hubs.services.select(|service| {
            service.metadata.name.as_deref() != Some(ingress) && takes_traffic_of(service, owner)
        })
    }
}

fn takes_traffic_of(service: &Service, owner: &Owner) -> bool {
    let kind = service.labels().get(labels::SERVICE_TYPE).map(String::as_str);
    let waits = service.labels().get(labels::SERVICE_STATE).is_some_and(|state| state == values::PREVIEW);
    kind == Some(values::INGRESS)
        && !waits
        && service.owner_references().iter().any(|found| found.uid == owner.uid)
}

fn is_balanced(service: &Service) -> bool {
    service.spec.as_ref().and_then(|spec| spec.type_.as_deref()) == Some("LoadBalancer")
}

fn has_address(service: &Service) -> bool {
    let balancer = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    is_balanced(service) && balancer.is_some_and(|balancer| balancer.ingress.iter().flatten().count() > 0)
}

fn shares_node_port(service: &Service, wanted: &Value) -> bool {
    let wanted = wanted.pointer("/spec/ports").and_then(Value::as_array).into_iter().flatten();
    let wanted: Vec<_> = wanted.filter_map(|port| port.get("nodePort").and_then(Value::as_i64)).collect();
    let held = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    held.filter_map(|port| port.node_port).any(|port| wanted.contains(&i64::from(port)))
}
