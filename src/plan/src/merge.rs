//! Strategic merge of a user's pod template onto ours, as Kubernetes merges patches.
//!
//! In: our template and the user's, as JSON. Out: the merged template, or the directives that cannot be
//! carried out. Lists merge by the keys of the core API (`k8s.io/api/core/v1`, `patchMergeKey`); other lists
//! are replaced. `null` removes a field, `$patch: delete` a list item, `$patch: replace` what stands there.

use std::collections::HashMap;

use crds::lists;
use serde_json::{Map, Value};

use crate::invalid::Problem;

/// The member that says what to do with what stands there.
pub const DIRECTIVE: &str = "$patch";

/// Fields of which an object has one: naming another drops ours, as a patch with `$retainKeys` would.
const UNIONS: &[&[&str]] = &[&["exec", "grpc", "httpGet", "sleep", "tcpSocket"], &["value", "valueFrom"]];

/// Merges `patch` onto `base` in place; `at` is where the patch stands, for messages.
pub fn onto(base: &mut Value, patch: &Value, at: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    merge(base, patch, at, &mut problems);
    problems
}

fn merge(base: &mut Value, patch: &Value, at: &str, problems: &mut Vec<Problem>) {
    match (base, patch) {
        (Value::Object(base), Value::Object(patch)) => members(base, patch, at, problems),
        (base, patch) => *base = bare(patch),
    }
}

fn members(base: &mut Map<String, Value>, patch: &Map<String, Value>, at: &str, problems: &mut Vec<Problem>) {
    match patch.get(DIRECTIVE).map(|directive| (directive, directive.as_str())) {
        None | Some((_, Some("merge"))) => {}
        Some((_, Some("replace"))) => base.clear(),
        Some((directive, _)) => {
            let message =
                format!("{directive} cannot be used here: use \"replace\", or null to remove a field");
            problems.push(Problem::at(format!("{at}.{DIRECTIVE}"), message));
            return;
        }
    }
    for (name, value) in patch.iter().filter(|(name, _)| *name != DIRECTIVE) {
        drop_rivals(base, name, value);
        let here = format!("{at}.{name}");
        match (base.get_mut(name), value) {
            (_, Value::Null) => drop(base.remove(name)),
            (Some(Value::Array(list)), Value::Array(items)) => merge_list(list, items, &here, problems),
            (Some(found), value) => merge(found, value, &here, problems),
            (None, value) => drop(base.insert(name.clone(), bare(value))),
        }
    }
}

fn drop_rivals(base: &mut Map<String, Value>, name: &str, value: &Value) {
    let union = UNIONS.iter().find(|union| union.contains(&name));
    if let Some(union) = union.filter(|_| !value.is_null()) {
        base.retain(|field, _| field == name || !union.contains(&field.as_str()));
    }
}

fn merge_list(list: &mut Vec<Value>, items: &[Value], at: &str, problems: &mut Vec<Problem>) {
    let field = at.rsplit('.').next().unwrap_or_default();
    let Some(keys) = lists::keys(field, items) else {
        *list = items.iter().map(bare).collect();
        return;
    };
    // One item with this directive speaks of the whole list, as in Kubernetes.
    if items.iter().any(|item| directive(item) == Some("replace")) {
        *list = items
            .iter()
            .map(bare)
            .filter(|item| item.as_object().is_none_or(|item| !item.is_empty()))
            .collect();
        return;
    }
    let mut places = Places::of(list, keys);
    let ours =
        list.drain(..).enumerate().map(|(spot, item)| Slot { item, before: Some(spot), patched: None });
    let mut slots: Vec<_> = ours.map(Some).collect();
    for (index, item) in items.iter().enumerate() {
        match (places.spot(item), directive(item)) {
            (Some(spot), Some("delete")) => {
                if let Some(gone) = slots.get_mut(spot).and_then(Option::take) {
                    places.forget(&gone.item, spot);
                }
            }
            (None, Some("delete")) if named(item, keys).is_empty() => {
                problems.push(Problem::at(
                    format!("{at}[{index}]"),
                    format!("$patch: delete needs {} to say what goes", keys.join(" and ")),
                ));
            }
            (None, Some("delete")) => {}
            (Some(spot), _) => {
                if let Some(found) = slots.get_mut(spot).and_then(Option::as_mut) {
                    found.patched.get_or_insert(index);
                    // By a single key the item is what it was called by, merged or not.
                    let renamed = keys.len() > 1;
                    if renamed {
                        places.forget(&found.item, spot);
                    }
                    // A volume has one source; another one replaces it and does not join it. A name alone, which
                    // Kong Gateway Operator wanted repeated, says nothing new.
                    match (field, item.as_object().is_some_and(|item| item.len() > 1)) {
                        ("volumes", true) => found.item = bare(item),
                        ("volumes", false) => {}
                        _ => merge(&mut found.item, item, &format!("{at}[{index}]"), problems),
                    }
                    if renamed {
                        places.note(&found.item, spot);
                    }
                }
            }
            (None, _) => {
                let item = bare(item);
                places.note(&item, slots.len());
                slots.push(Some(Slot { item, before: None, patched: Some(index) }));
            }
        }
    }
    *list = ordered(slots.into_iter().flatten());
}

/// An item, and where it stands.
struct Slot {
    item: Value,
    /// In the list before.
    before: Option<usize>,
    /// In the patch.
    patched: Option<usize>,
}

/// The keys that an item gives; a port without a protocol gives one all the same.
fn named<'a>(item: &Value, keys: &[&'a str]) -> Vec<&'a str> {
    keys.iter().filter(|key| item.get(**key).is_some() || **key == "protocol").copied().collect()
}

/// Where the items of a list stand, by their keys. Whoever writes a template chooses how long its lists are: looking
/// each item up must not take longer the more there are.
struct Places<'k> {
    keys: &'k [&'k str],
    /// By the value of each key, and of all together, in the order of [`Places::ways`].
    known: HashMap<Name, Spots>,
}

/// A way to speak of an item, and what it is called that way.
type Name = (usize, String);

/// The places of items that have one name; nearly always there is one.
type Spots = Vec<usize>;

impl<'k> Places<'k> {
    fn of(list: &[Value], keys: &'k [&'k str]) -> Self {
        let mut places = Self { keys, known: HashMap::with_capacity(list.len()) };
        for (spot, item) in list.iter().enumerate() {
            places.note(item, spot);
        }
        places
    }

    /// The number of ways in which an item can be spoken of: by one of its keys, or by all.
    fn ways(&self) -> usize {
        if self.keys.len() > 1 { self.keys.len() + 1 } else { 1 }
    }

    fn name(&self, item: &Value, way: usize) -> Name {
        let keys = self.keys.get(way..=way).filter(|_| way < self.keys.len()).unwrap_or(self.keys);
        let mut name = String::with_capacity(48);
        for key in keys {
            lists::spell_key(item, key, &mut name);
        }
        (way, name)
    }

    fn note(&mut self, item: &Value, spot: usize) {
        for way in 0..self.ways() {
            let spots = self.known.entry(self.name(item, way)).or_default();
            let at = spots.partition_point(|other| *other < spot);
            spots.insert(at, spot);
        }
    }

    fn forget(&mut self, item: &Value, spot: usize) {
        for way in 0..self.ways() {
            if let Some(spots) = self.known.get_mut(&self.name(item, way)) {
                spots.retain(|other| *other != spot);
            }
        }
    }

    /// Where the item that `item` speaks of stands. Of two keys one is enough where no item has both: what a patch
    /// calls by `topologyKey` alone is ours, and where it says another `whenUnsatisfiable` it changes ours.
    fn spot(&self, item: &Value) -> Option<usize> {
        let given = |key: &str| item.get(key).is_some() || key == "protocol";
        let mut named = (0..self.keys.len()).filter(|way| self.keys.get(*way).is_some_and(|key| given(key)));
        let first = named.next()?;
        let way = if named.next().is_some() { self.ways() - 1 } else { first };
        let by = |way| self.known.get(&self.name(item, way))?.first().copied();
        let topology = self.keys.first().is_some_and(|key| *key == "topologyKey" && item.get(*key).is_some());
        by(way).or_else(|| by(0).filter(|_| topology))
    }
}

/// Items of the patch in its order, among the others in theirs, as Kubernetes orders them (`normalizeElementOrder`
/// in `k8s.io/apimachinery`): a variable may refer to those before it.
fn ordered(slots: impl Iterator<Item = Slot>) -> Vec<Value> {
    let (mut patched, others): (Vec<_>, Vec<_>) = slots.partition(|slot| slot.patched.is_some());
    patched.sort_by_key(|slot| slot.patched);
    let mut list = Vec::with_capacity(patched.len() + others.len());
    let (mut patched, mut others) = (patched.into_iter().peekable(), others.into_iter().peekable());
    while let (Some(patch), Some(other)) = (patched.peek(), others.peek()) {
        let earlier = matches!((other.before, patch.before), (Some(a), Some(b)) if a < b);
        let next = if earlier { others.next() } else { patched.next() };
        list.extend(next.map(|slot| slot.item));
    }
    list.extend(patched.chain(others).map(|slot| slot.item));
    list
}

fn directive(item: &Value) -> Option<&str> {
    item.get(DIRECTIVE).and_then(Value::as_str)
}

/// The patch without its directives and nulls, for where there is nothing to merge onto.
pub fn bare(patch: &Value) -> Value {
    match patch {
        Value::Object(members) => {
            let kept = members.iter().filter(|(name, value)| *name != DIRECTIVE && !value.is_null());
            Value::Object(kept.map(|(name, value)| (name.clone(), bare(value))).collect())
        }
        Value::Array(items) => {
            let kept: Vec<_> =
                items.iter().filter(|item| directive(item) != Some("delete")).map(bare).collect();
            Value::Array(kept)
        }
        scalar => scalar.clone(),
    }
}

/// The patch without its directives and nulls, every item of a list in its place, to be counted as its author does.
pub fn counted(patch: &Value) -> Value {
    match patch {
        Value::Object(members) => {
            let kept = members.iter().filter(|(name, value)| *name != DIRECTIVE && !value.is_null());
            Value::Object(kept.map(|(name, value)| (name.clone(), counted(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(counted).collect()),
        scalar => scalar.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn merged(mut base: Value, patch: &Value) -> Value {
        assert_eq!(onto(&mut base, patch, "t"), []);
        base
    }

    fn base() -> Value {
        json!({"spec": {
            "containers": [{
                "name": "proxy", "image": "kong",
                "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                "volumeMounts": [{"mountPath": "/x", "name": "x"}],
                "livenessProbe": {"httpGet": {"path": "/status"}, "periodSeconds": 10},
            }],
            "volumes": [{"name": "x", "emptyDir": {}}],
        }})
    }

    #[test]
    fn lists_merge_by_their_keys() {
        let patch = json!({"spec": {"containers": [
            {"name": "proxy", "env": [{"name": "B", "value": "3"}, {"name": "C", "value": "4"}], "volumeMounts": [{"mountPath": "/y", "name": "y"}]},
            {"name": "sidecar", "image": "s"},
        ], "volumes": [{"name": "y", "configMap": {"name": "c"}}]}});
        let result = merged(base(), &patch);
        assert_eq!(
            result["spec"]["containers"][0]["env"],
            json!([{"name": "A", "value": "1"}, {"name": "B", "value": "3"}, {"name": "C", "value": "4"}]),
            "in the order of the patch, among the others in theirs"
        );
        assert_eq!(result["spec"]["containers"][0]["volumeMounts"].as_array().unwrap().len(), 2);
        assert_eq!(result["spec"]["containers"][1], json!({"name": "sidecar", "image": "s"}));
        assert_eq!(result["spec"]["volumes"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn one_of_several_sources_replaces_ours() {
        let patch = json!({"spec": {"containers": [{"name": "proxy",
            "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
            "livenessProbe": {"exec": {"command": ["kong", "health"]}},
        }], "volumes": [{"name": "x", "persistentVolumeClaim": {"claimName": "c"}}]}});
        let result = merged(base(), &patch);
        let proxy = &result["spec"]["containers"][0];
        assert_eq!(
            proxy["env"][0],
            json!({"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}})
        );
        assert_eq!(
            proxy["livenessProbe"],
            json!({"exec": {"command": ["kong", "health"]}, "periodSeconds": 10})
        );
        assert_eq!(
            result["spec"]["volumes"],
            json!([{"name": "x", "persistentVolumeClaim": {"claimName": "c"}}])
        );
    }

    #[test]
    fn items_of_the_patch_keep_their_order_so_that_variables_can_refer_to_those_before() {
        let patch = json!({"spec": {"containers": [{"name": "sidecar"}, {"name": "proxy",
            "env": [{"name": "EXTRA", "value": "x"}, {"name": "B", "value": "$(EXTRA)"}]}]}});
        let result = merged(base(), &patch);
        let names = |list: &Value| -> Vec<String> {
            list.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(names(&result["spec"]["containers"]), ["sidecar", "proxy"]);
        assert_eq!(names(&result["spec"]["containers"][1]["env"]), ["EXTRA", "A", "B"]);
    }

    #[test]
    fn a_volume_that_is_only_named_stays() {
        let patch = json!({"spec": {"volumes": [{"name": "x"}]}});
        assert_eq!(merged(base(), &patch)["spec"]["volumes"], json!([{"name": "x", "emptyDir": {}}]));
    }

    #[test]
    fn null_and_directives_remove() {
        let patch = json!({"spec": {"containers": [{"name": "proxy", "livenessProbe": null,
            "env": [{"name": "A", "$patch": "delete"}, {"name": "none", "$patch": "delete"}]}]}});
        let proxy = merged(base(), &patch)["spec"]["containers"][0].clone();
        assert_eq!(proxy.get("livenessProbe"), None);
        assert_eq!(proxy["env"], json!([{"name": "B", "value": "2"}]));
        let patch = json!({"spec": {"containers": [{"name": "proxy", "env": [{"$patch": "replace"}, {"name": "Z", "value": "0"}],
            "livenessProbe": {"$patch": "replace", "periodSeconds": 1}}]}});
        let proxy = merged(base(), &patch)["spec"]["containers"][0].clone();
        assert_eq!(proxy["env"], json!([{"name": "Z", "value": "0"}]));
        assert_eq!(proxy["livenessProbe"], json!({"periodSeconds": 1}));
    }

    #[test]
    fn a_port_is_known_by_number_and_protocol() {
        let mut base = json!({"ports": [{"containerPort": 8000, "name": "proxy", "protocol": "TCP"}]});
        let patch = json!({"ports": [{"containerPort": 8000, "hostPort": 80}, {"containerPort": 8000, "protocol": "UDP"}]});
        assert_eq!(onto(&mut base, &patch, "t"), []);
        let want = json!([{"containerPort": 8000, "name": "proxy", "protocol": "TCP", "hostPort": 80}, {"containerPort": 8000, "protocol": "UDP"}]);
        assert_eq!(base["ports"], want);
    }

    #[test]
    fn a_spread_is_known_by_its_topology_when_no_more_is_said() {
        let base = || json!({"topologySpreadConstraints": [{"topologyKey": "host", "whenUnsatisfiable": "ScheduleAnyway", "maxSkew": 1}]});
        let patch = |item: Value| {
            merged(base(), &json!({"topologySpreadConstraints": [item]}))["topologySpreadConstraints"].clone()
        };
        assert_eq!(patch(json!({"topologyKey": "host", "$patch": "delete"})), json!([]));
        assert_eq!(patch(json!({"topologyKey": "host", "maxSkew": 2}))[0]["maxSkew"], 2);
        let strict = patch(json!({"topologyKey": "host", "whenUnsatisfiable": "DoNotSchedule"}));
        assert_eq!(
            strict,
            json!([{"topologyKey": "host", "whenUnsatisfiable": "DoNotSchedule", "maxSkew": 1}]),
            "it changes ours"
        );
        assert_eq!(patch(json!({"topologyKey": "zone", "maxSkew": 1})).as_array().unwrap().len(), 2);
    }

    #[test]
    fn a_delete_must_say_what_goes() {
        let problems = onto(&mut base(), &json!({"spec": {"containers": [{"$patch": "delete"}]}}), "t");
        assert_eq!(problems[0].path, "t.spec.containers[0]");
        assert!(problems[0].message.contains("needs name"), "{problems:?}");
    }

    #[test]
    fn one_replace_speaks_of_the_whole_list() {
        let patch = json!({"spec": {"volumes": [{"name": "y", "emptyDir": {}, "$patch": "replace"}]}});
        assert_eq!(merged(base(), &patch)["spec"]["volumes"], json!([{"name": "y", "emptyDir": {}}]));
    }

    #[test]
    fn other_lists_are_replaced_and_nothing_is_left_of_directives() {
        let mut base = json!({"tolerations": [{"key": "a"}]});
        onto(
            &mut base,
            &json!({"tolerations": [{"key": "b"}], "new": {"x": null, "y": 1, "$patch": "replace"}}),
            "t",
        );
        assert_eq!(base, json!({"tolerations": [{"key": "b"}], "new": {"y": 1}}));
    }

    #[test]
    fn an_unknown_directive_is_a_problem_with_its_path() {
        let mut base = base();
        let problems =
            onto(&mut base, &json!({"spec": {"$patch": "erase"}}), "spec.deployment.podTemplateSpec");
        assert_eq!(problems[0].path, "spec.deployment.podTemplateSpec.spec.$patch");
    }
}
