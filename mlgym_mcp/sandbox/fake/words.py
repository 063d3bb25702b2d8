"""Cutting a script of the fake's shell into commands: words, quotes, operators, here-documents.

A subset of bash: lists (`;`, newline, `&&`, `||`, `&`), pipes, redirections and quoting. Compound
commands, globs and arithmetic are not there, and are reported as syntax errors or plain words.
"""

import re
from dataclasses import dataclass, field

OPERATOR = re.compile(r"&&|\|\||2>&1|>&2|[12]?>>|[12]?>|&>|<<|<|[;&|\n]")
_NAME = re.compile(r"\{(\w+)(?::-([^}]*))?\}|(\w+|[?$!#])")
_REDIRECTIONS = frozenset((">", ">>", "1>", "1>>", "2>", "2>>", "&>", "<"))
_PIPE = "|"
_DUPLICATIONS = frozenset(("2>&1", ">&2"))


class BadSyntax(Exception):
    """The script is outside the subset."""


@dataclass(frozen=True)
class Piece:
    """A part of a word: plain text, or a variable or a command to be replaced."""

    kind: str
    """text, variable or command."""

    text: str
    default: str = ""
    quoted: bool = False


Word = tuple[Piece, ...]


@dataclass
class Simple:
    """One command with its redirections."""

    words: list[Word] = field(default_factory=list[Word])
    redirections: list[tuple[str, Word]] = field(default_factory=list[tuple[str, Word]])


@dataclass
class Step:
    """A pipeline and what follows it: `;`, `&&`, `||` or `&`."""

    pipeline: list[Simple]
    then: str


Token = str | Word
"""An operator is a string, a word is its pieces."""


class Scanner:
    """Reads one script."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def tokens(self) -> list[Token]:
        """Every operator and word."""
        found: list[Token] = []
        while self._at < len(self._text):
            rest = self._text[self._at :]
            operator = OPERATOR.match(rest)
            if rest[0] in " \t":
                self._at += 1
            elif rest.startswith("\\\n"):
                self._at += 2
            elif rest[0] == "#":
                self._at += len(rest.split("\n", 1)[0])
            elif operator and operator[0] == "<<":
                self._at += 2
                found += ["<", self._here_document()]
            elif operator:
                self._at += len(operator[0])
                found.append(operator[0])
            else:
                found.append(self._word())
        return found

    def _word(self) -> Word:
        pieces: list[Piece] = []
        while self._at < len(self._text):
            char = self._text[self._at]
            if char in " \t\n;&|<>":
                break
            if char == "'":
                end = self._find("'", self._at + 1)
                pieces.append(Piece("text", self._text[self._at + 1 : end], quoted=True))
                self._at = end + 1
            elif char == '"':
                self._at += 1
                pieces += self._double_quoted()
            elif char == "\\":
                pieces.append(Piece("text", self._text[self._at + 1 : self._at + 2], quoted=True))
                self._at += 2
            elif char == "$":
                pieces.append(self._dollar(quoted=False))
            else:
                plain = re.match(r"[^\s;&|<>'\"\\$]+", self._text[self._at :])
                if plain is None:
                    raise BadSyntax(f"near {char!r}")
                pieces.append(Piece("text", plain[0]))
                self._at += len(plain[0])
        return tuple(pieces)

    def _double_quoted(self) -> list[Piece]:
        pieces = [Piece("text", "", quoted=True)]
        while self._at < len(self._text):
            char = self._text[self._at]
            if char == '"':
                self._at += 1
                return pieces
            if char == "$":
                pieces.append(self._dollar(quoted=True))
                continue
            if char == "\\" and self._text[self._at + 1 : self._at + 2] in ('"', "\\", "$", "`"):
                self._at += 1
                char = self._text[self._at]
            pieces.append(Piece("text", char, quoted=True))
            self._at += 1
        raise BadSyntax('a " is not closed')

    def _dollar(self, *, quoted: bool) -> Piece:
        if self._text.startswith("$(", self._at):
            end = self._find(")", self._at)
            piece = Piece("command", self._text[self._at + 2 : end], quoted=quoted)
            self._at = end + 1
            return piece
        name = _NAME.match(self._text, self._at + 1)
        if name is None:
            self._at += 1
            return Piece("text", "$", quoted=quoted)
        self._at = name.end()
        return Piece("variable", name[1] or name[3], name[2] or "", quoted)

    def _here_document(self) -> Word:
        start = re.compile(r"\s*(['\"]?)(\w+)\1").match(self._text, self._at)
        if start is None:
            raise BadSyntax("a here-document has no end marker")
        self._at = start.end()
        line_end = self._find("\n", self._at)
        body = re.compile(rf"(.*?)^{start[2]}$\n?", re.DOTALL | re.MULTILINE)
        found = body.match(self._text, line_end + 1)
        if found is None:
            raise BadSyntax(f"the here-document does not end with {start[2]}")
        kept = self._text[self._at : line_end + 1]
        self._text = self._text[: self._at] + kept + self._text[found.end() :]
        return (Piece("here", found[1], quoted=True),)

    def _find(self, what: str, start: int) -> int:
        end = self._text.find(what, start)
        if end < 0:
            raise BadSyntax(f"{what!r} is missing")
        return end


def parse(text: str) -> list[Step]:
    """The steps of a script.

    Raises:
        BadSyntax: It is outside the subset.
    """
    steps: list[Step] = []
    pipeline = [Simple()]
    tokens = Scanner(text).tokens()
    while tokens:
        token = tokens.pop(0)
        if not isinstance(token, str):
            pipeline[-1].words.append(token)
        elif token in _REDIRECTIONS:
            if not tokens or isinstance(target := tokens.pop(0), str):
                raise BadSyntax(f"{token} has no target")
            pipeline[-1].redirections.append((token, target))
        elif token in _DUPLICATIONS:
            pipeline[-1].redirections.append((token, ()))
        elif token != _PIPE:
            steps += _step(pipeline, token)
            pipeline = [Simple()]
        else:
            pipeline.append(Simple())
    return steps + _step(pipeline, ";")


def _step(pipeline: list[Simple], operator: str) -> list[Step]:
    if any(not simple.words and not simple.redirections for simple in pipeline):
        if len(pipeline) == 1 and operator in (";", "\n"):
            return []
        raise BadSyntax(f"nothing before {operator!r}")
    return [Step(pipeline, ";" if operator == "\n" else operator)]
