//! What a hook of a rollout is asked with.
//!
//! In: a rollout, and which hook of which attempt. Out: the Job, or the text that is posted. Never: an answer.

use crds::GatewayRollout;
use crds::dataplane::{CanaryHook, HookJob};
use crds::k8s::Job;
use crds::names::{self, labels, values};
use serde_json::{Map, Value, json};

/// For how long a Job that has ended is kept to be looked at, in seconds: a day.
const KEPT: u32 = 86_400;

/// A hook that is to be asked.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    rollout: &'a GatewayRollout,
    /// The hook as it was when the rollout began.
    pub hook: &'a CanaryHook,
    step: &'a str,
    weight: i32,
    attempt: u32,
}

impl<'a> Asking<'a> {
    /// The hook that `key` names, in the attempt of that number.
    pub fn of(rollout: &'a GatewayRollout, key: &str, attempt: u32) -> Option<Self> {
        let (step, name) = key.split_once('/')?;
        let canary = rollout.spec.strategy.canary.as_ref()?;
        let step = canary.steps.iter().find(|known| known.name == step)?;
        let hook = step.hooks.iter().flatten().find(|known| known.name == name)?;
        Some(Self { rollout, hook, step: &step.name, weight: step.weight, attempt })
    }

    /// What it is told, by name.
    fn told(&self) -> [(&'static str, String); 9] {
        let metadata = &self.rollout.metadata;
        let namespace = metadata.namespace.clone().unwrap_or_default();
        let target = &self.rollout.spec.target.name;
        [
            ("rollout", metadata.name.clone().unwrap_or_default()),
            ("namespace", namespace.clone()),
            ("dataplane", target.clone()),
            ("revision", self.rollout.spec.to.revision.clone()),
            ("step", self.step.to_owned()),
            ("hook", self.hook.name.clone()),
            ("weight", self.weight.to_string()),
            ("attempt", self.attempt.to_string()),
            ("preview", format!("{}.{namespace}.svc", names::preview_service(target))),
        ]
    }

    /// The JSON that is posted to its URL: texts by name.
    pub fn body(&self) -> String {
        Value::Object(self.told().into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect())
            .to_string()
    }

    /// Its Job; the same however often it is asked for.
    pub fn job(&self, HookJob { spec }: &HookJob) -> Option<Job> {
        let mut spec = spec.to_value();
        let pod = spec.pointer_mut("/template/spec")?.as_object_mut()?;
        pod.entry("restartPolicy").or_insert_with(|| json!("Never"));
        for list in ["containers", "initContainers"] {
            for container in pod.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
                self.tell(container.as_object_mut()?);
            }
        }
        let fields = spec.as_object_mut()?;
        fields.entry("ttlSecondsAfterFinished").or_insert(json!(KEPT));
        fields.entry("backoffLimit").or_insert(json!(0));
        let (metadata, target) = (&self.rollout.metadata, &self.rollout.spec.target.name);
        let name = metadata.name.as_deref()?;
        let owner = json!({
            "apiVersion": crds::k8s::api_version::<GatewayRollout>(),
            "controller": true,
            "kind": crds::k8s::kind::<GatewayRollout>(),
            "name": name,
            "uid": metadata.uid.as_deref()?,
        });
        let metadata = json!({
            "labels": { labels::APP: names::label_value(target), labels::MANAGED_BY: values::DATAPLANE },
            "name": self.job_name(name),
            "namespace": metadata.namespace.as_deref()?,
            "ownerReferences": [owner],
        });
        serde_json::from_value(json!({ "metadata": metadata, "spec": spec })).ok()
    }

    fn job_name(&self, rollout: &str) -> String {
        names::hook_job(rollout, &format!("{}/{}/{}", self.step, self.hook.name, self.attempt))
    }

    /// Adds what is told to a container's environment; what its author set stays.
    fn tell(&self, container: &mut Map<String, Value>) {
        let list = container.entry("env").or_insert_with(|| json!([]));
        let Some(list) = list.as_array_mut() else { return };
        for (name, value) in self.told() {
            let name = format!("SILVERBACK_{}", name.to_uppercase());
            if !list.iter().any(|known| known.get("name").and_then(Value::as_str) == Some(&name)) {
                list.push(json!({ "name": name, "value": value }));
            }
        }
    }
}

/// Whether a Job completed, or failed; nothing while it runs.
pub fn ended(job: &Job) -> Option<bool> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    let is = |type_: &str| conditions.iter().any(|found| found.type_ == type_ && found.status == "True");
    (is("Complete") || is("Failed")).then(|| is("Complete"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rollout() -> GatewayRollout {
        let container = json!({ "name": "test", "env": [{ "name": "SILVERBACK_STEP", "value": "mine" }] });
        let job = json!({ "spec": { "template": { "spec": { "containers": [container] } } } });
        let hooks = json!([{ "name": "suite", "job": job }, { "name": "page", "url": "http://tests/run" }]);
        let strategy = json!({ "canary": { "steps": [{ "name": "half", "weight": 50, "hooks": hooks }] } });
        let revision = |name: &str| json!({ "revision": name, "track": name });
        let spec = json!({ "target": { "kind": "DataPlane", "name": "edge" },
            "from": revision("1"), "to": revision("2"), "strategy": strategy });
        let object = json!({ "apiVersion": "gateway-operator.konghq.com/v1alpha1", "kind": "GatewayRollout",
            "metadata": { "name": "edge-7", "namespace": "team", "uid": "u" }, "spec": spec });
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn a_job_is_told_what_to_test_and_keeps_what_its_author_set() {
        let rollout = rollout();
        let asking = Asking::of(&rollout, "half/suite", 1).unwrap();
        let job = asking.job(asking.hook.job.as_ref().unwrap()).unwrap();
        assert_eq!(job.metadata.owner_references.unwrap().remove(0).uid, "u");
        let pod = job.spec.unwrap().template.spec.unwrap();
        assert_eq!(pod.restart_policy.as_deref(), Some("Never"));
        let env = pod.containers.into_iter().next().unwrap().env.unwrap();
        let value =
            |name: &str| env.iter().find(|known| known.name == name).and_then(|known| known.value.clone());
        assert_eq!(value("SILVERBACK_STEP").as_deref(), Some("mine"));
        assert_eq!(value("SILVERBACK_PREVIEW").as_deref(), Some("dataplane-preview-edge.team.svc"));
        assert_eq!(value("SILVERBACK_WEIGHT").as_deref(), Some("50"));
    }

    #[test]
    fn its_name_is_the_same_in_one_attempt_and_another_in_the_next() {
        let rollout = rollout();
        let name = |attempt| {
            let asking = Asking::of(&rollout, "half/suite", attempt).unwrap();
            asking.job(asking.hook.job.as_ref().unwrap()).unwrap().metadata.name.unwrap()
        };
        assert_eq!(name(0), name(0));
        assert_ne!(name(0), name(1));
        assert!(name(0).len() <= 63);
    }

    #[test]
    fn what_is_posted_names_the_step_and_where_to_look() {
        let rollout = rollout();
        let body: Value =
            serde_json::from_str(&Asking::of(&rollout, "half/page", 0).unwrap().body()).unwrap();
        assert_eq!(
            (&body["step"], &body["hook"], &body["revision"]),
            (&json!("half"), &json!("page"), &json!("2"))
        );
        assert!(Asking::of(&rollout, "half/other", 0).is_none());
        assert!(Asking::of(&rollout, "other/page", 0).is_none());
    }

    #[test]
    fn a_job_has_ended_when_it_says_so() {
        let with = |conditions: Value| {
            serde_json::from_value(json!({ "status": { "conditions": conditions } })).unwrap()
        };
        assert_eq!(ended(&with(json!([]))), None);
        assert_eq!(ended(&with(json!([{ "type": "Complete", "status": "True" }]))), Some(true));
        assert_eq!(ended(&with(json!([{ "type": "Failed", "status": "True" }]))), Some(false));
        assert_eq!(ended(&with(json!([{ "type": "Failed", "status": "False" }]))), None);
    }
}
