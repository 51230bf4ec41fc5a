//! `cargo xtask bench admission`: what a review costs, and how long it takes.

mod load;
mod review;
mod wire;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use crds::names::WEBHOOK_CONFIGURATION;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use kube::Client;
use kube::api::Api;
use serde::Serialize;
// Not the module of the same name below.
use ::tests::install;

use super::Output;
use super::figures::{Goal, milliseconds, number, plain};
use super::machine::Machine;
use super::place::Place;
use super::usage::Usage;
use crate::show::Story;
use load::Ask;
use wire::Way;

/// Measure what a review of the admission webhooks costs, and how long it takes.
///
/// Reviews of creations are sent straight to the port of the webhooks, one after the other on 1, 8 and 64 connections,
/// and at a fixed rate; of four sizes, to be defaulted and to be validated. Takes about 4 minutes.
#[derive(clap::Args)]
pub struct Arguments {
    /// How long each load lasts.
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// Reviews a second at the fixed rate.
    #[arg(long, value_name = "NUMBER", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate: u32,
    #[command(flatten)]
    pub(super) output: Output,
}

/// Sizes of reviews, in bytes: one with next to nothing in it, a usual one, a large one, and about what etcd takes.
const SIZES: [usize; 4] = [1_000, 9_000, 100_000, 1_000_000];
/// The size that the goals are about.
const USUAL: usize = 9_000;
/// Beyond it, a fixed rate is more than two processors can do.
const PACED: usize = 100_000;
const CONNECTIONS: [usize; 3] = [1, 8, 64];
/// What is done, and where it is asked for.
const ACTS: [(&str, &str); 2] = [("default", "/default/dataplanes"), ("validate", "/validate/dataplanes")];
/// Where the operator of a box answers.
const PORT: u16 = 9443;

/// Everything that was measured.
#[derive(Serialize)]
pub struct Report {
    benchmark: &'static str,
    /// Which operator.
    operator: String,
    machine: Machine,
    goals: Vec<Goal>,
    /// How long each load lasted.
    seconds: u32,
    before: Usage,
    loads: Vec<Load>,
    /// A moment after the last load.
    after: Usage,
}

/// One load.
#[derive(Serialize)]
struct Load {
    act: &'static str,
    bytes: usize,
    /// Connections of a closed loop; nothing for a fixed rate.
    connections: Option<usize>,
    /// Reviews a second of a fixed rate.
    rate: Option<u32>,
    reviews: usize,
    reviews_per_second: f64,
    /// The operator's processor time a review.
    processor_ms: f64,
    p50: f64,
    p99: f64,
    p999: f64,
    max: f64,
}

/// Measures.
pub async fn run(arguments: &Arguments) -> Result<Report> {
    let story = Story::begin();
    let mut place = Place::begin(arguments.output.operator.as_deref(), 0).await?;
    let machine = Machine::look();
    place.start().await?;
    install::strict(&place.client).await?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
    let way = Way::new(address, &authorities(&place.client).await?)?;
    let before = place.usage().await?;
    story.tell("the webhooks answer");
    let mut loads = Vec::new();
    for bytes in SIZES {
        for (act, path) in ACTS {
            let lasts = Duration::from_secs(arguments.seconds.into());
            let ask = Ask { path, body: review::body(bytes).into(), lasts };
            let all = all(&place, &way, (act, &ask), arguments.rate).await;
            for load in all.with_context(|| format!("{act}, {bytes} bytes; {}", place.last_words()))? {
                story.tell(&format!("{}: {}", load.name(), load.text()));
                loads.push(load);
            }
        }
    }
    let after = place.usage().await?;
    place.end().await?;
    let goals = goals(&loads);
    let operator = arguments.output.name();
    Ok(Report {
        benchmark: "admission",
        operator,
        machine,
        goals,
        seconds: arguments.seconds,
        before,
        loads,
        after,
    })
}

/// The authorities by which the API server knows the webhooks.
async fn authorities(client: &Client) -> Result<Vec<u8>> {
    let all: Api<ValidatingWebhookConfiguration> = Api::all(client.clone());
    let webhooks = all.get(WEBHOOK_CONFIGURATION).await?.webhooks.unwrap_or_default();
    let bundle = webhooks.into_iter().find_map(|webhook| webhook.client_config.ca_bundle);
    Ok(bundle.context("the API server was told of no authority")?.0)
}

/// Every load of one act and size.
async fn all(place: &Place, way: &Way, (act, ask): (&'static str, &Ask), rate: u32) -> Result<Vec<Load>> {
    let mut loads = Vec::new();
    for connections in CONNECTIONS {
        let ready = load::ready(&place.cluster, way, connections, ask).await?;
        let began = Moment::now(place)?;
        let took = ready.closed(ask).await?;
        loads.push(Load::of((act, ask), (Some(connections), None), took, began.since(place)?)?);
    }
    if ask.body.len() <= PACED {
        let ready = load::ready_for_open(&place.cluster, way, ask).await?;
        let began = Moment::now(place)?;
        let took = ready.open(ask, rate).await?;
        loads.push(Load::of((act, ask), (None, Some(rate)), took, began.since(place)?)?);
    }
    Ok(loads)
}

/// When a load began.
struct Moment {
    at: Instant,
    used: Usage,
}

impl Moment {
    fn now(place: &Place) -> Result<Self> {
        Ok(Self { used: place.sample()?, at: Instant::now() })
    }

    /// How long ago that is, and how much processor time the operator has used since.
    fn since(&self, place: &Place) -> Result<[Duration; 2]> {
        let used = place.sample()?.processor_seconds - self.used.processor_seconds;
        Ok([self.at.elapsed(), Duration::from_secs_f64(used.max(0.0))])
    }
}

impl Load {
    fn of(
        (act, ask): (&'static str, &Ask),
        (connections, rate): (Option<usize>, Option<u32>),
        mut took: Vec<Duration>,
        [lasted, used]: [Duration; 2],
    ) -> Result<Self> {
        took.sort_unstable();
        let count = took.len();
        // The nearest rank: the smallest that at least this share, in thousandths, does not exceed.
        let at = |share: usize| {
            took.get((count * share).div_ceil(1000).saturating_sub(1)).copied().map(milliseconds)
        };
        Ok(Self {
            act,
            bytes: ask.body.len(),
            connections,
            rate,
            reviews: count,
            reviews_per_second: number(count) / lasted.as_secs_f64(),
            processor_ms: milliseconds(used) / number(count),
            p50: at(500).context("nothing was reviewed")?,
            p99: at(990).context("nothing was reviewed")?,
            p999: at(999).context("nothing was reviewed")?,
            max: at(1000).context("nothing was reviewed")?,
        })
    }

    fn name(&self) -> String {
        let size = if self.bytes < 1_000_000 {
            format!("{} KB", self.bytes / 1_000)
        } else {
            format!("{} MB", self.bytes / 1_000_000)
        };
        let how = match (self.connections, self.rate) {
            (Some(1), _) => "1 connection".to_owned(),
            (Some(number), _) => format!("{number} connections"),
            (None, rate) => format!("{} a second", rate.unwrap_or_default()),
        };
        format!("{}, {size}, {how}", self.act)
    }

    fn text(&self) -> String {
        let figures = [("p50", self.p50), ("p99", self.p99), ("p999", self.p999), ("max", self.max)];
        let figures: Vec<_> =
            figures.iter().map(|(name, figure)| format!("{name} {} ms", plain(*figure))).collect();
        let (processor, pace) = (self.processor_ms, self.reviews_per_second);
        format!("{processor:.3} ms of processor time; {}; {pace:.0} a second", figures.join(", "))
    }
}

fn goals(loads: &[Load]) -> Vec<Goal> {
    let usual: Vec<_> = loads.iter().filter(|load| load.bytes == USUAL).collect();
    let worst = |is_of: &dyn Fn(&Load) -> bool, figure: &dyn Fn(&Load) -> f64| {
        usual.iter().filter(|load| is_of(load)).map(|load| figure(load)).reduce(f64::max)
    };
    let most = CONNECTIONS.last().copied();
    vec![
        Goal::new(
            "processor time per review of 9 KB",
            "ms",
            0.15,
            worst(&|_| true, &|load| load.processor_ms),
        ),
        Goal::new(
            "9 KB, 64 connections, p99",
            "ms",
            25.0,
            worst(&|load| load.connections == most, &|load| load.p99),
        ),
        Goal::new(
            "9 KB, 500 a second, p99",
            "ms",
            3.0,
            worst(&|load| load.rate == Some(500), &|load| load.p99),
        ),
    ]
}

impl super::Report for Report {
    fn rows(&self) -> Vec<(String, String)> {
        let mut rows = vec![
            ("machine".into(), self.machine.text()),
            ("operator".into(), self.operator.clone()),
            ("each load lasts".into(), format!("{} s", self.seconds)),
            ("process before".into(), self.before.text()),
        ];
        rows.extend(self.loads.iter().map(|load| (load.name(), load.text())));
        rows.push(("process after".into(), self.after.text()));
        rows
    }

    fn goals(&self) -> &[Goal] {
        &self.goals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(connections: Option<usize>, rate: Option<u32>, worst: u64) -> Load {
        let ask = Ask { path: "/", body: vec![0; USUAL].into(), lasts: Duration::from_secs(2) };
        let took = (1..=1000).map(|number| Duration::from_micros(number * worst)).collect();
        Load::of(
            ("default", &ask),
            (connections, rate),
            took,
            [Duration::from_secs(2), Duration::from_millis(100)],
        )
        .unwrap()
    }

    #[test]
    fn figures_are_those_of_the_reviews() {
        let one = load(Some(64), None, 2000);
        assert_eq!((one.p50, one.p99, one.p999, one.max), (1000.0, 1980.0, 1998.0, 2000.0));
        assert!((one.processor_ms - 0.1).abs() < 1e-9 && (one.reviews_per_second - 500.0).abs() < 1e-9);
        assert_eq!(one.name(), "default, 9 KB, 64 connections");
    }

    #[test]
    fn each_goal_has_the_worst_figure_of_its_own_loads() {
        let loads = [load(Some(1), None, 1), load(Some(64), None, 20), load(None, Some(500), 4)];
        let goals = goals(&loads);
        let met: Vec<_> = goals.iter().map(|goal| goal.met).collect();
        assert_eq!(met, [true, true, false], "{goals:?}");
        assert!(super::goals(&[]).iter().all(|goal| goal.measured.is_none()));
    }
}
