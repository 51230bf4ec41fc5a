//! The routes as HTTP.
//!
//! In: requests. Out: an answer to each: 200 and a review, except where nobody can be meant to read one (another
//! method, another path, or more requests than there is room for). A body is read up to a limit and within a deadline.
//! Never: a refusal for a webhook that only another version of the operator has; see [`Shared::pass`].

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http_body_util::BodyExt;
use plan::dataplane::Settings;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};

use crate::kinds::Judge;
use crate::review::{self, Answer, Decision};
use crate::routes::{ROUTES, Route};
use crate::world::World;

/// Two objects of the size that the API server takes (3 MiB each), and a review around them.
pub const LIMIT: usize = 7 * 1024 * 1024;
/// How long a body may take. The API server waits 5 s for the answer.
const BODY: Duration = Duration::from_secs(4);
/// How many bytes of bodies there are at a time, in KiB: each request holds what it has sent, and no more.
const ROOM: usize = 64 * 1024;
/// How many large objects are judged at a time.
const LARGE_AT_A_TIME: usize = 2;
/// From this size of a body on judging it takes long enough to be kept off the threads that wait for the network.
const LARGE: usize = 64 * 1024;
/// How long a large one waits for its turn.
const TURN: Duration = Duration::from_secs(4);

/// Below these are webhooks, of this version and of any other.
const FOLDERS: [&str; 2] = ["/default/", "/validate/"];

/// Hears of an answer.
pub type Told = Arc<dyn Fn(&Route, Decision, Duration) + Send + Sync>;

/// What answers follow.
#[derive(Clone)]
pub struct Server {
    /// What the operator was told.
    pub settings: Arc<Settings>,
    /// `spec.controllerName` of the classes that are ours.
    pub controller: Arc<str>,
    /// What is known of other objects.
    pub world: Arc<dyn World>,
    /// Is told of each answer, and how long it took from the first byte of the body to here.
    pub told: Told,
}

#[derive(Clone)]
struct Shared {
    server: Server,
    room: Arc<Semaphore>,
    turns: Arc<Semaphore>,
}

/// The router.
pub fn router(server: Server) -> Router {
    let room = Arc::new(Semaphore::new(ROOM));
    let shared = Shared { server, room, turns: Arc::new(Semaphore::new(LARGE_AT_A_TIME)) };
    ROUTES
        .iter()
        .fold(Router::new(), |router, route| {
            let asked = async move |State(shared): State<Shared>, request: Request| {
                shared.answer(route, request).await
            };
            router.route(route.path, post(asked))
        })
        .fallback(async |State(shared): State<Shared>, request: Request| shared.pass(request).await)
        .with_state(shared)
}

impl Shared {
    async fn answer(&self, route: &'static Route, request: Request) -> Response {
        let begun = Instant::now();
        let mut bytes = Vec::new();
        let answer = match timeout(BODY, whole(request.into_body(), &self.room, &mut bytes)).await {
            Ok(Ok(room)) => self.judged(route, Held { bytes, _room: room }).await,
            Ok(Err(Cut::TooLarge)) => Some(review::too_large(route, &bytes, LIMIT)),
            Ok(Err(Cut::Broken)) => {
                Some(review::cut(route, &bytes, 400, "the body did not arrive as a whole"))
            }
            Ok(Err(Cut::NoRoom)) => None,
            Err(_) => Some(review::cut(route, &bytes, 408, "the body did not arrive in time")),
        };
        let Some(answer) = answer else {
            let words = "more reviews than there is room for: try again";
            return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], words).into_response();
        };
        (self.server.told)(route, answer.decision, begun.elapsed());
        axum::Json(answer.review).into_response()
    }

    /// Lets a review pass that is posted where another version of the operator has a webhook. While that version is
    /// rolled out, or back, its replicas and ours are behind one Service, and the configurations have its webhooks.
    async fn pass(&self, request: Request) -> Response {
        let path = request.uri().path().to_owned();
        let like_ours = FOLDERS.iter().any(|folder| path.starts_with(folder));
        if request.method() != Method::POST || !like_ours {
            return StatusCode::NOT_FOUND.into_response();
        }
        let mut bytes = Vec::new();
        let uid = match timeout(BODY, whole(request.into_body(), &self.room, &mut bytes)).await {
            Ok(Ok(_) | Err(Cut::TooLarge)) => review::uid(&bytes),
            Ok(Err(Cut::Broken | Cut::NoRoom)) | Err(_) => String::new(),
        };
        if uid.is_empty() {
            return StatusCode::NOT_FOUND.into_response();
        }
        tracing::debug!("a review for a webhook of another version was let pass");
        axum::Json(Answer::allowed(uid).review).into_response()
    }

    /// The answer; none where it would not come in time.
    async fn judged(&self, route: &'static Route, body: Held<'_>) -> Option<Answer> {
        if body.bytes.len() < LARGE {
            return Some(self.server.judge(route, &body.bytes));
        }
        let turn = timeout(TURN, Arc::clone(&self.turns).acquire_owned()).await.ok()?.ok()?;
        let (server, bytes) = (self.server.clone(), body.bytes);
        let judged = spawn_blocking(move || {
            let answer = server.judge(route, &bytes);
            drop(turn);
            answer
        });
        judged.await.ok()
    }
}

impl Server {
    fn judge(&self, route: &Route, body: &[u8]) -> Answer {
        let Self { settings, controller, world, .. } = self;
        review::answer(route, &Judge { settings, controller, world: world.as_ref() }, body)
    }
}

/// A body, and the room that it takes.
struct Held<'a> {
    bytes: Vec<u8>,
    _room: SemaphorePermit<'a>,
}

/// Why there is no body.
enum Cut {
    /// It is too large.
    TooLarge,
    /// The connection broke.
    Broken,
    /// Others take all the room.
    NoRoom,
}

/// Reads a body into `bytes`, and takes the room for it; how it begins is there whatever becomes of the rest.
async fn whole<'a>(
    mut body: Body,
    room: &'a Semaphore,
    bytes: &mut Vec<u8>,
) -> Result<SemaphorePermit<'a>, Cut> {
    let mut held = room.try_acquire_many(1).map_err(|_| Cut::NoRoom)?;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Cut::Broken)?.into_data() else { continue };
        let left = LIMIT - bytes.len();
        let kept = data.get(..left).unwrap_or(&data);
        let wanted = u32::try_from((bytes.len() + kept.len()) / 1024 + 1).unwrap_or(u32::MAX);
        let more = wanted.saturating_sub(u32::try_from(held.num_permits()).unwrap_or(u32::MAX));
        held.merge(room.try_acquire_many(more).map_err(|_| Cut::NoRoom)?);
        bytes.extend_from_slice(kept);
        if data.len() > left {
            return Err(Cut::TooLarge);
        }
    }
    Ok(held)
}
