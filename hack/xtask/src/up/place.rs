//! Where things are brought up: in a box of our own, or in a cluster that somebody has.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use cluster::toolchain::{self, Component};
use cluster::{Cluster, Images, Options};
use crds::defaults::HTTP_PORT;
use crds::names::ingress_service;
use gateway_api::gateways::Gateway;
use http::Request;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::Api;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config, ResourceExt};
use tests::{Operator, http as ask, install};
use tokio::process::Command;

use super::Arguments;
use crate::products::{self, Profile};
use crate::show;

/// A cluster to show things in.
pub enum Place {
    /// A box that ends with us.
    Box(Box<Cluster>),
    /// Somebody's cluster, by its kubeconfig.
    Elsewhere(PathBuf),
}

/// What was asked and what came back.
pub struct Answer {
    /// The request's URL.
    pub asked: String,
    /// The body of the answer.
    pub body: String,
}

impl Place {
    /// Builds what is missing, and starts the box if there is to be one.
    pub async fn prepare(arguments: &Arguments) -> Result<Self> {
        if let Some(kubeconfig) = arguments.kubeconfig.clone() {
            ensure!(kubeconfig.is_file(), "{} is no file", kubeconfig.display());
            ensure!(has_kubectl().await, "kubectl is needed on the PATH to use a cluster of your own");
            products::build(&["operator"], Profile::Dev)?;
            return Ok(Self::Elsewhere(std::path::absolute(kubeconfig)?));
        }
        products::build(
            &["operator", "cluster", "standin-kong", "standin-kic", "standin-echo"],
            Profile::Dev,
        )?;
        for component in [Component::Kubernetes, Component::Node, Component::CoreDns, Component::GatewayApi] {
            toolchain::ensure(component, &mut |step| show::step(&step))?;
        }
        let archives = match arguments.images {
            Images::StandIns => products::archives(&["kong", "kic", "echo"], Profile::Dev)?,
            Images::Real => Vec::new(),
        };
        let options = Options {
            name: arguments.name.clone(),
            nodes: arguments.nodes,
            images: arguments.images,
            dns: true,
            gateway_api: true,
            archives,
            ..Options::default()
        };
        Ok(Self::Box(Box::new(Cluster::start(options, show::step).await?)))
    }

    /// kubectl for this cluster.
    pub fn kubectl(&self) -> Result<Command> {
        match self {
            Self::Box(cluster) => cluster.kubectl(),
            Self::Elsewhere(kubeconfig) => {
                let mut kubectl = Command::new("kubectl");
                kubectl.arg("--kubeconfig").arg(kubeconfig);
                Ok(kubectl)
            }
        }
    }

    /// A client for this cluster.
    pub async fn client(&self) -> Result<Client> {
        match self {
            Self::Box(cluster) => cluster.client().await,
            Self::Elsewhere(kubeconfig) => {
                let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
                let config =
                    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
                Ok(Client::try_from(config)?)
            }
        }
    }

    /// Installs what an administrator applies and starts the operator.
    pub async fn operator(&self, folder: &Path) -> Result<Operator> {
        let program = products::program("silverback", Profile::Dev);
        match self {
            Self::Box(cluster) => Operator::install(cluster, &program, folder).await,
            Self::Elsewhere(kubeconfig) => {
                self.has_gateways().await?;
                install::apply(|| self.kubectl()).await?;
                Operator::outside(kubeconfig, &program, folder)
            }
        }
    }

    /// Whether the cluster knows the kinds of the sample.
    async fn has_gateways(&self) -> Result<()> {
        let definitions: Api<CustomResourceDefinition> = Api::all(self.client().await?);
        let found = definitions.get_metadata_opt("gateways.gateway.networking.k8s.io").await?;
        ensure!(
            found.is_some(),
            "this cluster has no Gateway API: install its definitions first, with kubectl apply --server-side -f \
             https://github.com/kubernetes-sigs/gateway-api/releases/download/v1.6.3/standard-install.yaml"
        );
        Ok(())
    }

    /// Sends a request to a `Gateway`; anything but a success is an error.
    pub async fn ask(&self, gateway: &Gateway, path: &str) -> Result<Answer> {
        match self {
            Self::Box(cluster) => {
                let addresses = gateway.status.as_ref().and_then(|status| status.addresses.as_ref());
                let first = addresses.and_then(|all| all.first()).context("the Gateway has no address")?;
                let address: IpAddr = first.value.parse()?;
                let to = SocketAddr::new(address, HTTP_PORT.number());
                let answer = ask::get(cluster, to, &first.value, path).await?;
                ensure!(answer.status.is_success(), "{}: {}", answer.status, answer.body.trim());
                Ok(Answer { asked: format!("http://{to}{path}"), body: answer.body })
            }
            Self::Elsewhere(_) => {
                let service = ingress_service(&gateway.name_any());
                let namespace = gateway.namespace().unwrap_or_default();
                // Through the API server, because nothing is known of the way to this cluster's addresses.
                let url = format!("/api/v1/namespaces/{namespace}/services/http:{service}:http/proxy{path}");
                let request = Request::get(&url).body(Vec::new())?;
                let body = self.client().await?.request_text(request).await?;
                Ok(Answer { asked: url, body })
            }
        }
    }

    /// Says how to go on.
    pub fn invite(&self, log: &Path) {
        let (kubectl, ends) = match self {
            Self::Box(cluster) => {
                println!("\nThis cluster is yours until you interrupt this command (Ctrl-C).");
                println!("  from here:      export KUBECONFIG={}", cluster.kubeconfig().display());
                println!(
                    "  from inside:    cargo xtask enter     (kubectl is there, Service addresses answer)"
                );
                println!("  its logs:       {}", cluster.logs().display());
                ("cargo xtask enter -- kubectl".to_owned(), "The box ends with this command.")
            }
            Self::Elsewhere(kubeconfig) => {
                println!("\nThe operator runs until you interrupt this command (Ctrl-C).");
                (
                    format!("kubectl --kubeconfig {}", kubeconfig.display()),
                    "What it made stays in the cluster.",
                )
            }
        };
        println!("  operator's log: {}", log.display());
        println!("  try:            {kubectl} get gateways,dataplanes,controlplanes -o wide");
        println!("{ends}");
    }

    /// Waits until somebody else ends the box.
    pub async fn ended(&mut self) -> Result<()> {
        match self {
            Self::Box(cluster) => cluster.wait().await,
            Self::Elsewhere(_) => std::future::pending().await,
        }
    }

    /// Ends the box.
    pub async fn end(self) -> Result<()> {
        match self {
            Self::Box(cluster) => cluster.stop().await,
            Self::Elsewhere(_) => Ok(()),
        }
    }
}

async fn has_kubectl() -> bool {
    let asked = Command::new("kubectl")
        .arg("version")
        .arg("--client")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    asked.await.is_ok_and(|status| status.success())
}
