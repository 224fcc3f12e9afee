"""What the site has beside docs/: the schemas and the samples as files, and the changelog as a page."""

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

_ROOT = Path(__file__).parents[1]
_BESIDE = ("schemas", "samples")


def on_config(config: Any) -> Any:
    """Add the decisions to the navigation."""
    decisions = sorted(path.name for path in (_ROOT / "docs/decisions").glob("*.md"))
    config.nav.append({"Decisions": [f"decisions/{name}" for name in decisions]})
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add what stands beside docs/."""
    files.append(File.generated(config, "changes.md", abs_src_path=str(_ROOT / "CHANGELOG.md")))
    for path in _beside():
        files.append(File.generated(config, path, abs_src_path=str(_ROOT / path)))
    return files


def _beside() -> list[str]:
    paths = (path for name in _BESIDE for path in (_ROOT / name).rglob("*") if "node_modules" not in path.parts)
    return sorted(
        str(path.relative_to(_ROOT)) for path in paths if path.is_file() and path.suffix not in (".md", ".pyc")
    )


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Lead links to what the site has: a page is read on a git host too, where its folder is docs/."""
    if page.file.src_uri == "changes.md":
        return markdown.replace("](docs/", "](")
    for name in _BESIDE:
        markdown = markdown.replace(f"](../{name}/", f"]({name}/")
    return markdown
