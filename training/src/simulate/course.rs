//! One leg: rounds of asking, voting, learning and swapping, each step resumable.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, Instant},
};

use plaudit::{
    domain::Kind,
    registry::{Registry, RegistrySettings},
    round::RoundRecord,
    store::{ExportScope, Store},
};
use serde_json::{Value, json};

use super::{
    Client, Leg, Population, RaterKind, RoundFacts, Server, Shares, SimulateError, Simulation,
    asking::{Asked, count, read},
    first,
    leg::{Planned, TrialFacts},
    locate,
};
use crate::daemon::{Daemon, DaemonSettings, Learning};

/// Until reviews of raters have seen the last votes: two of the servers' intervals, and some.
const SETTLE: Duration = Duration::from_secs(3);
/// Longer than a server takes to load a version on a busy machine.
const SWAP_PATIENCE: Duration = Duration::from_secs(300);
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Seeds of prompts of different rounds lie this far apart, those of trials beyond.
const ROUND_SEEDS: u64 = 1_000;
const TRIAL_SEEDS: u64 = 500;
/// Rounds that are looked back at.
const ROUNDS: usize = 1000;

/// A leg that is being run.
pub(super) struct Course<'a> {
    pub(super) simulation: &'a Simulation,
    pub(super) folder: PathBuf,
    seed: u64,
    pub(super) population: Population,
    daemon: DaemonSettings,
    store: Store,
    registry: Registry,
    pub(super) client: Client,
    /// Ends with the course.
    _server: Option<Server>,
}

/// Does what is left of a leg's rounds; whether all are done.
pub(super) async fn run(
    simulation: &Simulation,
    planned: &Planned,
    until: Option<Instant>,
) -> Result<bool, SimulateError> {
    let mut leg = planned.read(&simulation.out)?;
    if leg.rounds.len() >= planned.rounds {
        return Ok(true);
    }
    if leg.rounds.is_empty() && !first::votes(simulation, planned, until).await? {
        return Ok(false);
    }
    let course = Course::open(simulation, planned, planned.folder(&simulation.out)).await?;
    let done = course.rounds(planned, &mut leg, until).await;
    course.close().await;
    done
}

impl<'a> Course<'a> {
    pub(super) async fn open(
        simulation: &'a Simulation,
        planned: &Planned,
        folder: PathBuf,
    ) -> Result<Self, SimulateError> {
        let data = simulation.running.as_ref().map_or_else(|| folder.join("data"), |running| running.data.clone());
        let (client, server) = match &simulation.running {
            Some(running) => (Client::new(&running.url, &running.key), None),
            None => {
                let program = locate(simulation.program.as_deref())?;
                let server = Server::start(&program, &data, &simulation.pack, &simulation.flags).await?;
                (server.client(), Some(server))
            }
        };
        let shares = Shares { hostile: planned.hostile, ..simulation.shares };
        let seed = planned.first_seed(simulation);
        let population = Population::new(simulation.raters, shares, seed);
        let learning = Learning { seed, ..planned.recipe.learning(simulation) };
        let daemon = DaemonSettings { data: data.clone(), learning, ..simulation.daemon.clone() };
        let store = Store::attach_with(&data, &daemon.store).await?;
        let registry = Registry::open(store.clone(), RegistrySettings::default()).await?;
        Ok(Self { simulation, folder, seed, population, daemon, store, registry, client, _server: server })
    }

    /// Ends with the server, once all that it wrote is on disk.
    pub(super) async fn close(self) {
        self.store.close().await;
    }

    async fn rounds(&self, planned: &Planned, leg: &mut Leg, until: Option<Instant>) -> Result<bool, SimulateError> {
        if leg.base.is_empty() {
            leg.base = vec![self.champion(Kind::Generator).await?, self.champion(Kind::Reward).await?];
            planned.write(&self.simulation.out, leg)?;
        }
        while leg.rounds.len() < planned.rounds {
            let number = leg.rounds.len() + 1;
            let learned = leg.rounds.iter().filter(|round| !round.round.is_null()).count();
            match self.round(&planned.name(), number, learned, until).await? {
                Some(facts) => leg.rounds.push(facts),
                None => return Ok(false),
            }
            planned.write(&self.simulation.out, leg)?;
        }
        Ok(true)
    }

    /// The champion, once the server has brought it into the registry.
    async fn champion(&self, kind: Kind) -> Result<String, SimulateError> {
        let began = Instant::now();
        loop {
            if let Some(version) = self.registry.aliases(kind).await.map_err(anyhow::Error::from)?.champion {
                return Ok(version.to_string());
            }
            if began.elapsed() >= SWAP_PATIENCE {
                return Err(SimulateError::NotServed { version: format!("a {kind}") });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// A round; `None` where this run's time is over before its end. `learned`: daemon's rounds of those before.
    async fn round(
        &self,
        leg: &str,
        number: usize,
        learned: usize,
        until: Option<Instant>,
    ) -> Result<Option<RoundFacts>, SimulateError> {
        let seed = self.round_seed(number);
        let Some(mut asked) = self.ask_round(leg, number, until).await? else { return Ok(None) };
        tokio::time::sleep(SETTLE).await;
        let quarantined = self.quarantined().await?;
        let (done, said, round, seconds) = self.learn(learned).await?;
        let trial = match self.trial(leg, number, seed, &round, until).await? {
            None => return Ok(None),
            Some((trial, more)) => {
                asked.extend(more);
                trial
            }
        };
        let (generator, reward) = (self.champion(Kind::Generator).await?, self.champion(Kind::Reward).await?);
        self.until_serves(&generator).await?;
        let mut facts = RoundFacts {
            number,
            done,
            said,
            round,
            trial,
            quarantined,
            generator,
            reward,
            seconds,
            ..RoundFacts::default()
        };
        count(&mut facts, &asked);
        tracing::info!("{leg}, round {number}: {}; {} serves", facts.said, facts.generator);
        Ok(Some(facts))
    }

    fn round_seed(&self, number: usize) -> u64 {
        self.seed + ROUND_SEEDS * number as u64
    }

    /// Raters ask and vote before a round learns; `None` where this run's time is over before all have.
    pub(super) async fn ask_round(
        &self,
        leg: &str,
        number: usize,
        until: Option<Instant>,
    ) -> Result<Option<Vec<Asked>>, SimulateError> {
        let (title, file) = (format!("{leg}, round {number}"), format!("votes-{number}.jsonl"));
        self.ask(&title, &file, self.simulation.prompts, self.round_seed(number), until, false).await
    }

    /// Raters in quarantine, by kind.
    async fn quarantined(&self) -> Result<BTreeMap<RaterKind, u64>, SimulateError> {
        let found = self.store.votes_to_export(&ExportScope::default(), 1.0).await?;
        let rows = found.votes.iter().filter(|vote| vote.row.quarantined == Some(true));
        let names: std::collections::BTreeSet<&str> = rows.map(|vote| vote.row.rater.as_str()).collect();
        let mut kinds = BTreeMap::new();
        for person in self.population.people().iter().filter(|person| names.contains(person.name.as_str())) {
            *kinds.entry(person.kind).or_default() += 1;
        }
        Ok(kinds)
    }

    /// The daemon looks once; a look that had ended before a stop is read back.
    async fn learn(&self, learned: usize) -> Result<(String, String, Value, f64), SimulateError> {
        let ended = async || -> Result<Vec<RoundRecord>, SimulateError> {
            let rounds = self.store.rounds(ROUNDS).await?;
            Ok(rounds.into_iter().filter(|round| round.outcome.is_some()).collect())
        };
        let told = |round: &RoundRecord| {
            let name = round.outcome.map_or("", plaudit::round::RoundOutcome::name);
            (name.to_owned(), format!("round {}: {}", round.sequence, round.reason), json!(round))
        };
        let before = ended().await?;
        if before.len() > learned {
            let (done, said, round) = told(&before[0]);
            let seconds = (before[0].changed - before[0].started) as f64;
            return Ok((done, said, round, seconds));
        }
        let began = Instant::now();
        let daemon = Daemon::open(self.daemon.clone()).await?;
        let done = daemon.once().await?;
        let seconds = began.elapsed().as_secs_f64();
        let after = ended().await?;
        let round = if after.len() > learned { json!(after[0]) } else { Value::Null };
        Ok((done.name().to_owned(), done.to_string(), round, seconds))
    }

    /// Whether no trial goes on that votes could decide.
    pub(super) async fn trial_is_decided(&self) -> Result<bool, SimulateError> {
        let trial = self.client.trial().await?;
        Ok(trial.is_none_or(|trial| !matches!(trial["state"].as_str(), Some("shadow" | "canary"))))
    }

    /// Votes go on while a version is on trial; where they do not decide, the operator does. `None` where this run's time is over.
    async fn trial(
        &self,
        leg: &str,
        number: usize,
        seed: u64,
        round: &Value,
        until: Option<Instant>,
    ) -> Result<Option<(Option<TrialFacts>, Vec<Asked>)>, SimulateError> {
        let text = |trial: &Value, name: &str| trial[name].as_str().unwrap_or_default().to_owned();
        let tried = text(&round["facts"]["generator"], "version");
        let ours = async || -> Result<Option<Value>, SimulateError> {
            Ok(self.client.trial().await?.filter(|trial| trial["version"] == tried.as_str()))
        };
        if ours().await?.is_none() {
            return Ok(Some((None, Vec::new())));
        }
        let file = format!("trial-{number}.jsonl");
        // A trial of this round that was decided before a stop has left its votes.
        let mut asked = read(&self.folder.join(&file))?;
        if !self.trial_is_decided().await? {
            let (title, amount) = (format!("{leg}, trial {number}"), self.simulation.trial_prompts);
            match self.ask(&title, &file, amount, seed + TRIAL_SEEDS, until, true).await? {
                Some(more) => asked = more,
                None => return Ok(None),
            }
        }
        let Some(mut last) = ours().await? else { return Ok(Some((None, asked))) };
        let version = text(&last, "version");
        let by_operator = matches!(last["state"].as_str(), Some("shadow" | "canary" | "paused"));
        if by_operator {
            let reason = "the gate let it pass, and the votes of its trial did not decide";
            self.client.promote(&version, &text(&last, "champion"), reason).await?;
            let began = Instant::now();
            while text(&last, "state") != "promoted" && began.elapsed() < SWAP_PATIENCE {
                tokio::time::sleep(LOOK_EVERY).await;
                last = ours().await?.unwrap_or(last);
            }
        }
        let facts = TrialFacts { version, state: text(&last, "state"), reason: text(&last, "reason"), by_operator };
        Ok(Some((Some(facts), asked)))
    }

    async fn until_serves(&self, version: &str) -> Result<(), SimulateError> {
        let began = Instant::now();
        while self.client.serves().await? != version {
            if began.elapsed() >= SWAP_PATIENCE {
                return Err(SimulateError::NotServed { version: version.to_owned() });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}
