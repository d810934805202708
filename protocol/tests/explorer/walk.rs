//! Seeded random walks: faults first, then quiet, in which all must come to a clean end.

use crate::model::{Config, DONE, World};
use crate::moves::Move;
use crate::search::told;

/// xorshift64*: small, seeded, the same everywhere.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(drawn).unwrap() % n
    }
}

/// Once quiet, this many moves must do.
const QUIET: usize = 4_000;

/// One walk; the error tells the seed and the way.
pub(crate) fn walk(config: &Config, seed: u64, noisy: usize) -> Result<World, String> {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut world = World::new(config);
    let mut lines = Vec::new();
    for n in 0..noisy + QUIET {
        if n >= noisy && world.is_clean(config) {
            return Ok(world);
        }
        let mut moves = world.moves(config);
        if n >= noisy {
            moves.retain(|what| !what.is_trouble());
        }
        let what = pick(&mut dice, &moves);
        lines.push(told(&world, what));
        world
            .make(config, what)
            .map_err(|broken| format!("seed {seed}: {broken}\n{}", lines.join("\n")))?;
    }
    let last = lines[lines.len().saturating_sub(60)..].join("\n");
    Err(format!(
        "seed {seed}: no clean end in {QUIET} quiet moves\n{last}\n{world:#?}"
    ))
}

/// Troubles and decisions are nearly always possible and would drown the work: each is drawn once in so many times.
const fn rarity(what: Move) -> usize {
    match what {
        Move::StopAll => 300,
        Move::Reboot(_) | Move::ServerCrash => 40,
        Move::Dial(_) | Move::Crash(_) | Move::Expire(_) | Move::LeaseEnds(..) | Move::Resolve(..) => 20,
        Move::Drop(_) => 4,
        _ => 1,
    }
}

fn pick(dice: &mut Dice, moves: &[Move]) -> Move {
    loop {
        let what = moves[dice.below(moves.len())];
        if dice.below(rarity(what)) == 0 {
            return what;
        }
    }
}

/// Walks with seeds from 0, with up to `noisy` moves before the quiet.
pub(crate) fn walks(config: &Config, seeds: u64, noisy: usize) {
    let (mut starts, mut all_done, mut stopped) = (0, 0, 0);
    for seed in 0..seeds {
        // The quiet begins early in some walks and late in others.
        let noisy = usize::try_from(seed).unwrap() * 37 % noisy;
        let world = walk(config, seed, noisy).unwrap_or_else(|what| panic!("{what}"));
        starts += world
            .steps
            .iter()
            .flat_map(|step| step.starts.values())
            .map(|n| usize::from(*n))
            .sum::<usize>();
        all_done += usize::from(world.steps.iter().all(|step| step.result == Some(DONE)));
        stopped += usize::from(world.stop_asked);
    }
    println!("{seeds} walks: {starts} starts, {all_done} with every step done, {stopped} stopped");
    assert!(
        all_done > 0 && stopped > 0,
        "walks that get nowhere prove nothing"
    );
}
