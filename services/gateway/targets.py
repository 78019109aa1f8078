"""Where webhooks may go: to public addresses over https, so that nobody makes the gateway knock at doors inside.

The name is looked up here, every address it has is judged, and the request goes to the very address that was judged. A
name that answers differently the second time gains nothing by it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from dataclasses import dataclass
from typing import Final

import httpx

URL_LIMIT: Final = 2000

_TRANSLATED: Final = ipaddress.IPv6Network("64:ff9b::/96")


class Forbidden(Exception):
    """A URL to which nothing is sent; the text says why."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where to connect to (`url`, with an address in place of the name), and as what to address it."""

    url: httpx.URL
    host: str
    name: str


def check_url(text: str, *, private: bool) -> httpx.URL:
    """The URL, if its form is one that may be called. `private` allows http and addresses that are not public.

    Raises:
        Forbidden: it may not.
    """
    if len(text) > URL_LIMIT or not text.isascii() or not text.isprintable() or " " in text:
        raise Forbidden(f"the URL must be printable ASCII of at most {URL_LIMIT} characters")
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, ValueError) as error:
        raise Forbidden(f"not a URL: {error}") from None
    if url.scheme not in ({"https", "http"} if private else {"https"}):
        raise Forbidden("the URL must begin with https://")
    if not url.host:
        raise Forbidden("the URL names no host")
    if url.userinfo or url.fragment:
        raise Forbidden("the URL must have no user, password or fragment")
    literal = _address(url.host)
    if literal is not None and not private:
        _refuse_private(literal)
    return url


async def resolve(text: str, *, private: bool) -> Target:
    """Where a URL leads now.

    Raises:
        Forbidden: to an address that is not public, and `private` does not allow it.
        OSError: the name has no address.
    """
    url = check_url(text, private=private)
    port = url.port or (443 if url.scheme == "https" else 80)
    found = await asyncio.get_running_loop().getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
    addresses = [ipaddress.ip_address(str(place[0]).partition("%")[0]) for *_, place in found]
    if not addresses:
        raise OSError(f"{url.host} has no address")
    if not private:
        for address in addresses:
            _refuse_private(address)
    return Target(url.copy_with(host=str(addresses[0])), url.netloc.decode(), url.host)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _refuse_private(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    inner: ipaddress.IPv4Address | ipaddress.IPv6Address = address
    if isinstance(address, ipaddress.IPv6Address):
        # Addresses of the old protocol, wrapped in those of the new one.
        inner = address.ipv4_mapped or address.sixtofour or address
        if address in _TRANSLATED:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if not inner.is_global or inner.is_multicast or inner.is_reserved or address.is_multicast:
        raise Forbidden(f"{address} is not a public address (KOUAN_GATEWAY_WEBHOOK_PRIVATE allows others)")
