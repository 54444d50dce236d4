"""Where a file of weights comes from: this machine, the address in the catalog, or the Hugging Face hub."""

import contextlib
import hashlib
import os
import shutil
import urllib.request
from pathlib import Path

from zoo.catalog import Entry
from zoo.catalog.pretrained import Pretrained

HUB = "hub:"
HUB_FILE = "model.safetensors"
"""What the file is called in most repositories of the hub, timm's among them."""


def locate(entry: Entry, source: str | os.PathLike[str]) -> Path:
    """The path of a model's file of weights, which is fetched if it has to be.

    Args:
      entry: the model's row in the catalog.
      source: a path; the name of published weights in `entry.pretrained`, such as "IMAGENET1K_V1"; or
        "hub:OWNER/REPOSITORY" or "hub:OWNER/REPOSITORY/FILE", for which the `hub` extra is needed.

    Raises:
      ValueError: what was fetched is not the file whose digest the catalog knows.
      ImportError: a file of the hub, and huggingface_hub is not installed.
      OSError: it cannot be fetched, or not be written.
    """
    if isinstance(source, str) and source.startswith(HUB):
        return _from_hub(source)
    published = {file.name: file for file in entry.pretrained}
    if isinstance(source, str) and source in published and not Path(source).exists():
        return _from_address(published[source])
    return Path(source)


def cache_folder() -> Path:
    """Where fetched files stay: lecture-vision-zoo/weights in `XDG_CACHE_HOME`, by default ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "lecture-vision-zoo" / "weights"


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
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with urllib.request.urlopen(file.url) as answer, part.open("wb") as target:
            shutil.copyfileobj(answer, target)
        with part.open("rb") as fetched:
            digest = hashlib.file_digest(fetched, "sha256").hexdigest()
        if not digest.startswith(file.sha256):
            raise ValueError(f"{file.url}: expected a file of sha256 {file.sha256}..., got {digest}")
        os.replace(part, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            part.unlink()
    return path
