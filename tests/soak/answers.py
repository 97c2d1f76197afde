"""A million odd answers of engines through every view, core and encoding."""

import gc

from structlog.testing import capture_logs

from answers.feed import Feed

MILLION = 1_000_000
# Processor time that the event loop may be held up by one callback.
_LIMIT = 0.020


def answers(number: int, seed: int) -> str:
    """Feed odd answers; fail where one raises, does not fit the contract, or takes long."""
    feed = Feed(seed)
    gc.collect()
    gc.freeze()  # as much as a daemon's own start leaves
    with capture_logs() as logs:
        report = feed.run(number)
    events = {line["event"] for line in logs}
    assert events == {"answer unreadable"}, events
    # Conversions are done on the drivers' threads; what follows, the event loop does.
    steps = {step: each for step, each in report.slowest.items() if "encoding" in step}
    step, slowest = max(steps.items(), key=lambda each: each[1])
    assert slowest < _LIMIT, f"{step} took {slowest * 1000:.1f} ms"
    return (
        f"{report.answers} odd answers, {len(logs)} omissions logged, "
        f"slowest step {step}: {slowest * 1000:.1f} ms of processor time"
    )
