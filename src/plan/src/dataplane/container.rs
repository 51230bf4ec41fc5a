//! Kong's container in a pod template that is JSON.
//!
//! In: a template. Out: the container named `proxy`, its variables, its fields. It decides nothing.

use crds::names::PROXY_CONTAINER;
use serde_json::Value;

/// Kong's container.
pub fn proxy(template: &Value) -> Option<&Value> {
    template.pointer("/spec/containers")?.as_array()?.iter().find(|container| is_proxy(container))
}

/// A field of Kong's container, to change it.
pub fn field_mut<'a>(template: &'a mut Value, pointer: &str) -> Option<&'a mut Value> {
    let containers = template.pointer_mut("/spec/containers").and_then(Value::as_array_mut)?;
    containers.iter_mut().find(|container| is_proxy(container))?.pointer_mut(pointer)
}

/// The variables of a container.
pub fn variables(container: &Value) -> impl Iterator<Item = &Value> {
    container.get("env").and_then(Value::as_array).into_iter().flatten()
}

/// A variable of Kong's container.
pub fn variable<'a>(template: &'a Value, name: &str) -> Option<&'a Value> {
    variables(proxy(template)?).find(|variable| variable.get("name").and_then(Value::as_str) == Some(name))
}

/// The value of a variable of Kong's container, where it is written down and does not come from elsewhere.
pub fn value<'a>(template: &'a Value, name: &str) -> Option<&'a str> {
    let variable = variable(template, name)?;
    if variable.get("valueFrom").is_some() {
        return None;
    }
    Some(variable.get("value").and_then(Value::as_str).unwrap_or_default())
}

fn is_proxy(container: &Value) -> bool {
    container.get("name").and_then(Value::as_str) == Some(PROXY_CONTAINER)
}
