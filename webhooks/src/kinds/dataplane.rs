//! `DataPlane`: what of it cannot be provisioned, clashes with others, or surprises.

use crds::DataPlane;
use crds::conditions::types;
use plan::dataplane::{self, TEMPLATE};
use plan::{Cause, Invalid, Problem};
use serde_json::Value;

use super::{Judge, Subject};
use crate::rules::{budget, meant, others, read};
use crate::verdict::Verdict;

/// Reason of the condition `RolledOut` while new pods are promoted.
const PROMOTING: &str = "PromotionInProgress";

/// The verdict.
pub fn verdict(subject: &Subject<'_>, judge: &Judge<'_>) -> Verdict {
    let mut object: DataPlane = match read::object(subject.object) {
        Ok(object) => object,
        Err(problem) => return Verdict { problems: vec![problem], warnings: Vec::new() },
    };
    read::complete(&mut object.metadata);
    let mut verdict = provisioned(&object, judge);
    let before = || Some(read::object::<DataPlane>(subject.old?).ok()?.spec);
    budget::evictions(&object.spec, before, &mut verdict);
    verdict.problems.extend(others::service(judge.world, &object, subject.old));
    if let Some(old) = subject.old {
        verdict.problems.extend(family(&object, old));
        verdict.problems.extend(promotion(subject.object, old));
    }
    verdict
}

/// What the reconciler would say, and what is missing for it; also what a Gateway's data plane would get.
pub fn provisioned(object: &DataPlane, judge: &Judge<'_>) -> Verdict {
    let template =
        object.spec.deployment.as_ref().and_then(|deployment| deployment.pod_template_spec.as_ref());
    let mut verdict = Verdict::default();
    let references = match dataplane::valid(judge.settings, object) {
        Ok(valid) => {
            verdict.warnings.extend(valid.surprises());
            valid.references()
        }
        Err(Invalid(problems)) => {
            verdict.problems.extend(problems);
            template.map(|template| dataplane::references(template.as_value())).unwrap_or_default()
        }
    };
    meant::spell(&mut verdict.problems, template, TEMPLATE);
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    verdict.warnings.extend(others::missing(judge.world, namespace, &references));
    verdict
}

/// Kubernetes never changes the first family of a Service.
fn family(object: &DataPlane, old: &Value) -> Option<Problem> {
    let ingress = old.pointer("/spec/network/services/ingress")?;
    let before = ingress.pointer("/ipFamilies/0")?;
    let wanted = object.ingress()?;
    let now = serde_json::to_value(wanted.ip_families.as_ref()?.first()?).ok()?;
    // Under another name it is another Service.
    let same = ingress.get("name").and_then(Value::as_str) == wanted.name.as_deref();
    (same && now != *before).then(|| {
        let message = format!(
            "{now} cannot take the place of {before}: the first family of a Service never changes; give the Service another name too"
        );
        Problem::at("spec.network.services.ingress.ipFamilies[0]", message)
    })
}

/// Kong Gateway Operator takes no other specification while new pods are being promoted; neither do we.
fn promotion(object: &Value, old: &Value) -> Option<Problem> {
    let conditions = old.pointer("/status/rollout/conditions").and_then(Value::as_array)?;
    let text =
        |condition: &Value, field: &str| condition.get(field).and_then(Value::as_str).map(str::to_owned);
    let is_promoting = conditions.iter().any(|condition| {
        text(condition, "type").as_deref() == Some(types::ROLLED_OUT)
            && text(condition, "reason").as_deref() == Some(PROMOTING)
    });
    (is_promoting && object.get("spec") != old.get("spec")).then(|| {
        let message = "cannot be changed while new pods are promoted: wait until the condition RolledOut says otherwise";
        Problem::at("spec", message).because(Cause::Forbidden)
    })
}

#[cfg(test)]
mod tests;
