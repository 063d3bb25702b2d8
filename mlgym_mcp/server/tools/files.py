"""Tools about files of a workspace: read, change, look for."""

from pydantic import Field

from mlgym_mcp.server.text import files as text
from mlgym_mcp.server.tool import Call, Effect, SessionArguments, Tool
from mlgym_mcp.sessions import EditRequest, SearchRequest
from mlgym_mcp.types.files import FileWindow, Found, Listing, Matches


class OpenArguments(SessionArguments):
    """What `open` takes."""

    path: str
    """A text file; relative paths start at /workspace."""

    line: int = Field(default=1, ge=1)
    """The line to show, with as many before as after it."""

    window: int = Field(default=200, ge=1, le=2000)
    """How many lines to show."""


class EditArguments(EditRequest, SessionArguments):
    """What `edit` takes."""


class CreateArguments(SessionArguments):
    """What `create` takes."""

    path: str
    """Relative paths start at /workspace; missing folders are made."""

    text: str
    """The whole file."""


class InsertArguments(SessionArguments):
    """What `insert` takes."""

    path: str
    line: int = Field(ge=1)
    """The new text comes before this line; one beyond the last appends."""

    text: str


class FindArguments(SessionArguments):
    """What `find` takes."""

    pattern: str = Field(min_length=1, max_length=500)
    """A glob such as `**/*.py`."""


class SearchArguments(SearchRequest, SessionArguments):
    """What `search` takes."""


class ListArguments(SessionArguments):
    """What `list_files` takes."""

    path: str = "."
    """A folder; relative paths start at /workspace."""

    depth: int = Field(default=1, ge=1, le=10)
    """How many folders deep."""


async def _open(call: Call, given: OpenArguments) -> FileWindow:
    return await call.sessions.open_file(
        call.principal, given.session, given.path, given.line, given.window
    )


async def _edit(call: Call, given: EditArguments) -> FileWindow:
    return await call.sessions.edit(call.principal, given.session, given)


async def _create(call: Call, given: CreateArguments) -> FileWindow:
    return await call.sessions.create(call.principal, given.session, given.path, given.text)


async def _insert(call: Call, given: InsertArguments) -> FileWindow:
    return await call.sessions.insert(
        call.principal, given.session, given.path, given.line, given.text
    )


async def _find(call: Call, given: FindArguments) -> Found:
    return await call.sessions.find(call.principal, given.session, given.pattern)


async def _search(call: Call, given: SearchArguments) -> Matches:
    return await call.sessions.search(call.principal, given.session, given)


async def _list(call: Call, given: ListArguments) -> Listing:
    return await call.sessions.list_files(call.principal, given.session, given.path, given.depth)


_READS = Effect(reads=True, repeats=True)

TOOLS = (
    Tool(
        name="open",
        title="Open a file",
        description="Show numbered lines of a text file around a line.",
        arguments=OpenArguments,
        results=(FileWindow,),
        answer=_open,
        text=text.window,
        effect=_READS,
    ),
    Tool(
        name="edit",
        title="Edit a file",
        description=(
            "Change a text file: replace `old`, which must occur exactly once, by `new`; or "
            "replace the lines `start` to `end` by `new`. A Python file that would no longer parse "
            "is left as it was, with the error, unless `force` is true."
        ),
        arguments=EditArguments,
        results=(FileWindow,),
        answer=_edit,
        text=text.window,
        effect=Effect(destroys=True),
    ),
    Tool(
        name="create",
        title="Create a file",
        description="Write a whole file; one that is there already is replaced.",
        arguments=CreateArguments,
        results=(FileWindow,),
        answer=_create,
        text=text.written,
        effect=Effect(destroys=True, repeats=True),
    ),
    Tool(
        name="insert",
        title="Insert lines",
        description="Insert text before a line of a file; one line beyond the last appends.",
        arguments=InsertArguments,
        results=(FileWindow,),
        answer=_insert,
        text=text.window,
    ),
    Tool(
        name="find",
        title="Find files",
        description="Find files of the workspace by a glob such as `**/*.py`.",
        arguments=FindArguments,
        results=(Found,),
        answer=_find,
        text=text.found,
        effect=_READS,
    ),
    Tool(
        name="search",
        title="Search in files",
        description="Search the workspace's files for a text, or a regular expression.",
        arguments=SearchArguments,
        results=(Matches,),
        answer=_search,
        text=text.matches,
        effect=_READS,
    ),
    Tool(
        name="list_files",
        title="List files",
        description="List a folder of the workspace, with sizes.",
        arguments=ListArguments,
        results=(Listing,),
        answer=_list,
        text=text.listing,
        effect=_READS,
    ),
)
