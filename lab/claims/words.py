"""The vocabulary of run reports: the words for quantities, runs, directions and comparisons.

A quantity is named by keys into the record, each with where it lies: `metric:perf`, `curve:losses/entropy`,
`config:train.ent_coef`, `derived:batch_size`, `noise:sd`. A word for a thing that no record has is foreign.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

FOREIGN = "foreign"


@dataclass(frozen=True)
class Quantity:
    """A quantity that a number may be of, by its keys into the record."""

    keys: tuple[str, ...]

    @property
    def foreign(self) -> bool:
        """Whether no record has this quantity."""
        return not self.keys

    @property
    def settable(self) -> tuple[str, ...]:
        """The keys, with what is meant where one is set: `reduce entropy: 0.1 -> 0.05` is about the coefficient."""
        return (*self.keys, "config:train.ent_coef") if "curve:losses/entropy" in self.keys else self.keys

    @property
    def section(self) -> str:
        """The part of the record that has this quantity: metric, curve, config, derived, noise, count."""
        return self.keys[0].partition(":")[0] if self.keys else FOREIGN


def named(*keys: str) -> Quantity:
    """The quantity that has these keys."""
    return Quantity(keys)


_ = named


SPOKEN: list[tuple[str, Quantity]] = [
    (r"perf(ormance)?", _("metric:perf", "curve:environment/perf")),
    (r"(mean )?(episode |episodic )?(reward|return)s?", _(
        "metric:mean_reward", "metric:episode_return", "curve:environment/episode_return")),
    (r"episode lengths?|episodes? (lasted|lasts?|were)|episodes", _("metric:episode_length")),
    (r"succe(ss(es)?|eds?|eded)( ?rates?)?|sr", _("metric:success_rate")),
    (r"collisions?( ?rate)?|crash(es|ed|ing)?( rate)?|collid(es?|ed|ing)|coll\.?", _("metric:collision_rate")),
    (r"off[ -]?road([ -]?rate)?", _("metric:offroad_rate")),
    (r"sps|throughput|(agent )?steps( per | a | ?/ ?)s(ec(ond)?)?|training speed|speed of training", _(
        "metric:sps", "curve:SPS")),
    (r"(agent|env|environment|training|total)? ?(time)?steps( of training)?|(step )?budget", _(
        "metric:agent_steps", "config:train.total_timesteps", "steps:all")),
    (r"ep(och)?s?", _("metric:epoch", "derived:epochs", "config:train.update_epochs")),
    (r"upd(ate)?[ _-]?ep(ochs?)?|passes( over)?", _("config:train.update_epochs")),
    (r"batch(es)?( ?size)?|samples", _("derived:batch_size", "config:train.batch_size")),
    (r"bs", _("derived:batch_size", "config:train.batch_size", "config:train.minibatch_size")),
    (r"max[ _-]?mini-?batch([ _]size)?", _("config:train.max_minibatch_size")),
    (r"mini-?batches(?= per (update|epoch|batch)\b)", _("derived:minibatches")),
    (r"mini-?batch(es)?(?![ _]?size)", _("derived:minibatches", "config:train.minibatch_size")),
    (r"mini-?batch[ _]size", _("config:train.minibatch_size")),
    (r"segments?", _("derived:segments")),
    (r"agents?", _("derived:agents")),
    (r"(vec |vector )?workers?", _("config:vec.num_workers")),
    (r"vec(tori[sz]ed)? env(ironment)?s?", _("config:vec.num_envs")),
    (r"env(ironment)?s|copies", _("config:vec.num_envs", "config:env.num_envs", "derived:agents")),
    (r"bptt([ _]horizon)?", _("config:train.bptt_horizon")),
    (r"horizon", _("config:train.bptt_horizon", "horizon:discount")),
    (r"(discount|effective) horizon", _("horizon:discount")),
    (r"lr|(learning[ _-]?)?rates?|step size", _("config:train.learning_rate")),
    (r"ent", _("config:train.ent_coef", "curve:losses/entropy")),
    (r"ent(ropy)?[ _]?coef(ficient)?s?|entropy (bonus(es)?|regulari[sz](ation|er)|weight|term)", _(
        "config:train.ent_coef")),
    (r"(policy |final )?entropy|H(?=[ :=])", _("curve:losses/entropy")),
    (r"gamma|discount(ing)?( factor)?|\u03b3", _("config:train.gamma")),
    (r"(gae[ _-]?)?lambda|gae|\u03bb", _("config:train.gae_lambda")),
    (r"clip(ping)?([ _](coef(ficient)?|range|ratio|threshold))?", _("config:train.clip_coef")),
    (r"clip[ _]?frac(tion)?s?", _("curve:losses/clipfrac")),
    (r"vf([ _]coef)?|value([ _-]function)? (loss )?(coef(ficient)?|weight)", _("config:train.vf_coef")),
    (r"(value([ _-]function)?|v)[ _-]?loss", _("curve:losses/value_loss")),
    (r"(policy|pi|pg)[ _-]loss", _("curve:losses/policy_loss")),
    (r"explained[ _]variance|ev|value fit|explains|variance of the returns", _("curve:losses/explained_variance")),
    (r"(approx(imate)?[ _])?kl([ _-]divergence)?", _("curve:losses/approx_kl")),
    (r"(max )?grad(ient)?[ _]?(norms?|clip(ping)?)( clip)?|max grad", _(
        "config:train.max_grad_norm", "curve:losses/grad_norm")),
    (r"(vf|value)[ _-]clip([ _]coef)?", _("config:train.vf_clip_coef")),
    (r"(vtrace[ _])?(\u03c1|rho)([ _-]clip)?", _("config:train.vtrace_rho_clip")),
    (r"(adam[ _])?(\u03b2|b|beta[ _]?)1", _("config:train.adam_beta1")),
    (r"(adam[ _])?(\u03b2|b|beta[ _]?)2", _("config:train.adam_beta2")),
    (r"mbs?", _("config:train.minibatch_size", "derived:minibatches")),
    (r"ep[ _.]?len(gth)?", _("metric:episode_length")),
    (r"hidden[ _](size|units|width)|network width", _("config:policy.hidden_size")),
    (r"replicates?|seeds?|n(?=\s?=\s?\d)", _("count:replicates")),
    (r"degrees of freedom|dof", _("noise:dof")),
    (r"(replicate |seed )?noise( floor)?( between replicates)?|s\.?d\.?|standard deviation|std|\u03c3", _("noise:sd")),
    (r"effect( size)?", _("verdict:effect")),
    (r"coverage", _("proposal:coverage")),
    (r"(finished|completed) runs", _("count:finished")),
]  # fmt: skip
"""Pattern to quantity; the longest match counts."""
UNKNOWN = (
    r"(gpu|cpu|vram|ram|disk|host)([ _]?(memory|load|util\w*|usage|time))?|memory|util\w*|wall[ -]?clock( time)?|power"
    r"( draw)?|temperature|load|median|max_grad_norm|standard errors?|checkpoint size|loss spikes?"
)
"""Quantities of which a record may say nothing."""

ROLES: dict[str, str] = {
    r"(the )?(previous|prior|preceding|last but one) (run|config(uration)?|one|attempt|value)('s)?|prior|previously"
    r"|prev\.?": "previous",
    r"parents?('s)?( run| config(uration)?)?|ancestor": "parent",
    r"(the )?(incumbent|champion|current best|inc)('s)?( run)?": "incumbent",
    r"(the )?(search's )?leader('s)?( run)?": "leader",
    r"(?<!full )(?<!quick )(?<!new )(?<!\ba )(?<!\bas )(the )?base(line)?('s)?( run)?": "baseline",
    r"(this|the current|our|current|present) (run|one)('s)?"
    r"|the run(?= (?:used|uses|has|have|had|was|is|scored|reached|ended|finished|got|kept|raised|did|went)\b)": "run",
    r"(the )?best (prior|previous|earlier|past|known) (run|config(uration)?|one)('s)?": "best",
    r"(the )?(diverged|failed|crashed|pruned|killed) (run|one|attempt)('s)?": "failed",
}
PARENT_IF_LAST = r"before|earlier"
"""Words for the parent at the end of a clause: `0.58 before`, `the same as before`; not `before it crashed`."""

STRANGE = re.compile(
    r"\bhuman|\bwiki\b|\bdiscord|(?<!\bon )\bpaper|\bliterature|\bnot part of this|\bleaderboard|\bforum|\bblog"
    r"|\bcolleague|\bpublished|\bbenchmark (?:site|page)|\bother team|\bsomebody|\bsomeone",
    re.IGNORECASE,
)
"""Words of a sentence about something that is in no record."""
LATER = re.compile(
    r"\b(later|eventually|ideas?|sweep|explore|could|might|may|consider|alternatively|perhaps"
    r"|if (?:that|it|this)|otherwise)\b",
    re.IGNORECASE,
)
"""Words of an idea beyond what was staged."""
FUTURE = re.compile(r"\b(expect|predict|anticipat|forecast|should|will|would|aim|target|hope)\w*", re.IGNORECASE)
GREEDY = re.compile(r"\bgreed", re.IGNORECASE)
GENERAL = re.compile(r"\b(usual|typical|general|common|often|by default|in practice|rule of thumb)\w*", re.IGNORECASE)
"""Words about the method, not about a run."""
CAUSES = re.compile(
    r"\b(because|due to|thanks to|owing to|drove|drives|driven by|led|leads to|caused|causing|prevented|hurt|hurts"
    r"|(?:is|are|be) why|as a result of|resulted in|responsible for|credit|helped|explains(?! -?[\d.]+ ?%)|explained by"
    r"|makes? the difference)\b|[⇒⇐]|=>|<=",
    re.IGNORECASE,
)


class Code(StrEnum):
    """What a token is, a letter each: patterns of rules are matched against a sentence's string of them."""

    NUMBER = "N"
    QUANTITY = "Q"
    RUN = "R"
    ASPECT = "p"
    RATIO = "h"
    ORDINAL = "n"
    EQUATION = "E"
    ARROW = ">"
    UP = "u"
    DOWN = "d"
    BETTER = "b"
    WORSE = "g"
    UNDECIDED = "i"
    SAME = "e"
    THAN = "t"
    AGAINST = "a"
    FROM = "f"
    TO = "o"
    BY = "y"
    AND = "&"
    BETWEEN = "m"
    SUPERLATIVE = "s"
    NOT = "x"
    ONLY = "z"
    KEY = "k"
    CHANGED = "v"
    SEED = "S"
    WORD = "w"


@cache
def coded(pattern: str) -> str:
    """A pattern over tokens as a regular expression over their letters: `[up down] word{0,2} number` is `[ud]w{0,2}N`.

    Args:
        pattern: a regular expression with the names of codes in place of letters; blanks mean nothing.

    Raises:
        KeyError: a name that no code has.
    """
    return re.sub(r"[a-z]{2,}", lambda name: Code[name.group().upper()].value, pattern).replace(" ", "")


CODES: dict[Code, str] = {
    Code.UP: (
        r"r[oi]se[sn]?|rising|increase[sd]?|increasing|climb(s|ed|ing)?|grew|grow(n|s|th)?|gain(s|ed)?|up"
        r"|higher|more|above|rais(ed|es|e|ing)|larger|greater|longer|bigger|faster|stronger|additional"
        r"|exceed(s|ed)?|jump(s|ed)?|ahead of|went up|deeper|wider|tops|ahead|add(s|ed)|rebound(s|ed)?|extra"
    ),
    Code.DOWN: (
        r"f[ae]ll(s|en)?|drop(s|ped)?|decrease[sd]?|decreasing|decline[sd]?|down|lower(ed|s|ing)?|below|less"
        r"|fewer|reduc(ed|es|e|tion|ing)|shorter|smaller|slower|lost|loses?|cut(s|ting)?|shr(a|u|i)nk|weaker|tighter"
        r"|short of|under|behind|went down|shallower|narrower|gave up|sank|slipped|dip(s|ped)?"
    ),
    Code.BETTER: (
        r"better|improve(s|d|ment|ments)?|improving|beat(s|en|ing)?|outperform(s|ed|ing)?|surpass(es|ed)?|won"
        r"|wins"
    ),
    Code.WORSE: r"worse|worsened|regress(ed|es|ion)|degrad(ed|es|ation)|underperform(s|ed)?|loses to|lost to",
    Code.UNDECIDED: (
        r"inconclusive|(statistically )?indistinguishable|not distinguishable|within (the )?noise"
        r"|no significant \w+|undecided|a draw|a tie|a coin toss|a toss[- ]up|a wash|can ?not be decided?"
        r"|could not be decided"
    ),
    Code.SAME: r"same|unchanged|identical|equal(s|ly)?|constant|stayed|flat|unch\.?",
    Code.THAN: r"than",
    Code.AGAINST: r"against|versus|vs\.?|compared? (to|with)|relative to|over|from the",
    Code.FROM: r"from",
    Code.TO: r"to|until",
    Code.BY: r"by",
    Code.AND: r"and",
    Code.BETWEEN: r"between|in|within|inside",
    Code.SUPERLATIVE: (
        r"best|highest|lowest|most|fewest|longest|shortest|worst|largest|smallest|fastest|slowest|record|least"
        r"|top"
    ),
    Code.NOT: r"no|not|never|none|without|nothing|neither|isn't|wasn't|didn't|n't",
    Code.ONLY: r"only|solely|just|alone|nothing but|single",
    Code.KEY: r"keys?|overrides?|changes?|(hyper)?parameters?|settings?|knobs?|things?|values",
    Code.CHANGED: r"changed|modified|altered|differs?|changing|touched|moved",
    Code.WORD: r"[^\W\d_]+(['\u2019][a-z]+)?",
}
"""The words of each code that a rule's pattern asks for."""

ASPECTS: dict[str, str] = {
    "max": r"peak(s|ed|ing)?|max(imum|imal)?|high point|highest point|topped out",
    "min": r"min(imum|imal)?|trough|bottomed( out)?|low point",
    "first": r"start(s|ed|ing)?( value)?|initial(ly)?|beg(an|inning|in)|at first|opening|first (row|point|epoch|value)",
    "last": r"end(s|ed|ing)?|final(ly)?|finish(es|ed)?|settled|at the end|closing|last (value|row|point|epoch)",
    "quarter": r"(first|second|third|last|fourth)[- ]quarter|quarters?( means?)?",
    "while": r"while training|during training|training curve|in training",
    "greedy": r"greed(y|ily)( (policy|score|evaluation|mean|eval|actions?))?|likeliest actions?|argmax",
    "sampled": r"sampl(ed|ing)( (policy|score|mean|one|evaluation))?|stochastic( policy)?",
}
RATIOS: dict[str, tuple[float, str]] = {
    r"halv(ed|es|ing)|half( as (many|much|high|large))?|(by |cut )?in half|by half|half of": (0.5, "times"),
    r"doubl(ed|es|ing|e)|twice( as (many|much|high|large|fast))?|twofold": (2.0, "times"),
    r"tripl(ed|es|ing|e)|three times|threefold|thrice": (3.0, "times"),
    r"quadrupl(ed|es|ing|e)|four times|fourfold": (4.0, "times"),
    r"(one|a) third": (1 / 3, "share"),
    r"two thirds": (2 / 3, "share"),
    r"(one|a) quarter": (0.25, "share"),
    r"(one|a) fifth": (0.2, "share"),
    r"(one|a) tenth": (0.1, "share"),
    r"an order of magnitude|tenfold|ten times": (10.0, "times"),
}
COUNTING = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen twenty"
)
WORDS = {word: value for value, word in enumerate(COUNTING.split())}


def whole(word: str) -> int | None:
    """A whole number in digits or, up to twenty, in a word."""
    return int(word) if word.isdigit() else WORDS.get(word.lower())


ORDERING = "first second third fourth fifth sixth seventh eighth"
ORDINALS = {word: place for place, word in enumerate(ORDERING.split(), 1)}
LOWER_IS_BETTER = re.compile(r"collision|crash|offroad|fail|error|loss|termination")
SMALLER = {"lowest", "fewest", "shortest", "smallest", "slowest", "least"}


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FILLERS = _words("""
    of at was is were are had has have reached value values scored got ended ends the a an its it with about on
    average averaged came comes stands lies now s mean final finally settled only just used gives around near
    roughly as run reading level number count size equals use uses using sat sits training time ran runs hit hits
    landed lands stayed there still set that
""")
"""Words that may stand between a quantity or a run and its number."""
SMALL = _words("""
    in on for with and or but while which who after before under than as by per this these they we i you he she
    here so because although again still also too very much already not no if when where there then only even both
    each all respectively overall steps step went go come came get got goes be been being may might can could would
    should did do does say says show shows gave give gives take takes took make makes made end up rest via since
    until thus between among our like its their his her my your us them me out off once twice else whereas though
    instead further first second third last one
""")
"""Words that may stand between a quantity and its number without changing what the number is of."""
UNITS = (
    r"(?:[GMKT]i?B|bytes|min(?:utes?)?|s|secs?|seconds?|h|hours?|ms|µs|us|W|watts?|°C|Hz|fps|games|days?|weeks?|dollars"
    r"|cents|lines|commits)"
)
"""Units of numbers that are of nothing in the record."""
