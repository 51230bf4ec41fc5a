//! The container of Kong Ingress Controller in a pod template that is JSON.
//!
//! In: a template. Out: the container named `controller`, its variables and fields. It decides nothing.

use serde_json::Value;

use crate::pod::CONTROLLER;

/// The container.
pub fn controller(template: &Value) -> Option<&Value> {
    let containers = template.pointer("/spec/containers")?.as_array()?;
    containers.iter().find(|container| is_controller(container))
}

/// A field of the container, to change it.
pub fn field_mut<'a>(template: &'a mut Value, pointer: &str) -> Option<&'a mut Value> {
    let containers = template.pointer_mut("/spec/containers").and_then(Value::as_array_mut)?;
    containers.iter_mut().find(|container| is_controller(container))?.pointer_mut(pointer)
}

/// Its image, where it is given.
pub fn image(template: &Value) -> Option<&str> {
    controller(template)?.get("image")?.as_str()
}

/// The value of a variable, where it is written down and does not come from elsewhere.
pub fn value<'a>(template: &'a Value, name: &str) -> Option<&'a str> {
    let variables = controller(template)?.get("env").and_then(Value::as_array)?;
    let is_it = |variable: &&Value| variable.get("name").and_then(Value::as_str) == Some(name);
    let variable = variables.iter().find(is_it)?;
    if variable.get("valueFrom").is_some() {
        return None;
    }
    Some(variable.get("value").and_then(Value::as_str).unwrap_or_default())
}

fn is_controller(container: &Value) -> bool {
    container.get("name").and_then(Value::as_str) == Some(CONTROLLER.container)
}
