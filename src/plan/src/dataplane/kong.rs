//! What Kong would refuse of its variables, and variables that say otherwise than the ports of the Service.
//!
//! In: the user's pod template and the ports. Out: problems, where the author wrote the variable. What comes from
//! somewhere else, by `valueFrom` or a reference to another variable, cannot be read here and is no problem.

use crds::names::PROXY_CONTAINER;
use serde_json::Value;

use super::container::{self, variable_path};
use super::listen;
use super::ports::{self, Mapped};
use super::template::PATH;
use crate::image::{GATEWAY, Image};
use crate::invalid::{Cause, Problem};

const DATABASE: &str = "KONG_DATABASE";
const MAPS: &str = "KONG_PORT_MAPS";
/// The variables whose value is a list of addresses.
const LISTENS: [&str; 5] = [
    "KONG_ADMIN_GUI_LISTEN",
    "KONG_ADMIN_LISTEN",
    "KONG_PROXY_LISTEN",
    "KONG_STATUS_LISTEN",
    "KONG_STREAM_LISTEN",
];

/// Everything that is wrong. `written` is the template as it was written, `patch` the same read; `given` says whether
/// the ports are the author's own.
pub fn problems(written: &Value, patch: &Value, mapped: &[Mapped], given: bool) -> Vec<Problem> {
    let mut problems: Vec<Problem> = databases(written).collect();
    problems.extend(LISTENS.iter().filter_map(|name| malformed(written, patch, name)));
    problems.extend(role(written, patch));
    if problems.is_empty() {
        problems.extend(silent(written, patch, mapped).filter(|_| given));
        problems.extend(clear(written, patch, mapped));
        problems.extend(maps(written, patch, mapped, given));
    }
    problems
}

/// The value of a variable of the user's, where it can be read.
pub fn literal<'a>(patch: &'a Value, name: &str) -> Option<&'a str> {
    container::value(patch, name).filter(|value| !value.contains("$("))
}

/// Containers besides the one that serves, such as one that checks a configuration before Kong starts, whatever their
/// image: a copy of Kong's has a name of its own. The one that serves is looked at with our defaults in place.
fn databases(written: &Value) -> impl Iterator<Item = Problem> {
    others(written).filter_map(|(list, index, container)| {
        let (at, variable) = database(container)?;
        let value = variable.get("value").and_then(Value::as_str)?;
        if ["", "off"].contains(&value) || value.contains("$(") {
            return None;
        }
        let message =
            format!("{value:?} is not supported: Kong runs without a database here, set it to \"off\"");
        let at = format!("{PATH}.spec.{list}[{index}].env[{at}].value");
        Some(Problem::at(at, message).because(Cause::NotSupported))
    })
}

/// Containers besides the one that serves which run an image of Kong's, and whose `KONG_DATABASE` cannot be read: their
/// lists and names.
pub fn hidden_databases(patch: &Value) -> impl Iterator<Item = (&'static str, &str)> {
    others(patch).filter_map(|(list, _, container)| {
        let image = Image::read(container.get("image")?.as_str()?).ok()?;
        let elsewhere = match database(container) {
            Some((_, variable)) => {
                let value = variable.get("value").and_then(Value::as_str).unwrap_or_default();
                variable.get("valueFrom").is_some_and(Value::is_object) || value.contains("$(")
            }
            None => from_elsewhere(container),
        };
        (elsewhere && image.is_of(&GATEWAY)).then_some((list, container.get("name")?.as_str()?))
    })
}

/// Whether `envFrom` may bring the variable.
fn from_elsewhere(container: &Value) -> bool {
    let from = container.get("envFrom").and_then(Value::as_array).into_iter().flatten();
    let mut prefixes = from.map(|from| from.get("prefix").and_then(Value::as_str).unwrap_or_default());
    prefixes.any(|prefix| DATABASE.starts_with(prefix))
}

/// Every container but the one that serves, with its list and its number there.
fn others(patch: &Value) -> impl Iterator<Item = (&'static str, usize, &Value)> {
    ["containers", "initContainers"].into_iter().flat_map(move |list| {
        let all = patch.pointer(&format!("/spec/{list}")).and_then(Value::as_array).into_iter().flatten();
        let all = all.enumerate().map(move |(index, container)| (list, index, container));
        all.filter(|(list, _, container)| {
            let name = container.get("name").and_then(Value::as_str);
            *list != "containers" || name != Some(PROXY_CONTAINER)
        })
    })
}

/// The variable, with its number; of two of one name the last one counts.
fn database(container: &Value) -> Option<(usize, &Value)> {
    let variables = container::variables(container).enumerate();
    variables.filter(|(_, v)| v.get("name").and_then(Value::as_str) == Some(DATABASE)).last()
}

/// Kong does not start with a list that it cannot read.
fn malformed(written: &Value, patch: &Value, name: &str) -> Option<Problem> {
    let value = literal(patch, name).filter(|value| !["", "off"].contains(value))?;
    let entry =
        value.split(',').map(str::trim).find(|entry| *entry != "off" && !listen::is_address(entry))?;
    let message = format!(
        "{entry:?} is no address: write it as \"0.0.0.0:8000\" or \"[::]:8443 ssl\", several with commas"
    );
    Some(Problem::at(variable_path(written, name), message))
}

/// A control plane of hybrid mode needs a database.
fn role(written: &Value, patch: &Value) -> Option<Problem> {
    let name = "KONG_ROLE";
    literal(patch, name).filter(|role| *role == "control_plane")?;
    let message =
        "\"control_plane\" is not supported: it needs a database, and Kong runs without one here; remove it";
    Some(Problem::at(variable_path(written, name), message).because(Cause::NotSupported))
}

/// A port of the Service that leads to a proxy that was turned off.
fn silent(written: &Value, patch: &Value, mapped: &[Mapped]) -> Option<Problem> {
    let name = "KONG_PROXY_LISTEN";
    literal(patch, name).filter(|value| ["", "off"].contains(value))?;
    let port = ports::proxied(mapped).next()?;
    let message = format!("nobody listens for port {port} of the Service: remove the variable, or the port");
    Some(Problem::at(variable_path(written, name), message))
}

/// A listen with TLS for a port without, or the other way round, where the port says what it speaks.
fn clear<'a>(
    written: &'a Value,
    patch: &'a Value,
    mapped: &'a [Mapped],
) -> impl Iterator<Item = Problem> + 'a {
    ["KONG_PROXY_LISTEN", "KONG_STREAM_LISTEN"].into_iter().filter_map(move |name| {
        let listens = listen::read(literal(patch, name)?);
        let of_stream = name == "KONG_STREAM_LISTEN";
        let (port, target, word) = listens.iter().find_map(|listen| ports::spoken(mapped, listen, of_stream))?;
        let flag = if ["HTTP", "TCP"].contains(&word) { "without ssl" } else { "with ssl" };
        let message = format!("{target} has to speak {word} for port {port} of the Service: write it {flag}, or correct protocol");
        Some(Problem::at(variable_path(written, name), message))
    })
}

/// Kong takes pairs of numbers, and knows by them which port a client saw.
fn maps(written: &Value, patch: &Value, mapped: &[Mapped], given: bool) -> Option<Problem> {
    let value = literal(patch, MAPS)?;
    let at = variable_path(written, MAPS);
    let pairs = match pairs(value) {
        Ok(pairs) => pairs,
        Err(pair) => {
            let message =
                format!("{pair:?} is no pair of ports: write it as \"80:8000\", several with commas");
            return Some(Problem::at(at, message));
        }
    };
    let (port, target) = ports::mapped_to(mapped)
        .find(|(_, target)| !pairs.iter().any(|(_, to)| to == target))
        .filter(|_| given)?;
    let message = format!(
        "port {port} of the Service goes to {target}, which is missing: add \"{port}:{target}\", or remove the variable"
    );
    Some(Problem::at(at, message))
}

/// The pairs in a value of `KONG_PORT_MAPS`.
///
/// # Errors
/// The first that is none.
pub fn pairs(value: &str) -> Result<Vec<(u16, u16)>, &str> {
    let pairs = value.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (from, to) = pair.split_once(':').ok_or(pair)?;
            Ok((from.trim().parse().map_err(|_| pair)?, to.trim().parse().map_err(|_| pair)?))
        })
        .collect()
}
