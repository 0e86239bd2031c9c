"""Slow down those who try passwords. Counted in the database, so that all web processes see the same."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from studio.lib.errors import StudioError
from workspaces.models import SignInAttempt

WINDOW_SECONDS = 15 * 60
MOST_FOR_ACCOUNT_AND_ADDRESS = 5
MOST_FROM_ADDRESS = 30
# far above the first: somebody who guesses from one place must not lock the account's owner out
MOST_FOR_ACCOUNT = 60


class TooManyAttempts(StudioError):
    """Too many attempts to sign in."""

    code = "TooManyRequests"
    http_status = 429
    hint = "A forgotten password can be reset by an administrator of the studio."

    def __init__(self, retry_after_seconds: int) -> None:
        self.retry_after_seconds = retry_after_seconds
        minutes = -(-retry_after_seconds // 60)
        super().__init__(f"Too many attempts to sign in. Try again in {minutes} minute{'s' if minutes > 1 else ''}.")


def begin_sign_in(*, account: str, address: str) -> None:
    """Count an attempt before its password is looked at, so that attempts at the same moment count too.

    Raises TooManyAttempts; such an attempt is not counted.
    """
    account, now = _plain(account), timezone.now()
    SignInAttempt.objects.filter(at__lt=now - timedelta(seconds=WINDOW_SECONDS)).delete()
    attempt = SignInAttempt.objects.create(account=account, address=address)
    from_here, for_account = Q(address=address), Q(account=account)
    limits = (
        (from_here & for_account, MOST_FOR_ACCOUNT_AND_ADDRESS),
        (from_here, MOST_FROM_ADDRESS),
        (for_account, MOST_FOR_ACCOUNT),
    )
    waits = [_wait_seconds(about, most, now) for about, most in limits]
    if any(waits):
        attempt.delete()
        raise TooManyAttempts(max(waits))


def end_sign_in(*, account: str, address: str) -> None:
    """It succeeded: what was counted for this account from this address is forgotten."""
    SignInAttempt.objects.filter(account=_plain(account), address=address).delete()


def _wait_seconds(about: Q, most: int, now: datetime) -> int:
    """Until one more is allowed; 0 when that is now. The attempt being made has been written down already."""
    newest = SignInAttempt.objects.filter(about).order_by("-at").values_list("at", flat=True)[: most + 1]
    times = list(newest)
    if len(times) <= most:
        return 0
    # once the oldest of the `most` before this one has left the window
    return max(1, round((times[most] - now).total_seconds()) + WINDOW_SECONDS)


def _plain(account: str) -> str:
    return account.strip().casefold()[:150]
