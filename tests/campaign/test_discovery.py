"""What the past says of the future."""

from fuzzer.campaign.discovery import MIN_RUN_S, outlook


def history(minutes: int, blocks=lambda t: 0, features=lambda t: 0, titles=lambda t: 0):
    return [(60.0 * t, 400 * t, features(t), titles(t), blocks(t)) for t in range(minutes + 1)]


def test_nothing_is_said_of_nothing():
    assert outlook([]) is None and outlook(history(0)) is None


def test_early_there_is_a_rate_and_no_estimate():
    early = outlook(history(3, blocks=lambda t: 1000 * t, features=lambda t: 100 * t))
    assert early is not None and MIN_RUN_S > 60 * 3
    assert early.blocks_per_min == 1000 and early.features_per_min == 100
    assert early.blocks_share is None and not early.quiet


def test_the_rate_is_that_of_the_last_minutes():
    late = outlook(history(60, features=lambda t: min(t, 50) * 100))
    assert late is not None and late.features_per_min == 0 and late.window_s == 300


def test_the_second_half_is_the_estimate():
    one = outlook(history(20, blocks=lambda t: 10_000 * (1 if t <= 10 else 1 + (t - 10) / 100), features=lambda t: 100))
    assert one is not None and one.half_s == 600
    assert abs((one.blocks_share or 0) - 0.1) < 1e-9 and one.features_share == 0 and not one.quiet


def test_quiet_is_said_when_nothing_comes_any_more():
    def flat(t: int) -> int:
        return 5000 if t else 0

    assert outlook(history(20, blocks=flat, features=flat)).quiet
    assert not outlook(history(20, blocks=flat, features=flat, titles=lambda t: int(t > 15))).quiet
    assert not outlook(history(20, blocks=flat, features=lambda t: 5000 + 10 * t)).quiet
