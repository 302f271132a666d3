//! `plaudit-train finetune`.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{ValueEnum, builder::RangedU64ValueParser};
use plaudit::pipeline::schedule::SchedulerKind;
use plaudit_training::{
    finetune::{Finetune, FinetuneError, Kto, LatentReward, Objective, Signal, Tuned, finetune},
    step::{Lora, Selection},
};

use super::minutes;

/// What a leg that ended before the run's last step exits with.
const UNFINISHED: u8 = 3;
const SECONDS_AN_HOUR: f64 = 3600.0;
const BYTES_A_MIB: u64 = 1 << 20;

/// Tune a pack's denoiser on scored pictures and votes, and write a pack that can be published.
///
/// Run again, it goes on where it stopped. Exit codes: 0 the pack is there, 1 an error, 3 the leg (--minutes) ended before the last step.
#[derive(clap::Args)]
pub(crate) struct FinetuneArguments {
    /// The pack that is tuned, and that the result is compared with while it is.
    #[arg(long, value_name = "PACK_DIR", default_value = "onnx/packs/miniature")]
    pack: PathBuf,
    /// Voted pictures, as `collect` or `plaudit feedback export` writes them. The parts test and held_out are left to the gate.
    #[arg(long, value_name = "DATASET")]
    dataset: Option<PathBuf>,
    /// More pictures with prompts, scored by the reward: a dataset, a directory of `collect --votes-per-image 0`, or captioned pictures.
    /// May be given several times.
    #[arg(long, value_name = "DIR")]
    unlabelled: Vec<PathBuf>,
    /// Captioned pictures to hold on to what the model knows, as `data import` writes them. Without them the anchor stands in.
    #[arg(long, value_name = "DIR")]
    pretraining: Option<PathBuf>,
    /// The reward that scores, instead of the pack's own. KTO needs none.
    #[arg(long, value_name = "REWARD_DIR")]
    reward: Option<PathBuf>,
    /// Where caches, checkpoints, curves, sheets and exports go.
    #[arg(long, default_value = "data/finetune")]
    data: PathBuf,
    /// The tuned pack; must not be there yet.
    #[arg(long, value_name = "PACK_DIR", default_value = "data/finetune/pack")]
    out: PathBuf,
    /// Its name; by default the parent's.
    #[arg(long)]
    name: Option<String>,
    /// The scheduler that the tuned pack names for requests that name none [default: the parent's; for the latent reward ddim]
    #[arg(long)]
    scheduler: Option<SchedulerKind>,
    /// How rewards or votes become a loss.
    #[arg(long, value_enum, default_value_t = Choice::RewardWeighted)]
    objective: Choice,
    /// What r is: the reward's calibrated probability, what it was before calibration, or the first counted as one vote beside the picture's own
    /// [default: calibrated; for the latent reward votes].
    #[arg(long, value_enum)]
    signal: Option<Signal>,
    /// Weight of the pre-training pictures' mean error. The paper does not publish its own.
    #[arg(long, default_value_t = 1.0)]
    beta: f32,
    /// Share of a batch that is pre-training pictures, where there are any.
    #[arg(long, default_value_t = 0.5, value_parser = share)]
    pretraining_share: f32,
    /// How often a pre-training picture's prompt is left out.
    #[arg(long, default_value_t = 0.1, value_parser = share)]
    prompt_drop: f32,
    /// Weight of the distance from the parent's predictions; by default 0.1 for the reward
    /// gradient, else 0 with pre-training pictures and 1 without. Not for the latent reward.
    #[arg(long)]
    anchor: Option<f32>,
    /// Let timesteps count alike, as the reward gradient always does: each row by the inverse root of the parent's error, which is large where there is little noise. Needs the
    /// parent's predictions. KTO's own term stays as it is.
    #[arg(long)]
    balance: bool,
    /// Guidance scale inside the loss, for rounds after the first; twice the work [default: none; for the reward gradient the pack's]
    #[arg(long)]
    guidance: Option<f32>,
    /// Timesteps that the model's own pictures are noised to, of the pack's 0 to 999: `400..1000` leaves out those at which no layout is
    /// decided any more [default: all; for the reward gradient 100..700]
    #[arg(long, value_name = "FROM..TO", value_parser = range)]
    timesteps: Option<(usize, usize)>,
    /// The signed and the relative target's bound b: larger moves less [default: 1]
    #[arg(long)]
    bound: Option<f32>,
    /// How far the latent reward leads [default: 60]
    #[arg(long)]
    strength: Option<f32>,
    /// Updates of the latent reward, of 64 rows each, before the generator's [default: 1500]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    latent_steps: Option<u64>,
    /// Highest learning rate of the latent reward [default: 4e-4]
    #[arg(long)]
    latent_rate: Option<f32>,
    /// Share of the latent reward's rows that show a picture with a contrast of its prompt: wrong as far as the picture is right [default: 0]
    #[arg(long)]
    latent_contrast: Option<f32>,
    /// The reward gradient's reach, as a share of the parent's error [default: 0.5]
    #[arg(long)]
    reach: Option<f32>,
    /// What telling a picture's prompt from its contrasts counts for in the reward gradient [default: 1]
    #[arg(long)]
    contrast: Option<f32>,
    /// KTO's β [default: 5000]. Errors are means over a latent's numbers.
    #[arg(long)]
    kto_beta: Option<f32>,
    /// Share of KTO's rows that are thumbs up [default: 0.8]
    #[arg(long, value_parser = share)]
    kto_liked: Option<f32>,
    /// KTO's weight of thumbs up [default: 1]
    #[arg(long)]
    kto_up: Option<f32>,
    /// KTO's weight of thumbs down [default: 1]
    #[arg(long)]
    kto_down: Option<f32>,
    /// Batches that KTO's reference point is the mean of [default: 8]
    #[arg(long, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    kto_window: Option<usize>,
    /// Which weights are trained.
    #[arg(long, value_enum, default_value_t = Weights::All)]
    selection: Weights,
    /// Rank of LoRA.
    #[arg(long, default_value_t = 8, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    lora_rank: usize,
    /// Strength of LoRA, which is divided by the rank; by default the rank itself.
    #[arg(long)]
    lora_alpha: Option<f32>,
    /// Updates in all [default: 500; for the reward gradient 200]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    steps: Option<u64>,
    /// Rows of one run of the graph.
    #[arg(long, default_value_t = 8, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    rows: usize,
    /// Runs of the graph for one update.
    #[arg(long, default_value_t = 2, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    micro_batches: usize,
    /// Highest learning rate [default: 1e-5; for the reward gradient 5e-5]
    #[arg(long)]
    rate: Option<f32>,
    /// Steps of warm-up.
    #[arg(long, default_value_t = 20)]
    warmup: u64,
    /// AdamW's weight decay.
    #[arg(long, default_value_t = 0.01)]
    weight_decay: f32,
    /// Decay of an average of the weights, which is then what is exported [default: none; for the reward gradient 0.95]
    #[arg(long)]
    average: Option<f32>,
    /// The run stops where its noise error, averaged over 25 steps, is this many times what it was at the start.
    #[arg(long, default_value_t = 2.0)]
    divergence: f32,
    /// Share of the prompts that are not learned from: the loss on them says whether what is learned holds for others. 0 validates nothing.
    #[arg(long, default_value_t = 0.1, value_parser = share)]
    validation_share: f32,
    /// Rows of a validation [default: 256; for the reward gradient, which draws each as a picture, 64]
    #[arg(long, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    validation_rows: Option<usize>,
    /// Steps between validations.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    validate_every: u64,
    /// Steps between checkpoints.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..))]
    checkpoint_every: u64,
    /// Steps between sample sheets; 0 draws none.
    #[arg(long, default_value_t = 100)]
    sheet_every: u64,
    /// A prompt of the sheets, instead of some of the training prompts; may be given several times.
    #[arg(long)]
    sheet_prompt: Vec<String>,
    /// Minutes until the leg ends; the next run goes on. Without it it trains to its last step.
    #[arg(long, value_parser = minutes)]
    minutes: Option<Duration>,
    /// Refuse a run that is estimated to take more hours.
    #[arg(long, value_parser = hours)]
    most_hours: Option<Duration>,
    /// Memory that the run may take, in MiB, instead of what is free.
    #[arg(long, value_name = "MIB")]
    memory_limit: Option<u64>,
    /// Start although memory or time do not suffice by the estimate.
    #[arg(long)]
    force: bool,
    /// Seed of order, timesteps, noise and LoRA.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Threads; 0 means one for each core.
    #[arg(long, default_value_t = 0)]
    threads: usize,
}

/// The objectives by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Choice {
    /// The paper's: each picture's error weighted by its reward.
    RewardWeighted,
    /// Weighted by how far the reward is above or below the mean of the prompt's pictures.
    Centred,
    /// Towards the noise or away from it, as far as the reward is from a half; bounded.
    SignedTarget,
    /// The same, as far as the reward is from those of the prompt's other pictures: hard prompts push as much as easy ones.
    RelativeTarget,
    /// Along the reward's own gradient at what a prediction says the picture will be.
    RewardGradient,
    /// Where a reward that sees noise, which is learned from the votes first, leads each step of a drawing.
    LatentReward,
    /// From thumbs up and down themselves, without a reward.
    Kto,
}

/// Which weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Weights {
    /// Every weight.
    All,
    /// Attention blocks only.
    Attention,
    /// A low-rank correction, which is also written as a file of its own.
    Lora,
}

impl FinetuneArguments {
    /// Trains, says what was written and what to type next, and answers the exit code.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        self.check()?;
        let settings = self.settings();
        match finetune(&settings) {
            Ok(tuned) => {
                println!("{}", tuned.version);
                eprint!("{}", said(&settings, &tuned));
                Ok(ExitCode::SUCCESS)
            }
            Err(unfinished @ FinetuneError::Unfinished { .. }) => {
                eprintln!("{unfinished}");
                Ok(ExitCode::from(UNFINISHED))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn settings(&self) -> Finetune {
        let usual = Finetune::new(&self.pack, &self.data, &self.out).with_objective(self.objective());
        Finetune {
            labelled: self.dataset.clone(),
            unlabelled: self.unlabelled.clone(),
            pretraining: self.pretraining.clone(),
            reward: self.reward.clone(),
            name: self.name.clone(),
            scheduler: self.scheduler.or(usual.scheduler),
            signal: self.signal.unwrap_or(usual.signal),
            pretraining_weight: self.beta,
            pretraining_share: self.pretraining_share,
            prompt_drop: self.prompt_drop,
            anchor: self.anchor.or(usual.anchor),
            balance: self.balance || usual.balance,
            guidance: self.guidance,
            timesteps: self.timesteps.or(usual.timesteps),
            selection: self.selection(),
            steps: self.steps.unwrap_or(usual.steps),
            rows: self.rows,
            micro_batches: self.micro_batches,
            rate: self.rate.unwrap_or(usual.rate),
            warmup: self.warmup,
            weight_decay: self.weight_decay,
            average: self.average.or(usual.average),
            divergence: self.divergence,
            validation_share: self.validation_share,
            validation_rows: self.validation_rows.unwrap_or(usual.validation_rows),
            validate_every: self.validate_every,
            checkpoint_every: self.checkpoint_every,
            sheet_every: self.sheet_every,
            sheet_prompts: self.sheet_prompt.clone(),
            leg: self.minutes,
            most_time: self.most_hours,
            memory_limit: self.memory_limit.map(|mib| mib * BYTES_A_MIB),
            force: self.force,
            seed: self.seed,
            threads: self.threads,
            ..usual
        }
    }

    /// Refuses a flag of another objective: it would change nothing.
    fn check(&self) -> anyhow::Result<()> {
        let targets = [Choice::SignedTarget, Choice::RelativeTarget];
        let of_rewards = [
            Choice::RewardWeighted,
            Choice::Centred,
            Choice::SignedTarget,
            Choice::RelativeTarget,
            Choice::LatentReward,
        ];
        let anchored = [&of_rewards[..4], &[Choice::RewardGradient, Choice::Kto]].concat();
        let flags = [
            ("--anchor", self.anchor.is_some(), &anchored[..]),
            ("--signal", self.signal.is_some(), &of_rewards[..]),
            ("--bound", self.bound.is_some(), &targets[..]),
            ("--reach", self.reach.is_some(), &[Choice::RewardGradient]),
            ("--strength", self.strength.is_some(), &[Choice::LatentReward]),
            ("--latent-steps", self.latent_steps.is_some(), &[Choice::LatentReward]),
            ("--latent-rate", self.latent_rate.is_some(), &[Choice::LatentReward]),
            ("--latent-contrast", self.latent_contrast.is_some(), &[Choice::LatentReward]),
            ("--contrast", self.contrast.is_some(), &[Choice::RewardGradient]),
            ("--kto-beta", self.kto_beta.is_some(), &[Choice::Kto]),
            ("--kto-liked", self.kto_liked.is_some(), &[Choice::Kto]),
            ("--kto-up", self.kto_up.is_some(), &[Choice::Kto]),
            ("--kto-down", self.kto_down.is_some(), &[Choice::Kto]),
            ("--kto-window", self.kto_window.is_some(), &[Choice::Kto]),
        ];
        for (flag, given, of) in flags {
            let names: Vec<String> =
                of.iter().filter_map(|one| Some(one.to_possible_value()?.get_name().to_owned())).collect();
            anyhow::ensure!(
                !given || of.contains(&self.objective),
                "{flag} belongs to --objective {}; leave it out, or choose that objective",
                names.join(" and ")
            );
        }
        Ok(())
    }

    fn objective(&self) -> Objective {
        let (bound, kto, latent) = (self.bound.unwrap_or(1.0), Kto::default(), LatentReward::default());
        match self.objective {
            Choice::RewardWeighted => Objective::RewardWeighted,
            Choice::Centred => Objective::Centred,
            Choice::SignedTarget => Objective::SignedTarget { bound, relative: false },
            Choice::RelativeTarget => Objective::SignedTarget { bound, relative: true },
            Choice::RewardGradient => {
                Objective::RewardGradient { reach: self.reach.unwrap_or(0.5), contrast: self.contrast.unwrap_or(1.0) }
            }
            Choice::LatentReward => Objective::LatentReward(LatentReward {
                strength: self.strength.unwrap_or(latent.strength),
                steps: self.latent_steps.unwrap_or(latent.steps),
                rate: self.latent_rate.unwrap_or(latent.rate),
                contrast: self.latent_contrast.unwrap_or(latent.contrast),
            }),
            Choice::Kto => Objective::Kto(Kto {
                sharpness: self.kto_beta.unwrap_or(kto.sharpness),
                liked: self.kto_liked.unwrap_or(kto.liked),
                weights: [self.kto_up.unwrap_or(1.0), self.kto_down.unwrap_or(1.0)],
                window: self.kto_window.unwrap_or(kto.window),
            }),
        }
    }

    fn selection(&self) -> Selection {
        match self.selection {
            Weights::All => Selection::All,
            Weights::Attention => Selection::AttentionOnly,
            Weights::Lora => {
                let alpha = self.lora_alpha.unwrap_or(self.lora_rank as f32);
                Selection::Lora(Lora { rank: self.lora_rank, alpha, seed: self.seed })
            }
        }
    }
}

/// What was written, and what to type next.
fn said(settings: &Finetune, tuned: &Tuned) -> String {
    let (pack, data) = (tuned.pack.display(), settings.data.display());
    let rewards = tuned.rewards.map_or_else(String::new, |(first, last)| {
        format!("Mean reward on the sheet's prompts: {first:.3} before, {last:.3} after.\n")
    });
    let validation = tuned.validation.map_or_else(String::new, |(change, parent)| {
        let better = if change < 0.0 { "it holds for them too" } else { "it does not hold for them" };
        format!(
            "Loss on prompts that were not learned from: {:.5}, and {parent:.5} before: {better}.\n",
            parent + change
        )
    });
    let exports = tuned.exports.iter().map(|path| format!("  {}\n", path.display()));
    format!(
        "{steps} steps in {minutes:.1} minutes. {rewards}{validation}\
         The tuned pack is {pack}; curves and sheets are in {data}/run; for other programs:\n{exports}\
         Next, compare it with its parent, and publish it if it passes:\n  \
         plaudit-train gate generator --champion {parent} --candidate {pack}\n  \
         plaudit registry publish generator {pack} --evidence data/gate/generator/gate.json\n",
        steps = tuned.steps,
        minutes = tuned.seconds / 60.0,
        exports = exports.collect::<String>(),
        parent = settings.pack.display(),
    )
}

/// A number from 0 to 1.
fn share(text: &str) -> Result<f32, String> {
    super::collect::share(text).map(|number| number as f32)
}

/// Two numbers, the first below the second.
fn range(text: &str) -> Result<(usize, usize), String> {
    let numbers = text.split_once("..").and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    numbers.filter(|(from, to)| from < to).ok_or_else(|| "give two numbers, for example 400..1000".to_owned())
}

/// A duration above zero, in hours.
fn hours(text: &str) -> Result<Duration, String> {
    let number = text.parse::<f64>().map_err(|_| "not a number".to_owned())?;
    let time = Duration::try_from_secs_f64(number * SECONDS_AN_HOUR).ok().filter(|time| !time.is_zero());
    time.ok_or_else(|| "give a number of hours above 0, for example 12 or 0.5".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: FinetuneArguments,
    }

    fn checked(line: &str) -> anyhow::Result<()> {
        Line::try_parse_from(std::iter::once("finetune").chain(line.split(' '))).expect("it parses").arguments.check()
    }

    #[test]
    fn a_flag_of_another_objective_is_refused_by_its_name() {
        let refused = checked("--objective centred --kto-beta 300").expect_err("it would change nothing").to_string();
        assert!(refused.contains("--kto-beta") && refused.contains("--objective kto"), "{refused}");
        for other in [
            "kto --bound 2",
            "kto --signal votes",
            "reward-gradient --signal raw",
            "centred --strength 3",
            "latent-reward --anchor 1",
        ] {
            assert!(checked(&format!("--objective {other}")).is_err(), "{other}");
        }
        for fine in [
            "--objective kto --kto-beta 300",
            "--objective relative-target --bound 2",
            "--objective latent-reward --strength 30 --signal raw",
            "--objective kto --anchor 1",
            "--objective kto --scheduler dpmpp_2m_karras",
        ] {
            checked(fine).expect(fine);
        }
        let unknown = Line::try_parse_from(["finetune", "--scheduler", "unipc"]).map(drop).expect_err("not offered");
        assert!(unknown.to_string().contains("euler_a"), "{unknown}");
    }
}
