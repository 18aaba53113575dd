"""For which cloud and tenant a client was made, and whether the daemon is one for them.

Where a caller said nothing, every daemon is. Where it did and the daemon's cloud or tenant cannot be told, none is.
"""

from dataclasses import dataclass, field
from typing import Any, Optional
from urllib.parse import urlsplit

from .configured import Configuration, Unknown, of_the_daemon, tenant_of
from .daemon import Document, cloud_of
from .errors import OtherCloud


@dataclass(frozen=True)
class Expected:
    """What a caller expects of the daemon; ``None`` where it expects nothing."""

    url: Optional[str] = None
    tenant: Optional[str] = None
    #: The token that was given, which may be the daemon's own.
    token: Optional[str] = field(default=None, repr=False)
    #: Why what was given cannot be read.
    broken: Optional[str] = None

    def is_anything(self) -> bool:
        """Whether it makes a difference which daemon it is."""
        return bool(self.url or self.tenant or self.broken)

    def may_come(self, status: Document) -> bool:
        """Whether the daemon may soon tell the tenant that is missing: it has not had its first word with the cloud."""
        return bool(self.tenant) and not status.get("tenant_id") and cloud_of(status).get("state") == "unknown"

    def check(self, status: Document) -> None:
        """Raises ``OtherCloud`` where a daemon with this status is not the expected one."""
        self._check_url(cloud_of(status).get("api_url"))
        tenant = status.get("tenant_id")
        if not self.tenant or tenant == self.tenant or self._has_the_token_of(of_the_daemon(), tenant):
            return
        if not tenant:
            raise OtherCloud(
                "cannot tell yet for which tenant the daemon registers, and %s is expected; "
                "`coditect-sync auth status` says where its token comes from" % self.tenant
            )
        raise OtherCloud(
            "the daemon registers for the tenant %s, not for %s, for which this client was made; "
            "give the daemon a token of that tenant" % (tenant, self.tenant)
        )

    def check_configured(self) -> None:
        """The same of the daemon that comes, as far as its configuration tells."""
        if not self.is_anything():
            return
        configured = of_the_daemon()
        url = tenant = None
        try:
            if self.url:
                url = configured.api_url()
            if self.tenant:
                tenant = self.tenant if self._has_the_token_of(configured, None) else configured.tenant()
        except Unknown as why:
            raise OtherCloud(
                "cannot tell yet for which cloud and tenant the daemon registers, and %s is expected: %s"
                % (self.tenant or self.url, why)
            ) from None
        self.check({"cloud": {"api_url": url}, "tenant_id": tenant})

    def _check_url(self, theirs: Any) -> None:
        if self.broken:
            raise OtherCloud("it is not known for which cloud and tenant this client was made: %s" % self.broken)
        if not self.url:
            return
        if not isinstance(theirs, str):
            raise OtherCloud("the daemon does not tell with which cloud it registers, and %s is expected" % self.url)
        if _origin(theirs) != _origin(self.url):
            raise OtherCloud(
                "the daemon registers with %s, not with %s; change `cloud_sync.api_url` in its configuration"
                % (theirs, self.url)
            )

    def _has_the_token_of(self, configured: Configuration, tenant: Any) -> bool:
        """Whether the daemon is configured with the token that was given. Then its tenant is the expected one, whatever
        its configuration calls it; a tenant that it tells has to be the one of that configuration."""
        try:
            return self.token == configured.token() and (not tenant or tenant == configured.tenant())
        except Unknown:
            return False


def expected(api_url: Optional[str], auth_token: Optional[str], given: Optional[Configuration]) -> Expected:
    """What the arguments of a client and the configuration that was ``given`` to it say."""
    if given is None:
        token = auth_token.strip() if auth_token else None
        return Expected(api_url or None, tenant_of(token), token)
    try:
        url = api_url or given.api_url()
        token = (auth_token or given.text("auth_token") or "").strip()
        return Expected(url, given.text("tenant_id") or tenant_of(token), token or None)
    except Unknown as why:
        return Expected(broken=str(why))


def _origin(url: str) -> str:
    """Scheme, host and port: what two spellings of one cloud share."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    except ValueError:
        return url
    return "%s://%s:%s" % (parts.scheme, parts.hostname, port)
