//! Kong's container in a pod template that is JSON.
//!
//! In: a template. Out: the container named `proxy`, its variables, its fields, and where a user's template has them.
//! It decides nothing.

use crds::names::PROXY_CONTAINER;
use serde_json::Value;

use super::template::PATH;

/// Path of Kong's container as its author counts: `patch` is the user's template as it was written. Where it is not
/// there, the list that it would be in.
pub fn path(patch: &Value) -> String {
    let list = format!("{PATH}.spec.containers");
    let index = patch
        .pointer("/spec/containers")
        .and_then(Value::as_array)
        .and_then(|all| all.iter().position(is_proxy));
    index.map_or(list.clone(), |index| format!("{list}[{index}]"))
}

/// Path of a variable of Kong's container as its author counts.
pub fn variable_path(patch: &Value, name: &str) -> String {
    let list = format!("{}.env", path(patch));
    let all = proxy(patch).and_then(|proxy| proxy.get("env")).and_then(Value::as_array);
    // Of two of one name the last one counts.
    let found = all.and_then(|all| {
        let index =
            all.iter().rposition(|variable| variable.get("name").and_then(Value::as_str) == Some(name))?;
        Some((index, all.get(index)?.get("value").is_some()))
    });
    match found {
        Some((index, true)) => format!("{list}[{index}].value"),
        Some((index, false)) => format!("{list}[{index}]"),
        None => list,
    }
}

/// Path of a port that a container of the user's has besides Kong's, as its author counts.
pub fn port_path(patch: &Value, number: u16) -> String {
    let of = |value: &'_ Value, pointer: &str| -> Vec<Value> {
        value.pointer(pointer).and_then(Value::as_array).cloned().unwrap_or_default()
    };
    for list in ["containers", "initContainers"] {
        for (index, container) in of(patch, &format!("/spec/{list}")).iter().enumerate() {
            let has = |port: &Value| port.get("containerPort").and_then(Value::as_u64) == Some(number.into());
            let port = of(container, "/ports").iter().position(has);
            if let Some(port) = port.filter(|_| list != "containers" || !is_proxy(container)) {
                return format!("{PATH}.spec.{list}[{index}].ports[{port}].containerPort");
            }
        }
    }
    format!("{PATH}.spec.containers")
}

/// Kong's container.
pub fn proxy(template: &Value) -> Option<&Value> {
    // Asked for dozens of times in a review; a JSON pointer would be read anew each time.
    template.get("spec")?.get("containers")?.as_array()?.iter().find(|container| is_proxy(container))
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
