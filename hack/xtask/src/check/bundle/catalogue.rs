//! The file-based catalogue.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Bundle, items, text};

/// Every rule that does not hold.
pub fn wrong(bundle: &Bundle) -> Vec<String> {
    let of = |schema: &'static str| bundle.catalogue.iter().filter(move |one| one["schema"] == schema);
    let mut wrong = Vec::new();
    for package in of("olm.package") {
        let default = &package["defaultChannel"];
        if !of("olm.channel").any(|channel| channel["name"] == *default) {
            wrong.push(format!("catalog.yaml: defaultChannel {default} is no channel"));
        }
    }
    let bundles: BTreeSet<_> = of("olm.bundle").map(|bundle| text(&bundle["name"])).collect();
    for channel in of("olm.channel") {
        wrong.extend(of_channel(channel, &bundles));
    }
    for one in of("olm.bundle") {
        wrong.extend(of_bundle(one));
    }
    wrong
}

/// One entry is replaced by no other, and each is there.
fn of_channel(channel: &Value, bundles: &BTreeSet<&str>) -> Vec<String> {
    let name = &channel["name"];
    let entries: BTreeSet<_> = items(&channel["entries"]).map(|entry| text(&entry["name"])).collect();
    let gone = |entry: &Value| {
        let skipped: Vec<_> = items(&entry["skips"]).map(text).collect();
        [text(&entry["replaces"])].into_iter().chain(skipped).map(str::to_owned).collect::<Vec<_>>()
    };
    let replaced: BTreeSet<_> = items(&channel["entries"]).flat_map(gone).collect();
    let heads = entries.iter().filter(|entry| !replaced.contains(**entry)).count();
    let mut wrong: Vec<_> = entries
        .difference(bundles)
        .map(|entry| format!("catalog.yaml: channel {name} names {entry:?}, which is no bundle"))
        .collect();
    if heads != 1 {
        wrong.push(format!(
            "catalog.yaml: channel {name} has {heads} heads; one entry may be replaced by no other"
        ));
    }
    wrong
}

fn of_bundle(bundle: &Value) -> Vec<String> {
    let name = &bundle["name"];
    let has = |kind: &str| items(&bundle["properties"]).any(|property| property["type"] == kind);
    let wanted = ["olm.package", "olm.gvk", "olm.csv.metadata"];
    let lacks = wanted.iter().filter(|kind| !has(kind));
    let mut wrong: Vec<_> =
        lacks.map(|kind| format!("catalog.yaml: {name} lacks the property {kind}")).collect();
    if has("olm.bundle.object") {
        wrong.push(format!(
            "catalog.yaml: {name} has olm.bundle.object, which olm.csv.metadata takes the place of"
        ));
    }
    if text(&bundle["image"]).is_empty() {
        wrong.push(format!("catalog.yaml: {name} has no image"));
    }
    wrong
}
