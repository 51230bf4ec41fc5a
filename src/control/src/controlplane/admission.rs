//! The admission webhook of a Kong Ingress Controller: its certificate, its Service, and what it is asked about.
//!
//! In: what is wanted. Out: the same in the cluster. It is registered last and withdrawn first: nothing is asked that
//! nobody answers.

use certs::Request;
use crds::names::{self, managers};
use kube::runtime::reflector::ObjectRef;
use plan::controlplane::{Admission, Certificate, Valid};
use runtime::writer::Owner;

use super::{ControlPlanes, Error};
use crate::certificate::Issued;

impl ControlPlanes {
    /// What the pods serve it with.
    pub(super) async fn serve(&self, owner: &Owner, valid: &Valid<'_>) -> Result<Issued<Certificate>, Error> {
        let (hubs, authority) = (&self.0.hubs, self.0.authority.as_ref());
        let request = Request::server(plan::controlplane::webhook_names(&owner.namespace, &owner.name));
        let secret = names::controller_webhook(&owner.name);
        let trusted = (authority, authority.certificate());
        let issued = self.vouched(self.issued(trusted, (owner, &secret), &request).await?);
        let Admission { certificate, service, .. } = valid.admission(&issued.certificate);
        let certificates = self.0.kit.writer.under(managers::CERTIFICATES);
        certificates.apply(&hubs.secrets, owner, &certificate).await?;
        self.writer().apply(&hubs.services, owner, &service).await?;
        Ok(issued)
    }

    /// Has it asked.
    pub(super) async fn register(
        &self,
        owner: &Owner,
        (valid, certificate): (&Valid<'_>, &Certificate),
    ) -> Result<(), Error> {
        let configuration = valid.admission(certificate).configuration;
        self.writer().apply_cluster(&self.0.planes.webhooks, owner, &configuration).await?;
        Ok(())
    }

    /// Has it asked no more, and takes away what it was served with.
    pub(super) async fn withdraw(&self, owner: &Owner) -> Result<(), Error> {
        let (hubs, writer) = (&self.0.hubs, self.writer());
        let name = names::controller_abroad(&owner.namespace, &owner.name);
        if let Some(configuration) = self.0.planes.webhooks.get(&ObjectRef::new(&name)) {
            writer.remove_cluster(owner, configuration.as_ref()).await?;
        }
        let name = names::controller_webhook(&owner.name);
        writer.remove(&hubs.services, owner, &name).await?;
        writer.remove(&hubs.secrets, owner, &name).await?;
        Ok(())
    }
}
