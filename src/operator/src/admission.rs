//! The admission webhooks of the process: their listener, their certificate, their registration.
//!
//! In: the watch stores, the certificate, the settings. Out: answered reviews, on every replica, until it is told to
//! drain. Never: a decision; those are `webhooks`'.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use certs::Resolver;
use certs::rotation::Pace;
use control::webhook::{Mode, Registration, Setup};
use plan::dataplane::Settings;
use runtime::listen::{self, Told};
use runtime::metrics::Metrics;
use webhooks::routes::{Act, ROUTES};
use webhooks::world::World;
use webhooks::{Server, configuration, router};

use crate::args::{CertificateSource, Run};
use crate::run::Failed;

/// Where certificates come from, by the command line.
pub fn setup(run: &Run) -> Setup {
    let flags = &run.webhooks;
    let mode = match flags.webhook_certificates {
        CertificateSource::SelfManaged => Mode::SelfManaged,
        CertificateSource::Files => Mode::Files(flags.webhook_certificate_directory.clone()),
        CertificateSource::Auto => Mode::detect(Path::new("/")),
        CertificateSource::Olm => match Mode::detect(Path::new("/")) {
            Mode::Olm(folder) => Mode::Olm(folder),
            // Its mounts may come late.
            _ => Mode::Olm("/tmp/k8s-webhook-server/serving-certs".into()),
        },
    };
    Setup {
        mode,
        namespace: run.namespace.clone(),
        service: flags.webhook_service.clone(),
        secret: crds::names::WEBHOOK_SECRET.to_owned(),
        pace: Pace::with_grace(flags.webhook_authority_grace),
    }
}

/// What the API server is told.
pub fn registration(run: &Run) -> Registration {
    let test = ROUTES.iter().find(|route| route.act == Act::SelfTest).map_or("", |route| route.name);
    let (namespace, service) = (run.namespace.clone(), run.webhooks.webhook_service.clone());
    let (controller, watched) = (run.webhooks.controller_name.clone(), run.watch_namespaces.clone());
    Registration::new(test, move |authorities, strict| {
        let wanted = configuration::Registration {
            namespace: &namespace,
            service: &service,
            watched: &watched,
            authorities,
            strict,
            controller: &controller,
        };
        [wanted.mutating(), wanted.validating()]
    })
}

/// What the listener needs.
pub struct Admission {
    /// Where to listen.
    pub address: SocketAddr,
    /// What the operator was told.
    pub settings: Arc<Settings>,
    /// `spec.controllerName` of the classes that are ours.
    pub controller: String,
    /// Other objects.
    pub world: Arc<dyn World>,
    /// The certificate that is shown.
    pub resolver: Arc<Resolver>,
    /// Where reviews are counted.
    pub metrics: Metrics,
}

impl Admission {
    /// Serves until it is told to drain.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub async fn serve(self, told: Told) -> Result<(), Failed> {
        let reviews = self.metrics.reviews().clone();
        let routes = router(Server {
            settings: self.settings,
            controller: self.controller.into(),
            world: self.world,
            told: Arc::new(move |route, decision, took| {
                reviews.answered((route.kind.name(), route.act.as_str()), decision.as_str(), took);
            }),
        });
        let listener = listen::bind(self.address).await?;
        let tls = Arc::new(self.resolver.server()?);
        Ok(listen::secured(listener, tls, routes, told).await?)
    }
}
