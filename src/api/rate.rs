//! How often a client may ask.

use std::sync::Arc;

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter, clock::Clock};

use super::{ApiError, Code};
use crate::settings::LimitSettings;

/// A bucket for each client that was here lately.
#[derive(Debug)]
pub struct Rates {
    limiter: Option<DefaultKeyedRateLimiter<Arc<str>>>,
}

impl Rates {
    /// As the settings say.
    pub fn new(settings: &LimitSettings) -> Self {
        let rate = std::num::NonZeroU32::new(settings.rate);
        let quota = rate.map(|rate| Quota::per_minute(rate).allow_burst(settings.burst));
        Self { limiter: quota.map(RateLimiter::keyed) }
    }

    /// Counts a request of this client.
    ///
    /// # Errors
    /// `rate_limited`, with the time after which the next is taken.
    pub fn count(&self, client: &Arc<str>) -> Result<(), ApiError> {
        let Some(limiter) = &self.limiter else { return Ok(()) };
        limiter.check_key(client).map_err(|early| {
            let wait = early.wait_time_from(limiter.clock().now());
            ApiError::new(Code::RateLimited, "too many generations; Retry-After says when the next is taken")
                .retry_after(wait)
        })
    }

    /// Forgets clients whose bucket is full again.
    pub fn forget(&self) {
        if let Some(limiter) = &self.limiter {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }
}
