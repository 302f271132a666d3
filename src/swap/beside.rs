//! A version that serves beside the champion: what differs between a generator and a reward on trial.

use std::sync::Arc;

use super::{Ready, Swapper};
use crate::{
    domain::Kind,
    engine::{Engine, Routes, Trial},
    scoring::{RewardTrial, Scorer},
};

impl Ready {
    /// `name@hash`.
    pub fn version(&self) -> &str {
        match self {
            Self::Generator(generator) => generator.version(),
            Self::Reward(reward) => reward.version(),
        }
    }
}

impl Swapper {
    /// The version that is on trial here, and its share.
    pub(crate) fn on_trial(&self, kind: Kind) -> Option<(Ready, f64)> {
        match kind {
            Kind::Generator => {
                let trial = self.inner.engine.routes().candidate.clone()?;
                Some((Ready::Generator(trial.generator), trial.share))
            }
            Kind::Reward => {
                let trial = self.inner.scorer.as_ref()?.on_trial()?;
                Some((Ready::Reward(trial.reward), trial.share))
            }
        }
    }

    /// From the next request on a version serves a share of those who ask. No champion comes in between.
    pub(crate) async fn try_beside(&self, candidate: Ready, share: f64) {
        let _alone = self.hold().await;
        match candidate {
            Ready::Generator(generator) => self.route(Some(Trial { generator, share })),
            Ready::Reward(reward) => {
                if let Some(scorer) = &self.inner.scorer {
                    scorer.try_beside(Some(RewardTrial { reward, share }));
                }
            }
        }
    }

    /// From the next request on the champion serves everybody.
    pub(crate) async fn champion_alone(&self, kind: Kind) {
        let _alone = self.hold().await;
        match kind {
            Kind::Generator => self.route(None),
            Kind::Reward => {
                if let Some(scorer) = &self.inner.scorer {
                    scorer.try_beside(None);
                }
            }
        }
    }

    fn route(&self, candidate: Option<Trial>) {
        let engine = &self.inner.engine;
        engine.serve(Routes { champion: engine.routes().champion.clone(), candidate });
    }

    /// What draws here.
    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.inner.engine
    }

    /// What scores here.
    pub(crate) fn scorer(&self) -> Option<&Scorer> {
        self.inner.scorer.as_ref()
    }
}
