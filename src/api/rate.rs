//! How often a client may ask, and how often an address may begin a session.

use std::{
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::Arc,
};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter, clock::Clock};

use super::{ApiError, Code};
use crate::{feedback::FeedbackSettings, settings::LimitSettings};

/// A bucket for each client and each address that was here lately.
#[derive(Debug)]
pub struct Rates {
    generations: Buckets<Arc<str>>,
    sessions: Buckets<IpAddr>,
    votes: Buckets<Arc<str>>,
}

impl Rates {
    /// As the settings say.
    pub fn new(settings: &LimitSettings, feedback: &FeedbackSettings) -> Self {
        let a_minute = |rate| NonZeroU32::new(rate).map(Quota::per_minute);
        Self {
            generations: Buckets::new(a_minute(settings.rate).map(|quota| quota.allow_burst(settings.burst))),
            sessions: Buckets::new(a_minute(settings.sessions)),
            votes: Buckets::new(a_minute(feedback.rate)),
        }
    }

    /// Counts a request of this client.
    ///
    /// # Errors
    /// `rate_limited`, with the time after which the next is taken.
    pub fn count(&self, client: &Arc<str>) -> Result<(), ApiError> {
        self.generations.count(client, "too many generations; Retry-After says when the next is taken")
    }

    /// Counts a vote of this voter.
    ///
    /// # Errors
    /// `rate_limited`, with the time after which the next is taken.
    pub fn count_vote(&self, voter: &Arc<str>) -> Result<(), ApiError> {
        self.votes.count(voter, "too many votes of one rater; Retry-After says when the next is taken")
    }

    /// Counts a session that begins: whoever drops its cookie is a new client, and would never be a client too many.
    ///
    /// # Errors
    /// `rate_limited`, with the time after which the next may begin.
    pub fn count_session(&self, address: Option<IpAddr>) -> Result<(), ApiError> {
        let message =
            "too many sessions begin at this address; send the cookie plaudit_session back, or a key, or wait";
        address.map_or(Ok(()), |address| self.sessions.count(&household(address), message))
    }

    /// Forgets those whose bucket is full again.
    pub fn forget(&self) {
        self.generations.forget();
        self.sessions.forget();
        self.votes.forget();
    }
}

/// One customer of a provider has at least 2⁶⁴ addresses of IPv6, all with the same first half.
fn household(address: IpAddr) -> IpAddr {
    const HALF: u32 = 64;
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> HALF << HALF).into(),
        address => address,
    }
}

/// No buckets: any number.
#[derive(Debug)]
struct Buckets<K: Eq + Hash + Clone>(Option<DefaultKeyedRateLimiter<K>>);

impl<K: Eq + Hash + Clone> Buckets<K> {
    fn new(quota: Option<Quota>) -> Self {
        Self(quota.map(RateLimiter::keyed))
    }

    fn count(&self, key: &K, message: &str) -> Result<(), ApiError> {
        let Some(limiter) = &self.0 else { return Ok(()) };
        limiter.check_key(key).map_err(|early| {
            let wait = early.wait_time_from(limiter.clock().now());
            ApiError::new(Code::RateLimited, message).retry_after(wait)
        })
    }

    fn forget(&self) {
        if let Some(limiter) = &self.0 {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_of_a_household_are_one() {
        let of = |text: &str| household(text.parse().expect("an address")).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("2001:db8:1:2:9::"), "2001:db8:1:2::");
        assert_eq!((of("192.0.2.1").as_str(), of("::ffff:192.0.2.1").as_str()), ("192.0.2.1", "192.0.2.1"));
    }
}
