"""The documents for readers: README, docs/ and the others at the top, with their blocks and headings."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

PROJECT = Path(__file__).parents[2]

_FENCED = re.compile(r"^(```+)(\w*)\n(.*?)^\1$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block: its kind (`sh`, `json`, …), its text, and the heading it is under."""

    kind: str
    text: str
    heading: str


@dataclass(frozen=True)
class Document:
    """One Markdown file."""

    path: Path

    @property
    def name(self) -> str:
        """The path as the project knows it."""
        return self.path.relative_to(PROJECT).as_posix()

    @cached_property
    def text(self) -> str:
        """All of it."""
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def prose(self) -> str:
        """All of it but fenced blocks."""
        return _FENCED.sub("", self.text)

    @cached_property
    def blocks(self) -> list[Block]:
        """The fenced blocks, in their order."""
        return [
            Block(match[2], match[3], _last_heading(self.text[: match.start()]))
            for match in _FENCED.finditer(self.text)
        ]

    @cached_property
    def indented(self) -> list[str]:
        """The indented blocks, without their indentation."""
        parts = re.findall(r"(?:^(?: {4,}|\t).*\n?(?:\n(?= {4}))?)+", self.prose, re.MULTILINE)
        return [re.sub(r"^ +", "", part, flags=re.MULTILINE) for part in parts]

    @cached_property
    def anchors(self) -> set[str]:
        """The anchors of its headings, as GitHub makes them."""
        return {_anchor(heading) for heading in re.findall(r"^#+ (.+)$", self.prose, re.MULTILINE)}

    @cached_property
    def links(self) -> list[str]:
        """The targets of links and pictures that lie within the project."""
        targets = re.findall(r"\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"", self.prose)
        return [target for pair in targets for target in pair if target and not re.match(r"[a-z]+:", target)]


def _last_heading(text: str) -> str:
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return headings[-1] if headings else ""


def _anchor(heading: str) -> str:
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def documents() -> list[Document]:
    """Every document, decision records included."""
    return [Document(path) for path in (*sorted(PROJECT.glob("*.md")), *sorted((PROJECT / "docs").rglob("*.md")))]


def document(name: str) -> Document:
    """One document, by its path in the project."""
    return Document(PROJECT / name)
