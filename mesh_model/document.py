"""Reading a YAML document with the line of every value, gathering all problems instead of stopping at the first.

msgspec and pydantic see plain dictionaries: the first knows no lines and stops at the first error, the second
weighs 15 MB in every proxy. A cursor over ruamel's node tree knows both line and path, and needs neither.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

_KINDS = {"str": "the text", "int": "the number", "float": "the number", "bool": "the truth value", "null": "nothing"}


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong at one place of a document; ``line`` counts from 1."""

    line: int
    path: str
    wrong: str
    expected: str
    file: str = ""

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path else ""
        return f"{where}{self.wrong}; expected {self.expected}"


class Unreadable(Exception):
    """A form of writing cannot say what a value means."""

    def __init__(self, wrong: str, expected: str) -> None:
        super().__init__(wrong)
        self.wrong, self.expected = wrong, expected


class Form:
    """How a document is written: as the API has it. Other forms say what the API would say in place of what is there."""

    def entries(self, node: MappingNode) -> Iterable[tuple[str, Node, Node]]:
        """Yield the fields of a mapping: the API's name, the name as written, the value."""
        for key, value in node.value:
            yield str(key.value), key, value

    def value(self, node: Node) -> Node:
        """Return the value that stands here. Raises Unreadable."""
        return node


PLAIN = Form()


@dataclass(frozen=True, slots=True)
class Source:
    """The document that cursors are in: how it is written, the file's name, and where problems are gathered."""

    problems: list[Problem]
    file: str = ""
    form: Form = PLAIN


class Cursor:
    """One value of the document. Reads never raise: they note a problem and return a neutral value.

    A cursor without a node stands for something missing that was already complained about.
    """

    __slots__ = ("_fallback_line", "_node", "_source", "path")

    def __init__(self, node: Node | None, path: str, source: Source, fallback_line: int = 1) -> None:
        self.path, self._source, self._fallback_line = path, source, fallback_line
        self._node: Node | None = None
        self._node = self._meant(node) if node is not None else None

    @property
    def line(self) -> int:
        """The line this value starts on, counted from 1."""
        return int(self._node.start_mark.line) + 1 if self._node is not None else self._fallback_line

    @property
    def is_mapping(self) -> bool:
        """Whether fields can be read here."""
        return isinstance(self._node, MappingNode)

    @property
    def file(self) -> str:
        """The name of the file that this value is in."""
        return self._source.file

    def complain(self, wrong: str, expected: str) -> None:
        """Note that this value is wrong."""
        self._source.problems.append(Problem(self.line, self.path, wrong, expected, self._source.file))

    def fields(self, *known: str) -> "Fields":
        """Read a mapping that may have the ``known`` fields."""
        children: dict[str, Cursor] = {}
        if self._node is None:
            return Fields(self, children)
        if not isinstance(self._node, MappingNode):
            self.complain(f"got {self._shown()}", f"a mapping with {_listed(known)}")
            return Fields(Cursor(None, self.path, self._source, self.line), children)
        seen: set[str] = set()
        for key, key_node, value_node in self._source.form.entries(self._node):
            if key not in known:
                self._complain_of(key_node, f"unknown field `{key_node.value}`", f"one of {_listed(known)}")
            elif key in seen:
                self._complain_of(key_node, f"`{key_node.value}` is written twice", "each field once")
            elif not _is_null(value_node):
                children[key] = self._field(key_node, value_node)
            seen.add(key)
        return Fields(self, children)

    def child(self, name: str) -> "Cursor | None":
        """Return one field of a mapping without judging the others; None when it is not there."""
        for key, key_node, value_node in self._source.form.entries(self._node) if isinstance(self._node, MappingNode) else ():
            if key == name and not _is_null(value_node):
                return self._field(key_node, value_node)
        return None

    def items(self, *, least: int = 0, most: int | None = None) -> list["Cursor"]:
        """Read a list of ``least`` to ``most`` entries."""
        if self._node is None:
            return []
        if not isinstance(self._node, SequenceNode):
            self.complain(f"got {self._shown()}", "a list")
            return []
        entries = self._node.value
        if len(entries) < least or (most is not None and len(entries) > most):
            bounds = f"{least} to {most}" if most is not None else f"{least} or more"
            self.complain(f"got {len(entries)} entries", f"{bounds} entries")
        return [Cursor(node, f"{self.path}[{i}]", self._source) for i, node in enumerate(entries)]

    def text(self, *, longest: int = 255) -> str:
        """Read a text of 1 to ``longest`` characters."""
        value = self._scalar("str")
        if value is None:
            return ""
        if not 1 <= len(value) <= longest:
            self.complain(f"got {len(value)} characters", f"a text of 1 to {longest} characters")
        return value

    def words(self, *, longest: int = 2048) -> str:
        """Read a text that may be empty; numbers are taken as they are written (tag values)."""
        value = str(self._node.value) if isinstance(self._node, ScalarNode) else self._scalar("str") or ""
        if len(value) > longest:
            self.complain(f"got {len(value)} characters", f"a text of at most {longest} characters")
        return value

    def whole(self, low: int, high: int) -> int:
        """Read a whole number from ``low`` to ``high``."""
        if self._node is None:
            return low
        expected = f"a whole number from {low} to {high}"
        if not isinstance(self._node, ScalarNode) or _kind(self._node) != "int":
            self.complain(f"got {self._shown()}", expected)
            return low
        try:
            value = int(self._node.value.replace("_", ""), 0)
        except ValueError:
            self.complain(f"got {self._node.value}", expected)
            return low
        if not low <= value <= high:
            self.complain(f"got {value}", expected)
        return value

    def truth(self) -> bool:
        """Read ``true`` or ``false``."""
        return self._scalar("bool", expected="`true` or `false`") in ("true", "True", "TRUE")

    def choice(self, *allowed: str) -> str:
        """Read one of the ``allowed`` words."""
        if self._node is None:
            return allowed[0]
        value = self._scalar("str", expected=f"one of {_listed(allowed)}")
        if value is not None and value not in allowed:
            self.complain(f"got `{value}`", f"one of {_listed(allowed)}")
        return value if value in allowed else allowed[0]

    def _field(self, key: Node, value: Node) -> "Cursor":
        return Cursor(value, f"{self.path}.{key.value}" if self.path else str(key.value), self._source)

    def _complain_of(self, key: Node, wrong: str, expected: str) -> None:
        path = f"{self.path}.{key.value}" if self.path else str(key.value)
        self._source.problems.append(Problem(int(key.start_mark.line) + 1, path, wrong, expected, self._source.file))

    def _meant(self, node: Node) -> Node | None:
        """Return the node that stands here in the form of the document; None, with a complaint, when nobody knows."""
        try:
            return self._source.form.value(node)
        except Unreadable as error:
            self._fallback_line = int(node.start_mark.line) + 1
            self.complain(error.wrong, error.expected)
            return None

    def _scalar(self, kind: str, expected: str = "a text") -> str | None:
        if self._node is None:
            return None
        if isinstance(self._node, ScalarNode) and _kind(self._node) == kind:
            return str(self._node.value)
        self.complain(f"got {self._shown()}", expected)
        return None

    def _shown(self) -> str:
        if isinstance(self._node, MappingNode):
            return "a mapping"
        if isinstance(self._node, SequenceNode):
            return "a list"
        assert isinstance(self._node, ScalarNode)
        kind = _kind(self._node)
        return "nothing" if kind == "null" else f"{_KINDS.get(kind, kind)} `{self._node.value}`"


class Fields:
    """The fields of one mapping."""

    __slots__ = ("_at", "_children")

    def __init__(self, at: Cursor, children: dict[str, Cursor]) -> None:
        self._at, self._children = at, children

    def __contains__(self, name: str) -> bool:
        return name in self._children

    def __iter__(self) -> Iterator[str]:
        return iter(self._children)

    def get(self, name: str) -> Cursor | None:
        """Return the field, or None when it is not there."""
        return self._children.get(name)

    def need(self, name: str, expected: str = "it to be there") -> Cursor:
        """Return the field; when it is missing say so, and return a cursor that reads as nothing."""
        found = self._children.get(name)
        if found is not None:
            return found
        at = self._at
        blank = Cursor(None, f"{at.path}.{name}" if at.path else name, at._source, at.line)
        if at._node is not None:
            blank.complain(f"`{name}` is missing", expected)
        return blank

    def need_one(self, *names: str) -> tuple[str, Cursor]:
        """Return the one field of ``names`` that is there; none or several of them is a problem."""
        present = [name for name in names if name in self._children]
        if len(present) != 1 and self._at._node is not None:
            self._at.complain(f"got {_listed(present) or 'none'} of them", f"exactly one of {_listed(names)}")
        name = present[0] if present else names[0]
        return name, self._children.get(name) or Cursor(None, self._at.path, self._at._source, self._at.line)


def open_document(text: str, problems: list[Problem], file: str = "") -> Cursor:
    """Return a cursor on the first document of the YAML or JSON ``text``; what is no YAML becomes a problem."""
    return Cursor(next(iter(compose(text, problems, file)), None), "", Source(problems, file))


def compose(text: str, problems: list[Problem], file: str) -> list[Node]:
    """Return the documents of a YAML or JSON text that are not empty; what is no YAML becomes a problem."""
    try:
        roots = [root for root in YAML(typ="safe", pure=True).compose_all(text) if not _is_null(root)]
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, told = mark.line + 1 if mark else 1, f"not YAML: {error.problem or error.context}"
    except YAMLError as error:
        line, told = 1, f"not YAML: {error}".splitlines()[0]
    except RecursionError:
        line, told = 1, "it is nested too deeply"
    else:
        if not roots:
            problems.append(Problem(1, "", "the file is empty", "a mapping with `mesh` and `virtualNodes`", file))
        return roots
    problems.append(Problem(line, "", told, "YAML or JSON", file))
    return []


def _is_null(node: Node) -> bool:
    return isinstance(node, ScalarNode) and _kind(node) == "null"


def _kind(node: ScalarNode) -> str:
    return str(node.tag).rpartition(":")[2]


def _listed(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
