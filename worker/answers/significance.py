"""McNemar's test: whether two models are right equally often on the same questions. Pure."""

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class McNemar:
    """Two-sided p-values."""

    exact: float
    mid_p: float


def mcnemar(left_only: int, right_only: int) -> McNemar:
    """McNemar's exact conditional test, and its mid-p version, on the numbers of questions that
    only one model answers rightly (the discordant pairs).

    If the models are right equally often, X = min(left_only, right_only) comes from a binomial
    distribution of n = left_only + right_only trials with probability 1/2. The exact p-value is
    2 P(X' <= X), at most 1; the mid-p value is less by P(X' = X), or by half of it if both numbers
    are equal; both are 1 without a discordant pair. The exact test is conservative, the mid-p test
    is not.

    Source: Fagerland, Lydersen, Laake, "The McNemar test for binary matched-pairs data: mid-p and
    asymptotic are better than exact conditional", BMC Medical Research Methodology 13:91, 2013,
    with its supplement "How to calculate the McNemar mid-p test"; after McNemar, Psychometrika 12,
    1947.
    """
    trials, fewer = left_only + right_only, min(left_only, right_only)
    # Integers: a power of 1/2 with thousands of trials is 0 as a float.
    ways = up_to = 1
    for successes in range(fewer):
        ways = ways * (trials - successes) // (successes + 1)
        up_to += ways
    point, cumulated = Fraction(ways, 2**trials), Fraction(up_to, 2**trials)
    if not trials:
        return McNemar(1.0, 1.0)
    if left_only == right_only:
        return McNemar(1.0, float(1 - point / 2))
    exact = min(Fraction(1), 2 * cumulated)
    return McNemar(float(exact), float(exact - point))
