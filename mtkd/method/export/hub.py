"""An exported folder on the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]

from mtkd.common.errors import MtkdError


def push_to_hub(
    folder: str | Path, name: str, *, private: bool = True, token: str | None = None
) -> str:
    """Upload an exported folder as the model `name`, "who/what", and return the commit's address.

    `token` is the one of `hf auth login` unless it is given. Raises MtkdError if the folder is no
    export or the hub refuses.
    """
    folder = Path(folder)
    if not (folder / "export.json").is_file():
        raise MtkdError(f"{folder}: no export.json there; expected a folder of `mtkd export`")
    api = HfApi(token=token)
    try:
        api.create_repo(name, private=private, exist_ok=True)
        return str(api.upload_folder(repo_id=name, folder_path=folder).commit_url)
    except (HTTPError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise MtkdError(f"{name}: the hub did not take {folder}: {reason}") from error
