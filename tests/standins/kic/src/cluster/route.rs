//! Routes of the Gateway API, of whatever kind, in one shape.
//! In: objects. Out: parents, hostnames, rules, and the status that is there. Never judges them.

use gateway_api::apis::standard::httproutes::{HttpRouteRules, HttpRouteSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use kube::core::DynamicObject;
use serde::{Deserialize, Serialize};

use super::cache::Kept;
use crate::settings::values::Named;
use crate::translate::object::Object;

/// A reference to a parent.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct ParentRef {
    /// Group, the Gateway API's where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Kind, `Gateway` where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Namespace, the route's where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
    /// Name of a listener.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub section_name: Option<String>,
    /// Port of listeners.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<i32>,
}

/// What a controller says of one parent.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct ParentStatus {
    /// The parent.
    pub parent_ref: ParentRef,
    /// Who says so.
    pub controller_name: String,
    /// What is said.
    pub conditions: Vec<Condition>,
}

/// A reference to what serves requests.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct BackendRef {
    /// Group, the core's where absent.
    pub group: Option<String>,
    /// Kind, `Service` where absent.
    pub kind: Option<String>,
    /// Namespace, the route's where absent.
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
    /// Port.
    pub port: Option<i32>,
    /// Weight, 1 where absent.
    pub weight: Option<i32>,
}

/// What a route does.
#[derive(Clone, Debug)]
pub enum Rules {
    /// By HTTP requests.
    Http(Vec<HttpRouteRules>),
    /// By connections or datagrams: backends by rule.
    Stream(Vec<Vec<BackendRef>>),
}

/// A route.
#[derive(Clone, Debug)]
pub struct Route {
    /// What it is.
    pub object: Object,
    /// Its generation.
    pub generation: i64,
    /// Its parents.
    pub parents: Vec<ParentRef>,
    /// Its hostnames.
    pub hostnames: Vec<String>,
    /// What it does.
    pub rules: Rules,
    /// What controllers said of it.
    pub status: Vec<ParentStatus>,
}

impl Route {
    /// Namespace and name.
    pub fn named(&self) -> Named {
        Named::new(&self.object.namespace, &self.object.name)
    }

    /// All backends of all rules.
    pub fn backends(&self) -> Vec<BackendRef> {
        match &self.rules {
            Rules::Stream(rules) => rules.concat(),
            Rules::Http(rules) => rules.iter().flat_map(backends).collect(),
        }
    }
}

/// The backends of a rule.
pub fn backends(rule: &HttpRouteRules) -> Vec<BackendRef> {
    let all = rule.backend_refs.iter().flatten();
    all.map(|one| BackendRef {
        group: one.group.clone(),
        kind: one.kind.clone(),
        namespace: one.namespace.clone(),
        name: one.name.clone(),
        port: one.port,
        weight: one.weight,
    })
    .collect()
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct StreamSpec {
    hostnames: Vec<String>,
    rules: Vec<StreamRule>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct StreamRule {
    backend_refs: Vec<BackendRef>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Parents {
    parent_refs: Vec<ParentRef>,
}

impl Kept for Route {
    fn read(object: &DynamicObject) -> Option<Self> {
        let types = object.types.clone()?;
        let (group, version) = types.api_version.split_once('/')?;
        let spec = object.data.get("spec")?.clone();
        let parents: Parents = serde_json::from_value(spec.clone()).ok()?;
        let (hostnames, rules) = if types.kind == "HTTPRoute" {
            let spec: HttpRouteSpec = serde_json::from_value(spec).ok()?;
            (spec.hostnames.unwrap_or_default(), Rules::Http(spec.rules.unwrap_or_default()))
        } else {
            let spec: StreamSpec = serde_json::from_value(spec).ok()?;
            (spec.hostnames, Rules::Stream(spec.rules.into_iter().map(|rule| rule.backend_refs).collect()))
        };
        let status = object.data.pointer("/status/parents").cloned().unwrap_or_default();
        Some(Self {
            object: Object::of(group, version, &types.kind, &object.metadata),
            generation: object.metadata.generation.unwrap_or(0),
            parents: parents.parent_refs,
            hostnames,
            rules,
            status: serde_json::from_value(status).unwrap_or_default(),
        })
        .filter(|_| !object.name_any().is_empty())
    }
}
