//! What a rollout is to do, fixed when it begins.
//!
//! In: values that are right by their types: a plan that could not work cannot be made. Out: nothing but these values.
//! Never: a name of the API's versions; whoever reads a manifest makes a plan of it.

use std::fmt;
use std::time::Duration;

/// How a new revision takes over.
#[derive(Debug, Clone, PartialEq)]
pub enum Strategy {
    /// One track, updated in place by its Deployment: there is nothing to decide, and no attempt.
    RollingUpdate,
    /// A second track beside the first, as planned.
    Staged(Box<Plan>),
}

/// How much of what the canary gets in a step: a percentage of requests, up to half of them. More would need more pods
/// than stable has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Weight(u8);

impl Weight {
    /// No traffic.
    pub const NONE: Self = Self(0);

    /// A percentage from 0 to 50.
    pub const fn new(percent: u8) -> Option<Self> {
        if percent <= 50 { Some(Self(percent)) } else { None }
    }

    /// The percentage.
    pub const fn percent(self) -> u8 {
        self.0
    }
}

/// A share that is neither nothing nor everything.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Share(f64);

impl Share {
    /// A number between 0 and 1, both excluded.
    pub fn new(share: f64) -> Option<Self> {
        (share > 0.0 && share < 1.0).then_some(Self(share))
    }

    /// The number.
    pub const fn get(self) -> f64 {
        self.0
    }
}

/// A ratio above 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Ratio(f64);

impl Ratio {
    /// A number above 1 and up to 100.
    pub fn new(ratio: f64) -> Option<Self> {
        (ratio > 1.0 && ratio <= 100.0).then_some(Self(ratio))
    }

    /// The number.
    pub const fn get(self) -> f64 {
        self.0
    }
}

/// Most pods that the canary may have before promotion, as a percentage of stable's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Surge(u8);

impl Surge {
    /// As many as stable has.
    pub const WHOLE: Self = Self(100);

    /// A percentage from 1 to 100.
    pub const fn new(percent: u8) -> Option<Self> {
        if percent >= 1 && percent <= 100 { Some(Self(percent)) } else { None }
    }

    /// The percentage.
    pub const fn percent(self) -> u8 {
        self.0
    }
}

/// When a hook runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// As soon as the step has its weight.
    Enter,
    /// When everything else of the step is done, before an approval is asked for.
    Exit,
}

/// Something to be asked, that may say no. What is called and how is the caller's to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// Its name, unique in its step.
    pub name: String,
    /// When it runs.
    pub when: When,
    /// After this time without an answer, the answer is no.
    pub timeout: Duration,
}

/// Who lets a rollout go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approval {
    /// The machine alone.
    Automatic,
    /// A person, after the machine found nothing wrong.
    Required,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its name, unique in the plan.
    pub name: String,
    /// What the canary gets.
    pub weight: Weight,
    /// How long at least, counting only time in which the step was as it should be and was observed.
    pub hold: Duration,
    /// Who ends it.
    pub approval: Approval,
    /// What is asked meanwhile.
    pub hooks: Vec<Hook>,
}

/// Steps that make sense one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Steps(Vec<Step>);

/// Why steps make no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// There is none, or more than 16.
    Number,
    /// The step of this number has no name, or that of another, or two hooks of one name.
    Name(usize),
    /// The step of this number has less weight than the one before it.
    Weight(usize),
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number => f.write_str("a canary has 1 to 16 steps"),
            Self::Name(step) => write!(f, "step {step}: it and its hooks need names of their own"),
            Self::Weight(step) => write!(f, "step {step}: its weight is below that of the step before"),
        }
    }
}

impl std::error::Error for Flaw {}

impl Steps {
    /// Steps in their order.
    ///
    /// # Errors
    /// The first flaw.
    pub fn new(steps: Vec<Step>) -> Result<Self, Flaw> {
        if steps.is_empty() || steps.len() > 16 {
            return Err(Flaw::Number);
        }
        let mut names: Vec<&str> = Vec::new();
        let mut weight = Weight::NONE;
        for (index, step) in steps.iter().enumerate() {
            let mut hooks: Vec<_> = step.hooks.iter().map(|hook| &hook.name).collect();
            hooks.sort_unstable();
            hooks.dedup();
            if step.name.is_empty() || names.contains(&step.name.as_str()) || hooks.len() < step.hooks.len() {
                return Err(Flaw::Name(index));
            }
            if step.weight < weight {
                return Err(Flaw::Weight(index));
            }
            names.push(&step.name);
            weight = step.weight;
        }
        Ok(Self(steps))
    }

    /// The step of that number.
    pub fn get(&self, index: usize) -> Option<&Step> {
        self.0.get(index)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Step> {
        self.0.iter()
    }
}

/// What a gate does when it finds something wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// The rollout fails.
    Enforce,
    /// It is said, and the rollout goes on.
    Warn,
    /// Nobody looks.
    Off,
}

/// What a failure leads to before promotion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// Back to stable, and the canary goes.
    Rollback,
    /// The canary loses its traffic and stays for somebody to look at.
    Pause,
}

/// What follows when nothing can be said after twice the hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnInconclusive {
    /// Somebody decides; the canary keeps its weight.
    Pause,
    /// Back to stable.
    Rollback,
    /// On to the next step.
    Promote,
}

/// Who feeds the canary its configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlPlane {
    /// The ingress controller of stable.
    Shared,
    /// One of its own, which never touches stable.
    Paired,
}

/// Times after which a rollout gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// For the pods of a step to be ready, in sum: pods that are ready now and then do not begin anew.
    pub ready: Duration,
    /// For somebody to say something, once somebody has to.
    pub approval: Duration,
    /// For everything but waiting for people.
    pub total: Duration,
}

/// How canaries are judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Analysis {
    /// The probability that a good canary is ever found worse; shared by all metrics that decide.
    pub alpha: Share,
    /// The ratio of failure rates that nobody minds.
    pub harmless: Ratio,
    /// The ratio of failure rates that must not pass.
    pub max_ratio: Ratio,
    /// The share of failures that is fine whatever the control has.
    pub error_budget: Share,
    /// Differences of shares below this are of no interest.
    pub difference: Share,
    /// Requests that the canary must have had in a step.
    pub min_requests: u64,
    /// Names of metrics of the user's own that decide; others advise.
    pub custom: Vec<String>,
}

/// Everything that a rollout is to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// From nothing to the last weight before all of it.
    pub steps: Steps,
    /// Most pods of the canary before promotion.
    pub max_surge: Surge,
    /// Whether the canary has all of its pods from the beginning, as in blue and green.
    pub full_size: bool,
    /// Who feeds the canary.
    pub control_plane: ControlPlane,
    /// Whether the canary must accept stable's configuration before it joins.
    pub acceptance: Gate,
    /// Whether the canary must answer as stable does.
    pub parity: Gate,
    /// Routes that may answer differently.
    pub parity_drift: u32,
    /// Who starts the promotion.
    pub promotion: Approval,
    /// What a failure leads to.
    pub on_failure: OnFailure,
    /// What doubt leads to.
    pub on_inconclusive: OnInconclusive,
    /// When to give up.
    pub deadlines: Deadlines,
    /// How long pods that get no new connections stay for those that they have.
    pub scale_down_delay: Duration,
    /// How long one pod of a failed canary stays to be looked at.
    pub keep_failed: Duration,
    /// How long the new revision is judged after promotion.
    pub watch: Duration,
    /// How canaries are judged; nobody judges without it.
    pub analysis: Option<Analysis>,
    /// Which earlier revisions come back without steps.
    pub rollback_window: RollbackWindow,
}

impl Plan {
    /// A canary that only a person promotes, at full size and without traffic until then: blue and green.
    #[must_use]
    pub fn blue_green(self, promotion: Approval) -> Self {
        let preview = Step {
            name: "preview".to_owned(),
            weight: Weight::NONE,
            hold: Duration::ZERO,
            approval: Approval::Automatic,
            hooks: Vec::new(),
        };
        Self { steps: Steps(vec![preview]), full_size: true, promotion, analysis: None, ..self }
    }
}

/// Which earlier revisions come back without steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RollbackWindow {
    /// The last so many.
    pub revisions: usize,
    /// If they were stable within this time.
    pub max_age: Duration,
}

impl RollbackWindow {
    /// Whether a revision comes back without steps that is the `nth` newest of those that were stable before, counted
    /// from 0, and was stable that long ago.
    pub fn holds(&self, nth: usize, ago: Duration) -> bool {
        nth < self.revisions && ago <= self.max_age
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(name: &str, weight: u8) -> Step {
        let weight = Weight::new(weight).unwrap();
        Step {
            name: name.to_owned(),
            weight,
            hold: Duration::ZERO,
            approval: Approval::Automatic,
            hooks: Vec::new(),
        }
    }

    #[test]
    fn numbers_out_of_range_cannot_be_made() {
        assert_eq!(Weight::new(50).map(Weight::percent), Some(50));
        assert_eq!(Weight::new(51), None);
        assert!(Surge::new(0).is_none() && Surge::new(101).is_none());
        assert!([0.0, 1.0, f64::NAN].into_iter().all(|share| Share::new(share).is_none()));
        assert!([1.0, 101.0, f64::NAN].into_iter().all(|ratio| Ratio::new(ratio).is_none()));
    }

    #[test]
    fn steps_that_make_no_sense_are_refused() {
        assert_eq!(Steps::new(Vec::new()), Err(Flaw::Number));
        assert_eq!(Steps::new(vec![step("a", 5); 17]), Err(Flaw::Number));
        assert_eq!(Steps::new(vec![step("a", 5), step("a", 6)]), Err(Flaw::Name(1)));
        assert_eq!(Steps::new(vec![step("", 5)]), Err(Flaw::Name(0)));
        assert_eq!(Steps::new(vec![step("a", 25), step("b", 5)]), Err(Flaw::Weight(1)));
        let hook = Hook { name: "h".to_owned(), when: When::Enter, timeout: Duration::ZERO };
        let twice = Step { hooks: vec![hook.clone(), hook], ..step("a", 5) };
        assert_eq!(Steps::new(vec![twice]), Err(Flaw::Name(0)));
        assert_eq!(Steps::new(vec![step("a", 0), step("b", 0), step("c", 50)]).unwrap().iter().count(), 3);
    }

    #[test]
    fn revisions_of_long_ago_take_all_steps() {
        let window = RollbackWindow { revisions: 3, max_age: Duration::from_hours(24) };
        assert!(window.holds(2, Duration::from_hours(24)));
        assert!(!window.holds(3, Duration::ZERO));
        assert!(!window.holds(0, Duration::from_hours(25)));
    }
}
