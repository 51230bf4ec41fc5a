//! Which `GatewayConfiguration` a Gateway is made by.
//!
//! In: the references of a class and of a Gateway, and what they lead to. Out: one specification, or what is wrong. Of two
//! specifications the Gateway's wins, field by field.

use std::sync::Arc;

use crds::names::GROUP;
use crds::{GatewayConfiguration, GatewayConfigurationSpec, lists};
use gateway_api::gatewayclasses::GatewayClass;
use gateway_api::gateways::Gateway;
use serde_json::{Map, Value};

use super::configuration::problems;
use crate::Invalid;

/// The kind that holds parameters.
const KIND: &str = "GatewayConfiguration";
/// Fields that are taken whole from one of the two: what is in them belongs together.
const WHOLE: [&str; 6] =
    ["horizontal", "ipFamilies", "podDisruptionBudget", "rollout", "strategy", "watchNamespaces"];
/// Fields of which one excludes the other.
const RIVALS: [&str; 2] = ["replicas", "scaling"];

/// Where parameters are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Namespace of the `GatewayConfiguration`.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// Where the parameters of a class are, where it has any.
///
/// # Errors
/// Why the reference leads nowhere.
pub fn of_class(class: &GatewayClass) -> Result<Option<Place>, String> {
    let Some(reference) = &class.spec.parameters_ref else { return Ok(None) };
    known(&reference.group, &reference.kind, "spec.parametersRef")?;
    match reference.namespace.as_deref().filter(|namespace| !namespace.is_empty()) {
        Some(namespace) => Ok(Some(Place { namespace: namespace.to_owned(), name: reference.name.clone() })),
        None => {
            Err("spec.parametersRef.namespace is missing: a GatewayConfiguration is in a namespace".into())
        }
    }
}

/// Where the parameters of a Gateway are, where it has any besides those of its class.
///
/// # Errors
/// Why the reference leads nowhere.
pub fn of_gateway(gateway: &Gateway) -> Result<Option<Place>, String> {
    let infrastructure = gateway.spec.infrastructure.as_ref();
    let Some(reference) = infrastructure.and_then(|infrastructure| infrastructure.parameters_ref.as_ref())
    else {
        return Ok(None);
    };
    known(&reference.group, &reference.kind, "spec.infrastructure.parametersRef")?;
    let namespace = gateway.metadata.namespace.clone().unwrap_or_default();
    Ok(Some(Place { namespace, name: reference.name.clone() }))
}

/// The configuration of a Gateway: that of its class, and its own over it, each as `find` finds it.
///
/// # Errors
/// Which reference leads nowhere, or to what is not valid.
pub fn of(
    class: &GatewayClass,
    gateway: &Gateway,
    find: impl Fn(&Place) -> Option<Arc<GatewayConfiguration>>,
) -> Result<GatewayConfigurationSpec, String> {
    let found = |place: Option<Place>| match place {
        Some(place) => at(&place, find(&place)).map(Some),
        None => Ok(None),
    };
    let of_class = of_class(class).and_then(&found).map_err(|words| format!("GatewayClass: {words}"))?;
    let own = of_gateway(gateway).and_then(found)?;
    Ok(combined(of_class.as_deref(), own.as_deref()))
}

fn known(group: &str, kind: &str, at: &str) -> Result<(), String> {
    if (group, kind) == (GROUP, KIND) {
        return Ok(());
    }
    Err(format!("{at}: {kind:?} of group {group:?} is not supported: use {KIND} of {GROUP}"))
}

/// What was found at a place, where anything can be made of it.
///
/// # Errors
/// That nothing is there, or what is wrong with it.
pub fn at(
    place: &Place,
    found: Option<Arc<GatewayConfiguration>>,
) -> Result<Arc<GatewayConfiguration>, String> {
    let named = || format!("{KIND} {}/{}", place.namespace, place.name);
    let found = found.ok_or_else(|| format!("{} does not exist", named()))?;
    match problems(&found) {
        problems if problems.is_empty() => Ok(found),
        problems => Err(format!("{} is not valid: {}", named(), Invalid(problems))),
    }
}

/// One specification of two, of which the second one wins.
pub fn combined(
    class: Option<&GatewayConfiguration>,
    gateway: Option<&GatewayConfiguration>,
) -> GatewayConfigurationSpec {
    match (class, gateway) {
        (Some(class), Some(gateway)) => {
            let spelt = |spec: &GatewayConfigurationSpec| serde_json::to_value(spec).unwrap_or_default();
            let both = joined("", spelt(&class.spec), spelt(&gateway.spec));
            serde_json::from_value(both).unwrap_or_else(|_| gateway.spec.clone())
        }
        (Some(one), None) | (None, Some(one)) => one.spec.clone(),
        (None, None) => GatewayConfigurationSpec::default(),
    }
}

fn joined(field: &str, base: Value, over: Value) -> Value {
    match (field, base, over) {
        ("podTemplateSpec", base, over) => composed(field, base, over),
        ("listenersOptions", Value::Array(base), Value::Array(over)) => {
            Value::Array(items(&["name"], base, over, &|base, over| joined("", base, over)))
        }
        (field, Value::Object(mut base), Value::Object(over)) if !WHOLE.contains(&field) => {
            if RIVALS.iter().any(|rival| over.contains_key(*rival)) {
                base.retain(|name, _| !RIVALS.contains(&name.as_str()));
            }
            members(base, over, &joined)
        }
        (_, _, over) => over,
    }
}

/// One patch that says what two say one after the other. What removes something stays in it, for it removes what the
/// operator would put there.
pub fn composed(field: &str, base: Value, over: Value) -> Value {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) if !over.contains_key("$patch") => {
            Value::Object(members(base, over, &composed).as_object().cloned().unwrap_or_default())
        }
        (Value::Array(base), Value::Array(over)) => match lists::keys(field, &over) {
            Some(keys) => Value::Array(items(keys, base, over, &|base, over| composed("", base, over))),
            None => Value::Array(over),
        },
        (_, over) => over,
    }
}

fn members(
    mut base: Map<String, Value>,
    over: Map<String, Value>,
    join: &dyn Fn(&str, Value, Value) -> Value,
) -> Value {
    for (name, value) in over {
        let value = match base.remove(&name) {
            Some(found) => join(&name, found, value),
            None => value,
        };
        base.insert(name, value);
    }
    Value::Object(base)
}

fn items(
    keys: &[&str],
    mut base: Vec<Value>,
    over: Vec<Value>,
    join: &dyn Fn(Value, Value) -> Value,
) -> Vec<Value> {
    let key = |item: &Value| {
        let mut spelt = String::new();
        for key in keys {
            lists::spell_key(item, key, &mut spelt);
        }
        spelt
    };
    for item in over {
        match base.iter_mut().find(|found| key(found) == key(&item)) {
            Some(found) => *found = join(found.take(), item),
            None => base.push(item),
        }
    }
    base
}
