//! The web part: `/health`, `/metrics`, the status page and what it asks for below `/api`. It reads and never changes anything.
//!
//! Everything can be asked by whoever reaches the port, so everything is bounded: connections, their time, the answers.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State as Shared;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::bounded::Bounded;
use super::history::{self, SharedHistory};
use super::listing::Zones;
use super::socket::ask;
use super::status::{State, Status};
use super::{Command, Operator, Reply, metrics, page};

/// A server that does not tell its status by then is not healthy.
const PATIENCE: Duration = Duration::from_secs(2);
/// Connections at the same time.
const CONNECTIONS: usize = 64;
/// How long a connection lasts, with all its requests; each is answered within the patience above.
const LIFETIME: Duration = Duration::from_secs(10);
const NO_ANSWER: &str = "the server does not answer";

/// Serves the web part for ever, to a bounded number of clients for a bounded time each; dropping the future closes it.
///
/// # Errors
/// Those of the listener.
pub async fn serve(listener: TcpListener, operator: Arc<dyn Operator>) -> io::Result<()> {
    let history = Arc::new(SharedHistory::default());
    let site = Arc::new(Site {
        operator: Arc::clone(&operator),
        history: Arc::clone(&history),
        zones: Zones::default(),
    });
    let serving = axum::serve(Bounded::new(listener, CONNECTIONS, LIFETIME), routes(site));
    tokio::select! {
        ended = serving.into_future() => ended,
        () = history::watch(history, operator) => Ok(()),
    }
}

/// Whom the routes ask.
struct Site {
    operator: Arc<dyn Operator>,
    history: Arc<SharedHistory>,
    zones: Zones,
}

fn routes(site: Arc<Site>) -> Router {
    let router = page::files()
        .route("/health", get(health))
        .route("/api/status", get(status))
        .route("/api/history", get(show_history))
        .route("/api/decisions", get(decisions))
        .route("/api/zones", get(zones))
        .route("/metrics", get(show_metrics))
        .fallback(nothing);
    page::with_headers(router).with_state(site)
}

/// What `/health` says.
#[derive(Debug, Serialize)]
struct Health {
    healthy: bool,
    state: Option<State>,
    reason: String,
}

async fn health(Shared(site): Shared<Arc<Site>>) -> Response {
    let status = ask_status(site.operator.as_ref()).await;
    let health = match status.map(|status| serde_json::from_str::<Status>(status.get())) {
        Ok(Ok(status)) => Health {
            healthy: status.state.is_healthy(),
            state: Some(status.state),
            reason: status.reason,
        },
        Ok(Err(error)) => unknown(error.to_string()),
        Err(why) => unknown(why),
    };
    let code = if health.healthy {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (code, [(header::CACHE_CONTROL, "no-store")], Json(health)).into_response()
}

fn unknown(reason: String) -> Health {
    Health {
        healthy: false,
        state: None,
        reason,
    }
}

async fn status(Shared(site): Shared<Arc<Site>>) -> Response {
    answer(ask_status(site.operator.as_ref()).await)
}

/// The last decisions: as many as `explain` shows.
async fn decisions(Shared(site): Shared<Arc<Site>>) -> Response {
    answer(in_time(ask(site.operator.as_ref(), Command::Explain { id: None })).await)
}

async fn zones(Shared(site): Shared<Arc<Site>>) -> Response {
    answer(in_time(site.zones.list(site.operator.as_ref())).await)
}

/// `?after=MILLISECONDS`: only what came after that.
async fn show_history(Shared(site): Shared<Arc<Site>>, uri: Uri) -> Response {
    let after = uri.query().map_or(Some(0), |query| query.strip_prefix("after=")?.parse().ok());
    match after {
        Some(after) => answer(Ok(site.history.since(after))),
        None => (StatusCode::BAD_REQUEST, "only ?after=MILLISECONDS can be asked for\n").into_response(),
    }
}

fn answer<T: Serialize>(told: Result<T, String>) -> Response {
    let no_store = [(header::CACHE_CONTROL, "no-store")];
    match told {
        Ok(value) => (no_store, Json(value)).into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, no_store, why).into_response(),
    }
}

async fn show_metrics(Shared(site): Shared<Arc<Site>>, headers: HeaderMap) -> Response {
    let (reply, answer) = oneshot::channel();
    site.operator.measure(reply);
    let Ok(Ok(measured)) = timeout(PATIENCE, answer).await else {
        return (StatusCode::SERVICE_UNAVAILABLE, NO_ANSWER).into_response();
    };
    let page = metrics::render(&measured);
    let accepts = headers.get(header::ACCEPT).and_then(|accepts| accepts.to_str().ok());
    if accepts.is_some_and(|accepts| accepts.contains("application/openmetrics-text")) {
        ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], page).into_response()
    } else {
        ([(header::CONTENT_TYPE, metrics::PLAIN_CONTENT_TYPE)], metrics::to_plain(&page)).into_response()
    }
}

async fn nothing() -> Response {
    let text = "nothing here: try /, /health, /api/status or /metrics\n";
    (StatusCode::NOT_FOUND, text).into_response()
}

pub(super) async fn ask_status(operator: &dyn Operator) -> Reply {
    in_time(ask(operator, Command::Status)).await
}

async fn in_time<T>(told: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    timeout(PATIENCE, told).await.unwrap_or_else(|_| Err(NO_ANSWER.to_owned()))
}
