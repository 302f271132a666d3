//! `plaudit registry try`, `end-trial` and `trials`.

use std::fmt::Write;

use clap::Args;
use plaudit::{
    registry::{Kind, Registry, VersionId},
    runtime::SessionSettings,
    store::Store,
    trial::{self, NewTrial, TrialRecord},
};

use super::{actor, promote::beside, text::time};

#[derive(Debug, Args)]
#[command(after_help = "\
The candidate first serves requests again for nobody, then its share of those who ask, each of whom stays with it. Servers end the trial
themselves: it is promoted, rolled back, or paused for you to decide (docs/trials.md). One trial goes on at a time.

Examples:
  plaudit registry try miniature@0123456789ab --expected miniature@89abcdef0123 --reason 'gate passed'
  plaudit registry try miniature@0123456789ab --expected miniature@89abcdef0123 --share 0.5 --shadow 0 --reason 'again, with half'
  plaudit registry try tuned@0123456789ab --kind reward --expected first@89abcdef0123 --reason 'it knows the new votes'")]
pub(super) struct Try {
    /// The candidate
    version: VersionId,
    /// What it is a version of: generator or reward
    #[arg(long, default_value_t = Kind::Generator, value_name = "KIND")]
    kind: Kind,
    /// The champion as you know it
    #[arg(long, value_name = "VERSION")]
    expected: VersionId,
    /// Share of those who ask that it serves
    #[arg(long, default_value_t = 0.1, value_parser = share, value_name = "SHARE")]
    share: f64,
    /// Requests that it serves again for nobody first
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(..=1000), value_name = "REQUESTS")]
    shadow: u32,
    /// Why, for whoever reads the log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who; by default the user's name
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct End {
    /// Why, for whoever reads the log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who; by default the user's name
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Trials {
    /// Trials at most
    #[arg(long, default_value_t = 20, value_name = "TRIALS")]
    limit: usize,
    /// As JSON, with what decided
    #[arg(long)]
    json: bool,
}

fn share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|_| "it is no number".to_owned())?;
    (share > 0.0 && share < 1.0).then_some(share).ok_or_else(|| "it must lie between 0 and 1".to_owned())
}

pub(super) async fn begin(store: &Store, registry: &Registry, arguments: Try) -> anyhow::Result<()> {
    let Try { version, kind, expected: champion, share, shadow, reason, actor: named } = arguments;
    eprintln!("checking {version} …");
    let generator = match kind {
        Kind::Generator => None,
        Kind::Reward => Some(beside(registry, None).await?),
    };
    registry.verify(kind, &version, generator.as_ref(), &SessionSettings::default()).await?;
    let trial = NewTrial { kind, version, champion, share, shadow, actor: actor(named), reason };
    let begun = trial::begin(store, registry, trial).await?;
    eprint!("{}", table(&[begun]));
    eprintln!("servers follow within a second; `plaudit registry trials` says how it goes");
    Ok(())
}

pub(super) async fn end(store: &Store, registry: &Registry, arguments: End) -> anyhow::Result<()> {
    let ended = trial::end(store, registry, &actor(arguments.actor), &arguments.reason).await?;
    eprint!("{}", table(&[ended]));
    Ok(())
}

pub(super) async fn list(store: &Store, arguments: &Trials) -> anyhow::Result<()> {
    let trials = trial::list(store, None, arguments.limit).await?;
    if arguments.json {
        println!("{:#}", serde_json::to_value(&trials)?);
    } else if trials.is_empty() {
        eprintln!("nothing was tried yet; `plaudit registry try` does");
    } else {
        print!("{}", table(&trials));
    }
    Ok(())
}

fn table(trials: &[TrialRecord]) -> String {
    let mut text = String::new();
    for trial in trials {
        let TrialRecord { kind, version, champion, share, state, reason, changed, .. } = trial;
        let (share, state, when) = (100.0 * share, state.name(), time(*changed));
        // Writing into text cannot fail.
        let _ = writeln!(text, "{kind} {version}  beside {champion} for {share:.1} %  {state:<11}  {when}  {reason}");
    }
    text
}
