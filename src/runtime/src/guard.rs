//! Who may read what is served beyond this machine: the API server decides.
//!
//! In: requests with a bearer token. Out: the requests whose token belongs to somebody who may `get` their path as
//! a non-resource URL; 401 and 403 in words for the others. Never: a token in a log, or an answer that outlives the
//! minute it is remembered for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use crds::k8s::{
    NonResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec, TokenReview, TokenReviewSpec,
    UserInfo,
};
use kube::Client;
use kube::api::{Api, PostParams};
use tokio::sync::Semaphore;

/// How long an answer is believed; a right that was taken away is gone after this long.
const GOOD: Duration = Duration::from_mins(1);
/// How long a refusal is believed: whoever was just given the right should not wait for it.
const BAD: Duration = Duration::from_secs(10);
/// Answers that are remembered. Each caller has one token; rubbish must not fill the memory.
const REMEMBERED: usize = 128;
/// How many tokens are asked about at a time.
const AT_A_TIME: usize = 4;
const DEADLINE: Duration = Duration::from_secs(10);
/// Longest token that is looked at, in bytes.
const LONGEST: usize = 16 * 1024;

/// What the API server thinks of a token for one path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    Allowed,
    Unknown,
    Forbidden { user: String },
}

type Question = (String, String);

/// Asks the API server about callers; cloning shares what is remembered.
#[derive(Clone)]
pub struct Guard {
    client: Client,
    limit: Arc<Semaphore>,
    known: Arc<Mutex<HashMap<Question, (Verdict, Instant)>>>,
}

impl Guard {
    /// A guard that asks with this client, which may create `TokenReview`s and `SubjectAccessReview`s.
    pub fn new(client: Client) -> Self {
        Self { client, limit: Arc::new(Semaphore::new(AT_A_TIME)), known: Arc::default() }
    }

    /// The same routes for those only who may read them.
    pub fn protect(self, routes: Router) -> Router {
        routes.layer(middleware::from_fn_with_state(self, check))
    }

    async fn judge(&self, token: &str, path: &str) -> kube::Result<Verdict> {
        let question = (token.to_owned(), path.to_owned());
        if let Some(verdict) = self.remembered(&question) {
            return Ok(verdict);
        }
        let late = |_| kube::Error::Service("no answer in time".into());
        let asked = async {
            // It is never closed; a turn not given is no reason to let anybody in.
            let _turn = self.limit.acquire().await;
            self.ask(token, path).await
        };
        let verdict = tokio::time::timeout(DEADLINE, asked).await.map_err(late)??;
        self.remember(question, verdict.clone());
        Ok(verdict)
    }

    async fn ask(&self, token: &str, path: &str) -> kube::Result<Verdict> {
        let spec = TokenReviewSpec { token: token.to_owned(), ..TokenReviewSpec::default() };
        let review = TokenReview { spec, ..TokenReview::default() };
        let reviews = Api::<TokenReview>::all(self.client.clone());
        #[expect(clippy::disallowed_methods, reason = "a question, which the API server does not store")]
        let status = reviews.create(&PostParams::default(), &review).await?.status.unwrap_or_default();
        let Some(user) = status.user.filter(|_| status.authenticated == Some(true)) else {
            return Ok(Verdict::Unknown);
        };
        let name = user.username.clone().unwrap_or_default();
        let review = SubjectAccessReview { spec: access(user, path), ..SubjectAccessReview::default() };
        let reviews = Api::<SubjectAccessReview>::all(self.client.clone());
        #[expect(clippy::disallowed_methods, reason = "a question, which the API server does not store")]
        let status = reviews.create(&PostParams::default(), &review).await?.status;
        let allowed = status.is_some_and(|status| status.allowed);
        Ok(if allowed { Verdict::Allowed } else { Verdict::Forbidden { user: name } })
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Question, (Verdict, Instant)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remembered(&self, question: &Question) -> Option<Verdict> {
        let known = self.known();
        let (verdict, until) = known.get(question)?;
        (*until > Instant::now()).then(|| verdict.clone())
    }

    fn remember(&self, question: Question, verdict: Verdict) {
        let now = Instant::now();
        let until = now + if verdict == Verdict::Allowed { GOOD } else { BAD };
        let mut known = self.known();
        known.retain(|_, (_, until)| *until > now);
        if known.len() >= REMEMBERED {
            // What ends first is asked for again first.
            let first =
                known.iter().min_by_key(|(_, (_, until))| *until).map(|(question, _)| question.clone());
            first.and_then(|first| known.remove(&first));
        }
        known.insert(question, (verdict, until));
    }
}

fn access(user: UserInfo, path: &str) -> SubjectAccessReviewSpec {
    SubjectAccessReviewSpec {
        user: user.username,
        uid: user.uid,
        groups: user.groups,
        extra: user.extra,
        non_resource_attributes: Some(NonResourceAttributes {
            path: Some(path.to_owned()),
            verb: Some("get".to_owned()),
        }),
        ..SubjectAccessReviewSpec::default()
    }
}

async fn check(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let Some(token) = bearer(request.headers()) else {
        return unauthorized("a bearer token is needed: Authorization: Bearer TOKEN\n");
    };
    match guard.judge(token, &path).await {
        Ok(Verdict::Allowed) => next.run(request).await,
        Ok(Verdict::Unknown) => unauthorized("the API server does not know this token, or it has expired\n"),
        Ok(Verdict::Forbidden { user }) => {
            let words =
                format!("{user:?} may not get {path}: it lacks a ClusterRole with that nonResourceURL\n");
            (StatusCode::FORBIDDEN, words).into_response()
        }
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "the API server was asked about a caller and gave no answer");
            (StatusCode::SERVICE_UNAVAILABLE, "the API server could not be asked\n").into_response()
        }
    }
}

fn unauthorized(words: &'static str) -> Response {
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")], words).into_response()
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    let good = scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && token.len() <= LONGEST;
    good.then_some(token)
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
