"""Secrets at rest: a model field whose text is encrypted in the database and masked everywhere else.

Strategy: Fernet with a key derived (HKDF) from SECRET_KEY; SECRET_KEY_FALLBACKS still decrypt. The value of the field
is a `Secret`, which shows itself as dots and gives its text only to `reveal()`. What was read from the database is
written back as the very same ciphertext, readable or not: a lost SECRET_KEY hides secrets, but never overwrites one.
"""

from __future__ import annotations

import base64
import hmac
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django import forms
from django.apps import apps
from django.conf import settings
from django.db import models
from django.db.models.query_utils import DeferredAttribute

MASK = "••••••"


class UnreadableSecret(Exception):
    """A stored secret was encrypted with a SECRET_KEY that we do not have."""

    def __init__(self) -> None:
        super().__init__(
            "A stored password cannot be read, because SECRET_KEY has changed. "
            "Restore the earlier key (or name it in SECRET_KEY_FALLBACKS), or enter the password again."
        )


@lru_cache(maxsize=8)
def _ciphers(keys: tuple[str, ...]) -> MultiFernet:
    def derived(key: str) -> Fernet:
        hkdf = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"vms: secrets at rest")
        return Fernet(base64.urlsafe_b64encode(hkdf.derive(key.encode())))

    return MultiFernet([derived(key) for key in keys])


def _cipher() -> MultiFernet:
    return _ciphers((settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS))


class Secret:
    """A text that does not show itself. Made of plain text, or (`Secret.from_stored`) of what the database holds."""

    __slots__ = ("_plain", "_stored")

    def __init__(self, plain: str = "") -> None:
        self._plain: str | None = plain
        self._stored: str | None = None if plain else ""

    @classmethod
    def from_stored(cls, stored: str) -> Secret:
        secret = cls()
        secret._stored = stored
        secret._plain = None if stored else ""
        return secret

    @property
    def is_set(self) -> bool:
        return self._stored != ""

    @property
    def stored(self) -> str:
        """The ciphertext; made once, then kept."""
        if self._stored is None:
            assert self._plain is not None
            self._stored = _cipher().encrypt(self._plain.encode()).decode()
        return self._stored

    def reveal(self) -> str:
        if self._plain is None:
            assert self._stored is not None
            try:
                self._plain = _cipher().decrypt(self._stored.encode()).decode()
            except (InvalidToken, UnicodeError):
                raise UnreadableSecret from None
        return self._plain

    @property
    def readable(self) -> bool:
        try:
            self.reveal()
        except UnreadableSecret:
            return False
        return True

    def __bool__(self) -> bool:
        return self.is_set

    def __str__(self) -> str:
        return MASK if self.is_set else ""

    def __repr__(self) -> str:
        return f"<Secret {'set' if self.is_set else 'empty'}>"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str):
            other = Secret(other)
        if not isinstance(other, Secret):
            return NotImplemented
        if self._stored is not None and self._stored == other._stored:
            return True
        if not self.readable or not other.readable:
            return False
        return hmac.compare_digest(self.reveal().encode(), other.reveal().encode())

    __hash__ = None  # type: ignore[assignment]  # equality decrypts; a hash would have to as well

    def __reduce__(self) -> tuple[Any, ...]:
        return Secret.from_stored, (self.stored,)  # copies and pickles carry no plain text


class _SecretAttribute(DeferredAttribute):
    """Turns plain text into a `Secret` as soon as it is assigned."""

    def __set__(self, instance: models.Model, value: Secret | str | None) -> None:
        instance.__dict__[self.field.attname] = value if isinstance(value, Secret) else Secret(value or "")


class EncryptedField(models.TextField):  # type: ignore[type-arg]
    """Text that only its owner can read back. There is nothing to look up by: filters on it are refused."""

    descriptor_class = _SecretAttribute
    description = "An encrypted text"

    def from_db_value(self, value: str | None, expression: object, connection: object) -> Secret:
        return Secret.from_stored(value or "")

    def to_python(self, value: Any) -> Secret:
        # Only deserializers bring text here, and what they bring is what `value_to_string` gave them.
        return value if isinstance(value, Secret) else Secret.from_stored(value or "")

    def get_prep_value(self, value: Any) -> str:
        return (value if isinstance(value, Secret) else Secret(value or "")).stored

    def value_to_string(self, obj: models.Model) -> str:
        return self.value_from_object(obj).stored  # type: ignore[no-any-return]

    def get_default(self) -> Secret:
        return Secret(super().get_default() or "")

    def get_lookup(self, lookup_name: str) -> Any:
        return super().get_lookup(lookup_name) if lookup_name == "isnull" else None

    def formfield(self, **kwargs: Any) -> Any:
        kwargs = {"widget": forms.PasswordInput(render_value=False), **kwargs}
        return super().formfield(**kwargs)


def unreadable_secrets() -> list[str]:
    """Every stored secret that the present keys cannot decrypt, named for a person: "Device «Gate»: password"."""
    found = []
    for model in apps.get_models():
        fields = [field for field in model._meta.concrete_fields if isinstance(field, EncryptedField)]
        if not fields:
            continue
        for row in model._base_manager.order_by("pk").iterator(chunk_size=500):
            for field in fields:
                if not field.value_from_object(row).readable:
                    kind = str(model._meta.verbose_name).capitalize()
                    found.append(f"{kind} «{row}»: {field.verbose_name}")
    return found
