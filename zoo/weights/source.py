"""Where a file of weights comes from: this machine, the address in the catalog, or the Hugging Face hub."""

import contextlib
import hashlib
import http.client
import os
import shutil
import urllib.request
from pathlib import Path

from zoo.catalog import Entry
from zoo.catalog.pretrained import Pretrained
from zoo.names import unknown

HUB = "hub:"
HUB_FILE = "model.safetensors"
"""What the file is called in most repositories of the hub, timm's among them."""
TIMEOUT = 30.0
"""Seconds without an answer after which fetching is given up."""


def locate(entry: Entry, source: str | os.PathLike[str]) -> Path:
    """The path of a model's file of weights, which is fetched if it has to be.

    Args:
      entry: the model's row in the catalog.
      source: a path, in which ~ is the home folder; the name of published weights in `entry.pretrained`, such as
        "IMAGENET1K_V1"; or "hub:OWNER/REPOSITORY" or "hub:OWNER/REPOSITORY/FILE", for which the `hub` extra is needed.

    Raises:
      UnknownNameError: there are no such published weights, and no file of this name without a suffix.
      ValueError: what was fetched is not the file whose digest the catalog knows.
      ImportError: a file of the hub, and huggingface_hub is not installed.
      OSError: it cannot be fetched, or not be written.
    """
    if isinstance(source, str) and source.startswith(HUB):
        return _from_hub(source)
    published = {file.name: file for file in entry.pretrained}
    path = at_home(source)
    if isinstance(source, str) and path.name == source and not path.suffix and not path.exists():
        if source not in published:
            raise unknown(f"weights of {entry.name}", source, published)
        return _from_address(published[source])
    return path


def cache_folder() -> Path:
    """Where fetched files stay: lecture-vision-zoo/weights in `XDG_CACHE_HOME`, by default ~/.cache.

    Raises:
      FileNotFoundError: there is no home folder.
    """
    return at_home(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "lecture-vision-zoo" / "weights"


def at_home(path: str | os.PathLike[str]) -> Path:
    """A path with the home folder in place of ~.

    Raises:
      FileNotFoundError: there is no home folder.
    """
    expanded = Path(os.path.expanduser(path))
    if expanded.parts[:1] == ("~",):
        raise FileNotFoundError(f"{path}: there is no home folder; expected a path without ~")
    return expanded


def _from_hub(source: str) -> Path:
    parts = source.removeprefix(HUB).split("/", 2)
    if len(parts) < 2 or not all(parts):
        raise ValueError(f"{source}: expected hub:OWNER/REPOSITORY or hub:OWNER/REPOSITORY/FILE")
    try:
        from huggingface_hub import hf_hub_download
    except ImportError as error:
        raise ImportError(f"{source} is on the Hugging Face hub: pip install 'lecture-vision-zoo[hub]'") from error
    return Path(hf_hub_download("/".join(parts[:2]), parts[2] if len(parts) == 3 else HUB_FILE))


def _from_address(file: Pretrained) -> Path:
    """The file in the cache; it appears there complete and with the right digest, or not at all."""
    path = cache_folder() / file.url.rpartition("/")[2]
    if path.exists() and digest_of(path).startswith(file.sha256):
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with urllib.request.urlopen(file.url, timeout=TIMEOUT) as answer, part.open("wb") as target:
            shutil.copyfileobj(answer, target)
        digest = digest_of(part)
        if not digest.startswith(file.sha256):
            raise ValueError(f"{file.url}: expected a file of sha256 {file.sha256}..., got {digest}")
        os.replace(part, path)
    except (OSError, http.client.HTTPException) as error:
        raise OSError(f"cannot fetch {file.url} to {path}: {error}") from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            part.unlink()
    return path


def digest_of(path: Path) -> str:
    """The sha256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
