//! One `AdmissionReview`, from bytes to bytes.
//!
//! In: what somebody posted, which may be anything. Out: a review that answers it, with the uid of the request where one
//! can be read, whatever else is wrong. Never: a panic that reaches the caller, or an effect.

mod answer;
mod part;
mod uid;

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::kinds::{self, Judge, Subject};
use crate::routes::{Act, Route};
use part::Part;

pub use answer::{Answer, Decision};
pub use uid::of as uid;

/// The version of reviews that is spoken.
const VERSION: &str = "admission.k8s.io/v1";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Review<'a> {
    api_version: Option<String>,
    #[serde(borrow)]
    request: Option<Request<'a>>,
}

/// What the API server asks. Objects are read apart: one that cannot be read must not cost the uid.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    uid: String,
    kind: GroupVersionKind,
    #[serde(default)]
    sub_resource: Option<String>,
    #[serde(default)]
    name: String,
    operation: String,
    #[serde(borrow, default)]
    object: Option<&'a RawValue>,
    #[serde(borrow, default)]
    old_object: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct GroupVersionKind {
    group: String,
    version: String,
    kind: String,
}

/// Answers a review that was posted to `route`.
pub fn answer(route: &Route, judge: &Judge<'_>, body: &[u8]) -> Answer {
    catch_unwind(AssertUnwindSafe(|| considered(route, judge, body))).unwrap_or_else(|_| {
        let words = "this object makes the operator fail: please report it; it was not stored";
        Answer::failed(route, uid(body), 500, words)
    })
}

/// An answer to a body that is larger than any object can be, by its beginning.
pub fn too_large(route: &Route, beginning: &[u8], limit: usize) -> Answer {
    let words = format!("the review is larger than {limit} bytes, which is more than two objects can be");
    Answer::failed(route, uid(beginning), 413, &words)
}

/// An answer to a body that did not arrive as a whole, by its beginning.
pub fn cut(route: &Route, beginning: &[u8], code: u16, words: &str) -> Answer {
    Answer::failed(route, uid(beginning), code, words)
}

fn considered(route: &Route, judge: &Judge<'_>, body: &[u8]) -> Answer {
    let review: Review<'_> = match serde_json::from_slice(body) {
        Ok(review) => review,
        Err(error) => return Answer::failed(route, uid(body), 400, &format!("no AdmissionReview: {error}")),
    };
    let Some(request) = review.request else {
        return Answer::failed(route, String::new(), 400, "the AdmissionReview has no request");
    };
    if review.api_version.as_deref() != Some(VERSION) {
        let words =
            format!("apiVersion must be {VERSION:?}, not {:?}", review.api_version.unwrap_or_default());
        return Answer::failed(route, request.uid, 400, &words);
    }
    of_request(route, judge, request)
}

fn of_request(route: &Route, judge: &Judge<'_>, request: Request<'_>) -> Answer {
    let resource = route.kind.resource();
    let GroupVersionKind { group, version, kind } = &request.kind;
    if (group.as_str(), version.as_str(), kind.as_str()) != (resource.group, resource.version, resource.kind)
    {
        let words = format!("{} is for {}, not for {group}/{version} {kind}", route.path, resource.kind);
        return Answer::failed(route, request.uid, 400, &words);
    }
    let creates = ["CREATE", "UPDATE"].contains(&request.operation.as_str());
    let whole = request.sub_resource.as_deref().unwrap_or_default().is_empty();
    let (Some(object), true, true) = (request.object, creates, whole) else {
        return Answer::allowed(request.uid);
    };
    let part = if route.act == Act::Default { Part::Defaulted } else { Part::Judged };
    let object = match part.read(object.get()) {
        Ok(object) => object,
        Err(error) => {
            let words = format!("the object cannot be read: {error}");
            return Answer::failed(route, request.uid, 400, &words);
        }
    };
    match route.act {
        Act::Default => defaulted(route, request.uid, &object),
        Act::Validate => {
            let old = request.old_object.and_then(|raw| Part::Judged.read(raw.get()).ok());
            let subject = Subject { kind: route.kind, object: &object, old: old.as_ref() };
            let verdict = kinds::judge(&subject, judge);
            Answer::decided(route, request.uid, &name(&object, &request.name), verdict)
        }
        Act::SelfTest => Answer::tested(route, request.uid, &object),
    }
}

/// What is left out of the object is no part of any default, and so of no patch.
fn defaulted(route: &Route, uid: String, object: &Value) -> Answer {
    let mut filled = object.clone();
    kinds::default(route.kind, &mut filled);
    let patch = json_patch::diff(object, &filled);
    if patch.is_empty() { Answer::allowed(uid) } else { Answer::patched(uid, &patch) }
}

/// The object's name, or what its name is made of.
fn name(object: &Value, requested: &str) -> String {
    let of = |field| object.pointer(field).and_then(Value::as_str).filter(|name: &&str| !name.is_empty());
    let given = of("/metadata/name").or(Some(requested).filter(|name| !name.is_empty()));
    given.or_else(|| of("/metadata/generateName")).unwrap_or_default().to_owned()
}
