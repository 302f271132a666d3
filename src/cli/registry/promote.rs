//! `plaudit registry promote` and `rollback`.

use std::path::{Path, PathBuf};

use clap::Args;
use plaudit::{
    pack::Pack,
    registry::{Kind, Promotion, PromotionRecord, Registry, VersionId},
    runtime::{Device, SessionSettings},
};

use super::{Expected, actor};
use crate::cli::generate::locate;

#[derive(Debug, Args)]
#[command(after_help = "\
The champion must be the one that you name: if somebody promoted meanwhile, nothing is done and you are told.

Examples:
  plaudit registry promote generator tuned@0123456789ab --expected miniature@89abcdef0123 --reason 'gate passed: +8 % thumbs'
  plaudit registry promote reward miniature@0123456789ab --expected none --reason 'the first one'")]
pub(super) struct Promote {
    /// generator or reward
    kind: Kind,
    /// The next champion
    version: VersionId,
    /// The champion as you know it; none where there is none yet
    #[arg(long, value_name = "VERSION")]
    expected: Expected,
    /// Why, for whoever reads the log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who; by default the user's name
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
    /// For a reward where no generator is champion yet: the pack whose CLIP it is for; by default the bundled one
    #[arg(long, value_name = "DIR")]
    pack: Option<PathBuf>,
    /// Where golden outputs are computed: cpu, cuda or cuda:N
    #[arg(long, default_value_t = Device::Cpu)]
    device: Device,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Going back twice goes back two champions.

Examples:
  plaudit registry rollback generator --reason 'thumbs fell by a tenth'
  plaudit registry rollback generator --to miniature@89abcdef0123 --reason 'the last one that was liked'")]
pub(super) struct Rollback {
    /// generator or reward
    kind: Kind,
    /// Why, for whoever reads the log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// An earlier champion; by default the one before
    #[arg(long, value_name = "VERSION")]
    to: Option<VersionId>,
    /// The champion as you know it; by default whichever it is now
    #[arg(long, value_name = "VERSION")]
    expected: Option<Expected>,
    /// Who; by default the user's name
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
}

pub(super) async fn promote(registry: &Registry, arguments: Promote) -> anyhow::Result<()> {
    let Promote { kind, version, expected: Expected(expected), reason, actor: named, pack, device } = arguments;
    eprintln!("checking {version} …");
    let generator = match kind {
        Kind::Generator => None,
        Kind::Reward => Some(beside(registry, pack.as_deref()).await?),
    };
    let settings = SessionSettings { device, ..SessionSettings::default() };
    registry.verify(kind, &version, generator.as_ref(), &settings).await?;
    let promotion = Promotion { kind, version, expected, actor: actor(named), reason };
    tell(&registry.promote(promotion).await?);
    Ok(())
}

/// The pack whose CLIP a reward is for.
pub(super) async fn beside(registry: &Registry, named: Option<&Path>) -> anyhow::Result<Pack> {
    let champion = registry.aliases(Kind::Generator).await?.champion;
    let folder = match (named, champion) {
        (Some(folder), _) => folder.to_owned(),
        (None, Some(champion)) => registry.folder(Kind::Generator, &champion),
        (None, None) => locate::bundled_pack()?,
    };
    Ok(Pack::open(&folder)?)
}

pub(super) async fn rollback(registry: &Registry, arguments: Rollback) -> anyhow::Result<()> {
    let Rollback { kind, reason, to, expected, actor: named } = arguments;
    let expected = match expected {
        Some(Expected(expected)) => expected,
        None => registry.aliases(kind).await?.champion,
    };
    tell(&registry.rollback(kind, to, expected, &actor(named), &reason).await?);
    Ok(())
}

fn tell(written: &PromotionRecord) {
    let text = |version: &Option<VersionId>| version.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
    let (version, previous) = (text(&written.version), text(&written.previous));
    println!("{version} is the champion {} now; before it was {previous}", written.kind);
}
