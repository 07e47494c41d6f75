"""Files on WhatsApp's media server, encrypted as WhatsApp's are. Pure, and all in memory.

The scheme: from a random media key, HKDF-SHA256 with a label of the kind gives IV, cipher key and MAC key;
the file is AES-256-CBC, followed by ten bytes of HMAC-SHA256 over IV and ciphertext.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.padding import PKCS7

from tests.simulator.errors import SimulatorError

KINDS = {
    "image": b"WhatsApp Image Keys",
    "sticker": b"WhatsApp Image Keys",
    "video": b"WhatsApp Video Keys",
    "audio": b"WhatsApp Audio Keys",
    "ptt": b"WhatsApp Audio Keys",
    "document": b"WhatsApp Document Keys",
}
MAC_BYTES = 10
MAX_UPLOAD_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Media:
    """A file that a message carries: of its bytes, in the clear, the SHA-256 (hex) and the number."""

    sha256: str
    size: int
    mimetype: str
    filename: str | None


@dataclass(frozen=True)
class Upload:
    """What lies on the server: encrypted, and whose it is (a number, or None for a contact's)."""

    account: str | None
    data: bytes


class MediaStore:
    """The files by their path on the server."""

    def __init__(self) -> None:
        self.uploads: dict[str, Upload] = {}

    def upload(self, account: str | None, kind: str, data: bytes) -> str:
        """Keep an encrypted file; its path."""
        path = f"/v/t62.7118-24/{kind}-{base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode()}.enc"
        self.uploads[path] = Upload(account, data)
        return path

    def publish(self, kind: str, data: bytes) -> dict[str, Any]:
        """Encrypt and keep a file of somebody's; what a message says of it."""
        if kind not in KINDS:
            raise SimulatorError(f"media is one of {', '.join(KINDS)}, not {kind!r}")
        key = secrets.token_bytes(32)
        encrypted = encrypt(kind, key, data)
        return {
            "directPath": self.upload(None, kind, encrypted),
            "mediaKey": base64.b64encode(key).decode(),
            "filehash": base64.b64encode(hashlib.sha256(data).digest()).decode(),
            "encFilehash": base64.b64encode(hashlib.sha256(encrypted).digest()).decode(),
            "size": len(data),
        }

    def read(self, content: Mapping[str, Any]) -> bytes:
        """The bytes of the file that a message carries, in the clear and checked."""
        upload = self.uploads.get(str(content.get("directPath")))
        if upload is None:
            raise SimulatorError("this message's file is not on the server")
        data = decrypt(str(content["type"]), base64.b64decode(content["mediaKey"]), upload.data)
        if base64.b64encode(hashlib.sha256(data).digest()).decode() != content["filehash"]:
            raise SimulatorError("this message's file is not the one that its hash names")
        return data

    def describe(self, content: Mapping[str, Any]) -> Media | None:
        """What a message's file is; None for a message without one."""
        if content.get("type") not in KINDS:
            return None
        data = self.read(content)
        name = content.get("filename")
        return Media(hashlib.sha256(data).hexdigest(), len(data), str(content.get("mimetype")), name)


def _keys(kind: str, key: bytes) -> tuple[bytes, bytes, bytes]:
    expanded = HKDF(SHA256(), 112, salt=None, info=KINDS[kind]).derive(key)
    return expanded[:16], expanded[16:48], expanded[48:80]


def encrypt(kind: str, key: bytes, data: bytes) -> bytes:
    """A file as it lies on the server."""
    iv, cipher_key, mac_key = _keys(kind, key)
    padder = PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(cipher_key), modes.CBC(iv)).encryptor()
    encrypted = encryptor.update(padder.update(data) + padder.finalize()) + encryptor.finalize()
    return encrypted + hmac.digest(mac_key, iv + encrypted, "sha256")[:MAC_BYTES]


def decrypt(kind: str, key: bytes, data: bytes) -> bytes:
    """The file again; SimulatorError when it has been changed, or the key is another's."""
    iv, cipher_key, mac_key = _keys(kind, key)
    encrypted, mac = data[:-MAC_BYTES], data[-MAC_BYTES:]
    if not hmac.compare_digest(hmac.digest(mac_key, iv + encrypted, "sha256")[:MAC_BYTES], mac):
        raise SimulatorError("this message's file does not fit its key")
    decryptor = Cipher(algorithms.AES(cipher_key), modes.CBC(iv)).decryptor()
    unpadder = PKCS7(128).unpadder()
    return unpadder.update(decryptor.update(encrypted) + decryptor.finalize()) + unpadder.finalize()
