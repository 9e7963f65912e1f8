"""What may be wrong with a training: each cause with the curves that speak for it, and the moves that would test it.

A cause's strength is what the curves show, weighed by how much the config speaks for it (`Evidence.suspicion`): a value
far from the usual one is no illness, and curves alone can't tell a large step from many steps.
"""

from collections.abc import Callable, Iterator, Mapping

from lab.base import number, short
from lab.judge.evidence import Evidence, log_ramp, number_of, ramp
from lab.judge.finding import Finding, Move, Weight
from lab.judge.symptoms import Symptom

KL_LARGE = (0.008, 0.08)
"""Approximate KL an update, mean over the first half: PPO implementations commonly stop an update at 0.015 (Achiam,
Spinning Up, 2018; Stable-Baselines3 multiplies its target by 1.5), five times that is far beyond."""
KL_SMALL = (5e-4, 3e-5)
"""The same, below which updates do next to nothing: trainings that learn, of PufferLib's environments, lie between 5e-4
and 1e-2 in their first half."""
CLIPPED = (0.2, 0.5)
"""Share of ratios clipped; 0.1 to 0.2 is usual (Huang et al., The 37 implementation details of PPO, 2022)."""
BONUS = (0.008, 0.08)
"""Entropy coefficients: advantages have a standard deviation of 1, so a bonus of 0.1 is as large as what is learnt
from; published settings lie between 0 and 0.01 (Schulman et al. 2017; Huang et al. 2022; Andrychowicz et al. 2021)."""
RANDOM = (0.4, 0.85)
"""Entropy at the end as a share of the uniform policy's, with such a bonus."""
GONE = (0.2, 0.03)
"""The same, half way through: a policy that has hardly anything left to try."""
STEPS = (400.0, 60.0)
"""Optimizer steps of a training: PufferLib's full presets make thousands."""
TRUNCATED = (2.0, 0.5)
"""Segment (`bptt_horizon`) over the horizon of GAE, 1 / (1 - gamma lambda) (Schulman et al. 2016): where it is no
longer than that most advantages end in the value function's guess, not in rewards. PufferLib's range begins at 16."""
MYOPIC = (15.0, 80.0)
"""Length of an episode over the horizon of the discount, 1 / (1 - gamma): at the first what comes at the end weighs a
millionth of what comes at once."""
SHORT = (10.0, 2.5)
"""Horizon of the discount in steps, in episodes at least three times as long."""
FAR = (4.0, 40.0)
"""Horizon of the discount over the length of an episode: beyond it a larger one adds variance and no foresight."""
VALUED = (12.0, 60.0)
"""Gradient of the value loss at the value head, vf_coef sqrt(2 L), over that of the policy loss at the logits, which is
about a half with normalised advantages; both share the trunk and one gradient norm."""
BLIND = (0.1, -0.2)
"""Explained variance: 0 is no better than the mean return."""
OWN = (0.4, 0.7)
"""Suspicion of the config (`Evidence.suspicion`) that a finding needs whose arithmetic holds for some environments'
own presets too: at the preset's value it is worth knowing, a third of a decade beyond it may be what is wrong."""
CLAMP = 1.0
"""PuffeRL clamps each reward to [-1, 1] (`PuffeRL.evaluate`)."""
RETURNS = ("environment/episode_return", "environment/episode_length")


def _move(key: str, direction: str) -> Move:
    return Move.model_validate({"key": f"train.{key}", "direction": direction})


RATE_DOWN, RATE_UP = _move("learning_rate", "down"), _move("learning_rate", "up")
EPOCHS_DOWN, EPOCHS_UP = _move("update_epochs", "down"), _move("update_epochs", "up")
CLIP_DOWN, CLIP_UP = _move("clip_coef", "down"), _move("clip_coef", "up")
BONUS_DOWN, BONUS_UP = _move("ent_coef", "down"), _move("ent_coef", "up")
BATCH_DOWN, BATCH_UP = _move("minibatch_size", "down"), _move("minibatch_size", "up")
HORIZON_UP, LONGER = _move("bptt_horizon", "up"), _move("total_timesteps", "up")
GAMMA_UP, GAMMA_DOWN = _move("gamma", "up"), _move("gamma", "down")
LAMBDA_UP, LAMBDA_DOWN = _move("gae_lambda", "up"), _move("gae_lambda", "down")
VALUE_UP, VALUE_DOWN = _move("vf_coef", "up"), _move("vf_coef", "down")
VALUE_CLIP_UP, NORM_UP = _move("vf_clip_coef", "up"), _move("max_grad_norm", "up")
EPS_DOWN = _move("adam_eps", "down")

Happened = Mapping[str, Symptom]


def causes(seen: Evidence, happened: Happened) -> Iterator[Finding]:
    """What may be wrong, as far as curves and config speak for it; not ranked.

    Args:
        seen: of the run.
        happened: its symptoms by name.
    """
    for rule in RULES:
        if (found := rule(seen, happened)) is not None and found.strength > 0:
            yield found


def cause(
    seen: Evidence, name: str, shown: float, statement: str, evidence: str, meaning: str, moves: tuple[Move, ...],
    metrics: tuple[str, ...],
) -> Finding:  # fmt: skip
    """A cause as a finding.

    Args:
        seen: of the run.
        name: of the cause.
        shown: what the curves show, 0 to 1.
        statement: see `Finding`.
        evidence: see there.
        meaning: see there.
        moves: what would test it; the config says in which order.
        metrics: where it was seen.
    """
    moves = seen.ordered(*moves)
    evidence = f"{moves[0].key.split('.', 1)[-1]} {short(seen.config.get(moves[0].key))}; {evidence}"
    weighed = shown * (0.4 + 0.6 * seen.suspicion(moves[0]))
    return Finding(
        name=name, weight=Weight.ILL, statement=statement, evidence=evidence, meaning=meaning, moves=moves,
        metrics=metrics, strength=min(1.0, weighed),
    )  # fmt: skip


def _too_large(seen: Evidence, happened: Happened) -> Finding | None:
    """Steps that are too large: the policy moves far at each update, or runs away, or is fixed before it has learnt."""
    kl, clipped = seen.level("losses/approx_kl", 0, 0.5), seen.level("losses/clipfrac", 0, 0.5)
    fixed = seen.entropy(0.1, 0.3) or 1.0  # of continuous actions nothing is known
    shown = 0.8 * ramp(fixed, 0.35, 0.02)
    evidence = [f"entropy {100 * fixed:.0f} % of the uniform policy's by a fifth of the training"] if shown else []
    if not seen.one_pass and kl is not None and kl > KL_LARGE[0]:
        shown = max(shown, log_ramp(kl, *KL_LARGE))
        evidence.insert(0, f"approximate KL {number(kl)} an update in the first half")
    narrow = (seen.value("train.clip_coef") or 0.2) < 0.05
    if not seen.one_pass and not narrow and clipped is not None and clipped > CLIPPED[0]:
        shown = max(shown, ramp(clipped, *CLIPPED))
        evidence.append(f"{100 * clipped:.0f} % of the ratios clipped")
    if (fell := happened.get("collapse")) is not None and seen.suspicion(RATE_DOWN) > 0.6:
        shown = max(shown, 0.8 * fell.strength)
        evidence.append(fell.evidence)
    if not evidence:
        return None
    return cause(
        seen, "updates_too_large", shown, "updates are too large",
        "; ".join(evidence),
        "each update changes more than its batch can vouch for; with a smaller step KL falls and the curve steadies",
        (RATE_DOWN, EPOCHS_DOWN, CLIP_DOWN, BATCH_UP), ("losses/approx_kl", "losses/clipfrac", "losses/entropy"),
    )  # fmt: skip


def _too_small(seen: Evidence, happened: Happened) -> Finding | None:
    """Steps that are too small: KL next to nothing while the learning rate is still high, and a policy still random."""
    kl, random = seen.level("losses/approx_kl", 0, 0.5), seen.entropy(0.5, 1.0)
    clipped = seen.level("losses/clipfrac", 0, 0.5) or 0.0
    if seen.one_pass or kl is None or kl >= KL_SMALL[0] or clipped > CLIPPED[0]:
        return None
    shown = log_ramp(max(kl, 1e-9), *KL_SMALL)
    evidence = f"approximate KL {number(kl)} an update in the first half, {100 * clipped:.1f} % of the ratios clipped"
    if random is not None:
        shown *= 0.5 + 0.5 * ramp(random, 0.3, 0.8)
        evidence += f", entropy still {100 * random:.0f} % of the uniform policy's"
    return cause(
        seen, "updates_too_small", shown, "updates hardly move the policy",
        evidence, "it learns more slowly than its batches allow; with a larger step KL rises and so does the curve",
        (RATE_UP, EPOCHS_UP, BATCH_DOWN, NORM_UP, EPS_DOWN), ("losses/approx_kl", "losses/clipfrac", "losses/entropy"),
    )  # fmt: skip


def _clip_narrow(seen: Evidence, happened: Happened) -> Finding | None:
    kl, clipped = seen.level("losses/approx_kl", 0, 0.5), seen.level("losses/clipfrac", 0, 0.5)
    if seen.one_pass or kl is None or clipped is None or kl > KL_LARGE[0]:
        return None
    evidence = f"{100 * clipped:.0f} % of the ratios clipped at an approximate KL of only {number(kl)}"
    return cause(
        seen, "clip_too_narrow", ramp(clipped, *CLIPPED), "the clip range is too narrow", evidence,
        "most of each batch has no gradient although the policy hardly moved; a wider range lets it learn",
        (CLIP_UP,), ("losses/clipfrac", "losses/approx_kl"),
    )  # fmt: skip


def _bonus_large(seen: Evidence, happened: Happened) -> Finding | None:
    bonus, random = seen.value("train.ent_coef") or 0.0, seen.entropy(0.75, 1.0)
    if random is None or bonus <= BONUS[0]:
        return None
    return cause(
        seen, "entropy_bonus_too_large", log_ramp(bonus, *BONUS) * (0.4 + 0.6 * ramp(random, *RANDOM)),
        "the entropy bonus is as large as what is learnt from",
        f"entropy ends at {100 * random:.0f} % of the uniform policy's; 0.001 to 0.01 is usual",
        "the policy is paid to stay random; with a smaller bonus entropy falls and the score rises",
        (BONUS_DOWN,), ("losses/entropy",),
    )  # fmt: skip


def _exploration_gone(seen: Evidence, happened: Happened) -> Finding | None:
    share = seen.entropy(0.4, 0.6)
    if share is None or share >= GONE[0]:
        return None
    return cause(
        seen, "exploration_gone", 0.8 * log_ramp(max(share, 1e-6), *GONE), "the policy stopped exploring early",
        f"entropy {100 * share:.1f} % of the uniform policy's half way through",
        "what it has not tried by then it never tries; a larger bonus or a smaller step keeps it looking",
        (BONUS_UP, RATE_DOWN), ("losses/entropy",),
    )  # fmt: skip


def _few_steps(seen: Evidence, happened: Happened) -> Finding | None:
    """One optimizer step an update, or too few of them in all."""
    if not seen.updates:
        return None
    steps, epochs = seen.updates, seen.derived.get("epochs", 0)
    if seen.one_pass:
        return cause(
            seen, "one_minibatch", (0.35 + 0.6 * log_ramp(steps, 3000, 100)) * ramp(seen.suspicion(BATCH_DOWN), *OWN),
            "each batch is used for a single optimizer step: one minibatch, one epoch",
            f"a batch has {seen.derived.get('batch_size', 0):,.0f} steps, {steps:.0f} optimizer steps in all;"
            " every ratio is 1, so KL and clipped share are 0 by construction",
            "the data could carry several steps; smaller minibatches should raise the curve with no more data",
            (BATCH_DOWN, EPOCHS_UP), ("losses/approx_kl", "losses/clipfrac"),
        )  # fmt: skip
    return cause(
        seen, "few_updates", 0.6 * log_ramp(steps, *STEPS), "the optimizer makes few steps",
        f"{epochs:.0f} updates of {seen.derived.get('minibatches', 0):.0f} minibatches: {steps:.0f} steps in all",
        "there are too few steps to get anywhere; smaller minibatches or more epochs make more of the same data",
        (BATCH_DOWN, EPOCHS_UP, LONGER), (),
    )  # fmt: skip


def _too_short(seen: Evidence, happened: Happened) -> Finding | None:
    rising = happened.get("still_rising")
    if rising is None:
        return None
    cut = ramp(seen.suspicion(LONGER), 0.55, 0.75)  # at the usual length it is no fault of the config's
    return cause(
        seen, "training_too_short", (0.45 + 0.45 * cut) * rising.strength + 0.3 * cut,
        rising.statement, rising.evidence,
        "more steps would have raised it further, so configs differ by their speed here; a longer training tells more",
        (LONGER,), (seen.objective,),
    )  # fmt: skip


def _segment_short(seen: Evidence, happened: Happened) -> Finding | None:
    horizon, gamma, decay = (seen.value(f"train.{key}") for key in ("bptt_horizon", "gamma", "gae_lambda"))
    if not horizon or gamma is None or decay is None:
        return None
    reach = 1 / max(1 - gamma * decay, 1e-6)
    shown = max(log_ramp(horizon / reach, *TRUNCATED), 0.9 * log_ramp(horizon, 10, 3))
    shown *= ramp(seen.suspicion(HORIZON_UP), *OWN)
    return cause(
        seen, "horizon_too_short", shown, "segments are too short",
        f"advantages reach {reach:.0f} steps ahead by gamma {short(gamma)} and gae_lambda {short(decay)}",
        "most advantages end in the value function's guess; with longer segments rewards reach what earned them",
        (HORIZON_UP, LAMBDA_DOWN), ("losses/explained_variance",),
    )  # fmt: skip


def _myopic(seen: Evidence, happened: Happened) -> Finding | None:
    gamma, length = seen.value("train.gamma"), seen.episode
    if gamma is None or gamma >= 1:
        return None
    horizon = 1 / (1 - gamma)
    shown = log_ramp(length / horizon, *MYOPIC) if length else 0.0
    if length is None or length > 3 * horizon:
        shown = max(shown, log_ramp(horizon, *SHORT))
    return cause(
        seen, "gamma_too_low", shown, f"the discount looks only {horizon:.0f} steps ahead",
        f"episodes last up to {length:.0f} steps" if length else "how long episodes are is not logged",
        "what an action brings later hardly counts; a higher gamma should make it matter",
        (GAMMA_UP, LAMBDA_UP), ("environment/episode_length", "losses/explained_variance"),
    )  # fmt: skip


def _far_sighted(seen: Evidence, happened: Happened) -> Finding | None:
    gamma, length, explained = seen.value("train.gamma"), seen.episode, seen.level("losses/explained_variance", 0.5, 1)
    if gamma is None or length is None or explained is None:
        return None
    horizon = 1 / max(1 - gamma, 1e-9)
    shown = log_ramp(horizon / max(length, 1.0), *FAR) * (0.4 + 0.6 * ramp(explained, 0.8, 0.1))
    shown *= ramp(seen.suspicion(GAMMA_DOWN), *OWN)
    return cause(
        seen, "gamma_too_high", shown, f"the discount looks {short(round(horizon))} steps ahead, far beyond an episode",
        f"episodes last up to {length:.0f} steps; explained variance {number(explained)} in the second half",
        "returns are large and noisy for no more foresight; a lower gamma should raise explained variance",
        (GAMMA_DOWN, LAMBDA_DOWN), ("environment/episode_length", "losses/explained_variance"),
    )  # fmt: skip


def _value_dominates(seen: Evidence, happened: Happened) -> Finding | None:
    weight, loss = seen.value("train.vf_coef"), seen.level("losses/value_loss")
    if weight is None or loss is None or loss <= 0:
        return None
    ratio = weight * (2 * loss) ** 0.5 / 0.5
    shown = max(log_ramp(ratio, *VALUED), 0.9 * log_ramp(weight, 4, 9)) * ramp(seen.suspicion(VALUE_DOWN), *OWN)
    return cause(
        seen, "value_loss_dominates", shown, "the value loss drowns the policy's",
        f"value loss {number(loss)} on average, so its gradient is some {ratio:.0f} times the policy's",
        "they share a trunk and one gradient norm; with a smaller vf_coef the policy gets more of each step",
        (VALUE_DOWN, GAMMA_DOWN), ("losses/value_loss", "losses/policy_loss"),
    )  # fmt: skip


def _blind(seen: Evidence, happened: Happened) -> Finding | None:
    explained = seen.level("losses/explained_variance", 0.75, 1.0)
    if explained is None or explained >= BLIND[0]:
        return None
    return cause(
        seen, "value_blind", 0.45 * (0.5 + 0.5 * ramp(explained, *BLIND)),
        "the value function explains nothing of the returns",
        f"explained variance {number(explained)} in the last quarter",
        "advantages are as noisy as returns; a value function that may move further should explain more",
        (VALUE_CLIP_UP, VALUE_UP, RATE_UP), ("losses/explained_variance",),
    )  # fmt: skip


def _clamped(seen: Evidence, happened: Happened) -> Finding | None:
    """Rewards beyond what PuffeRL lets through: by the environment's own arguments, or by returns per step."""
    large = {
        key: value
        for key in seen.config
        if key.startswith("env.") and any(word in key for word in ("reward", "penalty", "bonus"))
        and (value := seen.value(key)) is not None and abs(value) > CLAMP
    }  # fmt: skip
    each = [
        abs(float(value)) / max(float(steps), 1.0)
        for named in seen.curves.values()
        if all(name in named for name in RETURNS) and len({len(named[name].values) for name in RETURNS}) == 1
        for value, steps in zip(*(named[name].values for name in RETURNS), strict=True)
    ]  # fmt: skip
    rate = max(each, default=0.0)
    if not large and rate <= 1.05 * CLAMP:
        return None
    beyond = [key for key, value in large.items() if abs(value) > abs(number_of(seen.usual.get(key)) or 0.0)]
    evidence = [f"{key.split('.', 1)[-1]} {short(value)}" for key, value in large.items()]
    if rate > 1.05 * CLAMP:
        evidence.append(f"episodes return up to {number(rate)} a step")
    moves = tuple(Move(key=key, direction="down" if value > 0 else "up") for key, value in large.items())
    return Finding(
        name="rewards_clamped", weight=Weight.ILL,
        statement="PufferLib clamps rewards to [-1, 1], so larger ones look alike",
        evidence=", ".join(evidence), meaning="the training is not paid for what is wanted; rewards scaled into [-1, 1]"
        " tell it apart again", moves=moves, metrics=("environment/episode_return",),
        strength=0.8 if rate > 1.05 * CLAMP or len(beyond) > 1 else 0.7 if beyond else 0.3,
    )  # fmt: skip


def _gradients(seen: Evidence, happened: Happened) -> Finding | None:
    """Gradients at their limit: their norm, where it is logged (PufferLib 3.0.0 does not), else a limit of nothing."""
    norm, limit = seen.level("losses/grad_norm", 0.75, 1.0), seen.value("train.max_grad_norm")
    if limit is None or ((norm is None or norm <= 0.9 * limit) and limit >= 0.05):
        return None
    told = f"norm {number(norm)} in the last quarter, " if norm is not None else ""
    return cause(
        seen, "gradients_limited", 0.4 if norm is not None else 0.6 * log_ramp(max(limit, 1e-6), 0.05, 0.001),
        "gradients are cut to their limit most of the time", f"{told}max_grad_norm {short(limit)}",
        "the largest part of a batch decides its direction and the limit its length; a higher one changes both",
        (NORM_UP,), ("losses/grad_norm",),
    )  # fmt: skip


RULES: tuple[Callable[[Evidence, Happened], Finding | None], ...] = (
    _too_large, _too_small, _clip_narrow, _bonus_large, _exploration_gone, _few_steps, _too_short, _segment_short,
    _myopic, _far_sighted, _value_dominates, _blind, _clamped, _gradients,
)  # fmt: skip
