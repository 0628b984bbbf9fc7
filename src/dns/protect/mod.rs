//! What keeps this server from being used against others, and clients from being kept out: cookies and the rate limit.
//!
//! Pure: what a cookie is worth and whether an answer is too much is decided from values that are handed in, time and secrets
//! among them. [`Protection`] is the one value that all transports share; a reload swaps the secrets in it.

pub mod cookie;
pub mod rate_limit;
mod watch;

use arc_swap::ArcSwap;

use cookie::Secrets;
use rate_limit::RateLimiter;
pub use watch::News;

/// What all workers share for the protection of clients and of others.
#[derive(Debug)]
pub struct Protection {
    /// For server cookies; a reload swaps them.
    pub secrets: ArcSwap<Secrets>,
    /// Clients that speak cookies are answered over UDP only with a valid one.
    pub cookie_required: bool,
    /// The limit on answers over UDP; `None`: there is none.
    pub limiter: Option<RateLimiter>,
}

impl Protection {
    /// Cookies that are answered and not required, and no limit.
    #[must_use]
    pub fn with(secrets: Secrets) -> Self {
        Self {
            secrets: ArcSwap::from_pointee(secrets),
            cookie_required: false,
            limiter: None,
        }
    }
}
