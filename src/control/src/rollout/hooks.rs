//! Asks the hooks of a rollout.
//!
//! In: hooks that wait for their answer, by the rollout's status. Out: answers. A Job is made under a name that is the same
//! however often it is asked for, and a URL is told which rollout, step and attempt it is about, so that an operator that
//! starts again asks nothing twice over. Never: a wait: an abort is heard while a hook takes its time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crds::GatewayRollout;
use crds::dataplane::HookJob;
use crds::k8s::Job;
use crds::names::managers;
use kong::hook::Said;
use kube::ResourceExt;
use plan::attempt::Asking;
use rollout::observation::Answer;
use rollout::state::State;
use runtime::events::Happening;
use tokio::task::JoinHandle;

use super::Rollouts;
use super::attempt::Attempt;

/// How long after an answer that is none a URL is asked again, and a Job is looked at again.
const AGAIN: Duration = Duration::from_secs(5);

/// A hook that is being asked.
pub(super) struct Call {
    at: Instant,
    under_way: Option<JoinHandle<Said>>,
    /// What was last told of it.
    told: String,
}

impl Rollouts {
    /// What the hooks say that wait for their answer.
    pub(super) async fn hooks(
        &self,
        object: &GatewayRollout,
        state: &State,
        attempt: &mut Attempt,
    ) -> BTreeMap<String, Answer> {
        let mut all = BTreeMap::new();
        for (key, asked) in state.hooks.iter().filter(|(_, asked)| asked.answer == Answer::Waiting) {
            let Some(asking) = Asking::of(object, key, state.attempt) else { continue };
            // Each time that it is asked has its own memory.
            let call = attempt.calls.entry(format!("{}/{key}/{}", state.attempt, asked.at));
            let call =
                call.or_insert_with(|| Call { at: Instant::now(), under_way: None, told: String::new() });
            let said = match (&asking.hook.url, &asking.hook.job) {
                (Some(url), _) => self.by_url(url, &asking, call).await,
                (None, Some(job)) => self.by_job(object, job, &asking).await,
                (None, None) => Said::No("it has neither a url nor a job".to_owned()),
            };
            all.insert(key.clone(), self.heard(object, key, said, call));
        }
        all
    }

    /// The answer, of which people are told where it is not a yes.
    fn heard(&self, object: &GatewayRollout, key: &str, said: Said, call: &mut Call) -> Answer {
        let (answer, words) = match said {
            Said::Yes => return Answer::Passed,
            Said::No(words) => (Answer::Refused, words),
            Said::Later(words) => (Answer::Waiting, words),
        };
        if !words.is_empty() && call.told != words {
            let note = format!("hook {key}: {words}");
            let happening = Happening {
                action: "Rollout",
                reason: if answer == Answer::Refused { "HookRefused" } else { "HookWaiting" },
                note: &note,
                warns: true,
            };
            self.cx.kit.events.happened(object, &happening);
            call.told = words;
        }
        answer
    }

    /// Asks, and asks again, besides what else goes on.
    async fn by_url(&self, url: &str, asking: &Asking<'_>, call: &mut Call) -> Said {
        let nothing = Said::Later(String::new());
        match call.under_way.take() {
            Some(task) if task.is_finished() => {
                call.at = Instant::now() + AGAIN;
                task.await.unwrap_or(nothing)
            }
            Some(task) => {
                call.under_way = Some(task);
                nothing
            }
            None if call.at <= Instant::now() => {
                let (caller, url, body) = (self.caller.clone(), url.to_owned(), asking.body());
                call.under_way = Some(tokio::spawn(async move { caller.ask(&url, body).await }));
                nothing
            }
            None => nothing,
        }
    }

    /// Makes the Job, and looks at it.
    async fn by_job(&self, object: &GatewayRollout, job: &HookJob, asking: &Asking<'_>) -> Said {
        let Some(job) = asking.job(job) else {
            return Said::No("its spec is no JobSpec: see kubectl explain job.spec".to_owned());
        };
        let (writer, namespace) =
            (self.cx.kit.writer.under(managers::ROLLOUTS), object.namespace().unwrap_or_default());
        let found = match writer.read::<Job>(&namespace, &job.name_any()).await {
            Ok(Some(found)) => Ok(Some(found)),
            Ok(None) => writer.create(&namespace, &job).await,
            Err(error) => Err(error),
        };
        let found = match found {
            Ok(Some(found)) => found,
            Ok(None) => return Said::Later(String::new()),
            Err(error) => {
                return Said::Later(format!("Job {:?}: {}", job.name_any(), runtime::failure::chain(&error)));
            }
        };
        let is_ours =
            found.owner_references().iter().any(|owner| Some(&owner.uid) == object.metadata.uid.as_ref());
        if !is_ours {
            return Said::No(format!("a Job {:?} of somebody else is there", job.name_any()));
        }
        match plan::attempt::ended(&found) {
            Some(true) => Said::Yes,
            Some(false) => Said::No(format!("Job {:?} failed: see the log of its pod", job.name_any())),
            None => Said::Later(String::new()),
        }
    }
}
