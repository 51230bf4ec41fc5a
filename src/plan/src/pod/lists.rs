//! The items of a list in a patch.
//!
//! In: a list, as written. Out: its items, counted as their author counts, without those that only say what goes.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Check;
use crate::invalid::Cause;
use crate::path::At;

/// The items of `list` in `of` that stay, with their numbers.
pub fn items<'v>(of: &'v Value, list: &str) -> impl Iterator<Item = (usize, &'v Value)> {
    let all = of.get(list).and_then(Value::as_array).into_iter().flatten().enumerate();
    all.filter(|(_, item)| match item.get("$patch").and_then(Value::as_str) {
        Some("delete") => false,
        // It stands for the whole list.
        Some("replace") => item.as_object().is_some_and(|item| item.len() > 1),
        _ => true,
    })
}

/// A field that is text.
pub fn text<'v>(item: &'v Value, field: &str) -> Option<&'v str> {
    item.get(field).and_then(Value::as_str)
}

impl Check<'_> {
    /// Every item has a name, a good one, and no other item has it.
    pub(super) fn named(&mut self, of: &Value, list: &str, at: &At<'_>, good: (fn(&str) -> bool, &str)) {
        let (is_good, rule) = good;
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for (index, item) in items(of, list) {
            let item_at = at.index(index);
            let at = item_at.field("name");
            match text(item, "name") {
                None | Some("") => self.tell(&at, Cause::Required, "is missing: it says which item is meant"),
                Some(name) if !is_good(name) => {
                    self.tell(&at, Cause::Invalid, format!("{name:?} is no name: {rule}"));
                }
                Some(name) => {
                    if let Some(first) = seen.get(name) {
                        let message = format!(
                            "{name:?} is the name of item {first} too: give one another, or make them one"
                        );
                        self.tell(&at, Cause::Duplicate, message);
                    }
                    seen.entry(name).or_insert(index);
                }
            }
        }
    }
}
