"""Checks that the settings of the node and of the web app share."""

import ipaddress

from boneage.errors import SettingsError

__all__ = ["is_loopback", "require_within"]


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address; of names, ``localhost`` alone counts."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def require_within(option: str, value: float, least: float, most: float) -> None:
    """Refuse a number that is out of its range.

    Args:
        option: The option as it is written on the command line.
        value: The number; NaN is refused.
        least: Smallest that may be.
        most: Largest that may be.

    Raises:
        SettingsError: It is out of its range.
    """
    if not least <= value <= most:
        raise SettingsError(f"{option} must be within {least:g} to {most:g}, not {value:g}.")
