"""The catalogue of profiles: which editions and roles there are, and the frozen profile of each.

Folders hold one folder per edition with ``edition.toml`` and one file per role. The built-in folder comes
first; folders of users follow and add editions and roles or override them: a file is laid over the file
of the same name before it. ``inherits = "edition/role"`` starts from any other role, ``inherits`` in
``edition.toml`` takes a whole edition with all of its roles. Layers of a role, later ones win: for each
edition involved its ``[common]`` and ``[kind.<kind>]``, the role files, ``[suite.<suite>]``, then for each
option the overlay of its choice. Files are read when first needed, each once.
Refuses what is not there (``profile.unknown_*``, ``profile.bad_folder``, ``profile.bad_inheritance``) and broken
files; files from users are checked as a whole (every suite, every choice) when first used.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from v2gpki.errors import V2GPKIError
from v2gpki.profile.edition import edition_of, options_of
from v2gpki.profile.layers import Layered, Node, Origin, did_you_mean, refuse
from v2gpki.profile.model import Edition, Option, Profile
from v2gpki.profile.spec import profile_of

_EDITION = "edition"
_EDITION_FILE = f"{_EDITION}.toml"


@dataclass(frozen=True, slots=True)
class _RoleFile:
    """One role file of one edition, parsed."""

    edition: str
    file: str
    table: Node


class Catalogue:
    """All profiles of the built-in folder and of the users' folders; threads may share it."""

    def __init__(self, folders: Sequence[Path] = ()) -> None:
        """``folders`` are users' folders, later ones over earlier ones; a wrong one raises ``profile.bad_folder``."""
        built_in = built_in_folder()
        self._places: dict[str, list[Path]] = {}
        self._contents: dict[Path, frozenset[str]] = {}
        self._files: dict[Path, Node] = {}
        self._parents: dict[str, str] = {}
        self._editions: dict[str, Edition] = {}
        self._edition_tables: dict[str, Layered] = {}
        self._role_tables: dict[tuple[str, str, str], Layered] = {}
        self._suites: dict[tuple[str, str], tuple[str, ...]] = {}
        self._profiles: dict[tuple[str, str, str, tuple[tuple[str, str], ...]], Profile] = {}
        self._foreign: set[str] = set()
        self._checked: set[tuple[str, str]] = set()
        self._lab_file = built_in / "lab.toml"
        self._scan(built_in)
        for folder in folders:
            found = self._scan(folder) if folder.is_dir() else 0
            if not found:
                reason = "holds no edition folder" if folder.is_dir() else "is no folder"
                raise refuse(
                    "profile.bad_folder",
                    str(folder),
                    "",
                    reason,
                    hint="give a folder that holds <edition>/edition.toml or <edition>/<role>.toml",
                )

    @property
    def lab_file(self) -> Path:
        """The built-in description of the default hierarchies."""
        return self._lab_file

    def editions(self) -> tuple[str, ...]:
        """The names of all editions, sorted; those that are not conformant too."""
        return tuple(sorted(self._places))

    def edition(self, name: str) -> Edition:
        """One edition; raises ``profile.unknown_edition``."""
        edition = self._editions.get(name)
        if edition is None:
            layered = self._edition_table(name, ())
            edition = self._editions[name] = edition_of(layered, name, tuple(self._places[name]))
        return edition

    def roles(self, edition: str) -> tuple[str, ...]:
        """The names of an edition's roles, sorted, those of the edition that it inherits included."""
        self.edition(edition)
        names: set[str] = set()
        for name in self._ancestry(edition):
            for folder in self._places[name]:
                names |= self._contents[folder]
        return tuple(sorted(names - {_EDITION}))

    def suites(self, edition: str, role: str) -> tuple[str, ...]:
        """The key families in which a role exists: its ``families``, or all suites of its edition."""
        known = self._suites.get((edition, role))
        if known is None:
            known = self._suites[edition, role] = self._families(edition, self._role_table(edition, role, ""))
        return known

    def options(self, edition: str, role: str, suite: str | None = None) -> Mapping[str, Option]:
        """The options of a role in one family (None: the default family), by name."""
        return options_of(self._role_table(edition, role, self._suite(edition, role, suite)))

    def profile(
        self, edition: str, role: str, suite: str | None = None, options: Mapping[str, str] | None = None
    ) -> Profile:
        """The frozen profile of a role in one family, with the given choices; None is the default family.

        Raises ``profile.unknown_edition``, ``_role``, ``_suite``, ``_option`` or what is wrong in a file.
        """
        family = self._suite(edition, role, suite)
        chosen = tuple(sorted((options or {}).items()))
        key = (edition, role, family, chosen)
        profile = self._profiles.get(key)
        if profile is None:
            self._check_foreign(edition, role)
            profile = self._profiles[key] = self._build(edition, role, family, chosen)
        return profile

    def check(self, edition: str, role: str) -> int:
        """Build a role in every family and with every choice of every option; returns how many profiles that were."""
        count = 0
        for suite in self.suites(edition, role):
            offered = self.options(edition, role, suite)
            choices = [()] + [((name, choice),) for name, option in offered.items() for choice in option.choices]
            for chosen in choices:
                self._build(edition, role, suite, chosen)
            count += len(choices)
        return count

    # -- layers --------------------------------------------------------------------------------

    def _build(self, edition: str, role: str, suite: str, chosen: tuple[tuple[str, str], ...]) -> Profile:
        layered = self._role_table(edition, role, suite)
        offered = options_of(layered)
        for name, choice in chosen:
            _check_choice(offered, name, choice, f"{edition}/{role}")
        layered = layered.copy()
        settled = {name: option.default for name, option in offered.items()} | dict(chosen)
        for name, choice in settled.items():
            self._overlay(layered, ("option", name, "choice", choice))
        roles = self.roles(edition)
        return profile_of(
            layered, edition=self.edition(edition), role=role, suite=suite, roles=roles, options=tuple(settled.items())
        )

    def _role_table(self, edition: str, role: str, suite: str) -> Layered:
        """The layered table of a role, ``suite`` overlay included ("": none), options not yet laid."""
        key = (edition, role, suite)
        layered = self._role_tables.get(key)
        if layered is None:
            if suite:
                layered = self._role_table(edition, role, "").copy()
                self._overlay(layered, ("suite", suite))
            else:
                layered = self._lay_role(edition, role)
            self._role_tables[key] = layered
        return layered

    def _lay_role(self, edition: str, role: str) -> Layered:
        self.edition(edition)
        files = self._role_files(edition, role, ())
        if not files:
            known = list(self.roles(edition))
            raise refuse_unknown("profile.unknown_role", role, known, f"edition {edition}")
        kind = next((file.table["kind"] for file in reversed(files) if "kind" in file.table), "")
        layered = Layered()
        for name in dict.fromkeys([file.edition for file in files] + [edition]):
            shared = self._edition_table(name, ())
            for path in (("common",), ("kind", str(kind))):
                _lay_inner(layered, shared, path)
        for file in files:
            layered.lay(file.table, Origin(file.file))
        return layered

    def _role_files(self, edition: str, role: str, seen: tuple[str, ...]) -> list[_RoleFile]:
        """The files of a role, what it inherits first."""
        address = f"{edition}/{role}"
        parent = self._parent(edition)
        files = self._role_files(parent, role, (*seen, address)) if parent else []
        for folder in self._places[edition]:
            if role not in self._contents[folder] or role == _EDITION:
                continue
            path = folder / f"{role}.toml"
            table = self._parse(path)
            target = self._target(table, path, edition)
            if target and target != address:
                files = self._inherited(target, str(path), (*seen, address))
            elif target and not files:
                reason = f'there is no "{target}" before this file'
                raise refuse("profile.bad_inheritance", str(path), "inherits", reason)
            files = [*files, _RoleFile(edition, str(path), table)]
        return files

    def _inherited(self, target: str, file: str, seen: tuple[str, ...]) -> list[_RoleFile]:
        if target in seen:
            raise refuse("profile.bad_inheritance", file, "inherits", f"a circle: {' > '.join((*seen, target))}")
        edition, _, role = target.partition("/")
        if edition not in self._places:
            hint = did_you_mean(edition, list(self._places))
            raise refuse("profile.bad_inheritance", file, "inherits", f'there is no edition "{edition}"', hint=hint)
        files = self._role_files(edition, role, seen)
        if not files:
            hint = did_you_mean(role, list(self.roles(edition)))
            raise refuse("profile.bad_inheritance", file, "inherits", f'there is no role "{target}"', hint=hint)
        return files

    def _target(self, table: Node, path: Path, edition: str) -> str:
        target = table.get("inherits", "")
        if not isinstance(target, str) or target.count("/") > 1:
            raise refuse("profile.bad_value", str(path), "inherits", '"edition/role" or "role" is expected')
        return target if "/" in target or not target else f"{edition}/{target}"

    def _overlay(self, layered: Layered, path: tuple[str, ...]) -> None:
        """Lay the table at ``path`` over the top of the same tree, each part charged to the file that it came from."""
        _lay_inner(layered, layered, path)

    # -- editions ------------------------------------------------------------------------------

    def _edition_table(self, name: str, seen: tuple[str, ...]) -> Layered:
        layered = self._edition_tables.get(name)
        if layered is not None:
            return layered
        if name not in self._places:
            raise refuse_unknown("profile.unknown_edition", name, list(self._places), "")
        parent = self._parent(name)
        if parent in (*seen, name):
            raise refuse("profile.bad_inheritance", f"{name}/{_EDITION_FILE}", "inherits", f"a circle with {parent}")
        layered = self._edition_table(parent, (*seen, name)).copy() if parent else Layered()
        for folder in self._places[name]:
            if _EDITION in self._contents[folder]:
                path = folder / _EDITION_FILE
                layered.lay(self._parse(path), Origin(str(path)))
        self._edition_tables[name] = layered
        return layered

    def _parent(self, edition: str) -> str:
        """The edition that an edition inherits, "" for none."""
        if edition in self._parents:
            return self._parents[edition]
        parent = ""
        for folder in self._places[edition]:
            if _EDITION not in self._contents[folder]:
                continue
            path = folder / _EDITION_FILE
            value = self._parse(path).get("inherits", parent)
            if not isinstance(value, str) or (value and value not in self._places):
                hint = did_you_mean(str(value), list(self._places))
                reason = f'there is no edition "{value}"'
                raise refuse("profile.bad_inheritance", str(path), "inherits", reason, hint=hint)
            parent = value
        self._parents[edition] = parent
        return parent

    def _ancestry(self, edition: str) -> list[str]:
        names = [edition]
        while parent := self._parent(names[-1]):
            names.append(parent)
        return names

    def _families(self, edition: str, layered: Layered) -> tuple[str, ...]:
        suites = self.edition(edition).suites
        families = layered.tree.get("families")
        if families is None:
            return suites
        if not isinstance(families, list) or not families or not set(families) <= set(suites):
            file, key = layered.where("families")
            reason = f"a list of suites of the edition is expected: {', '.join(suites)}"
            raise refuse("profile.bad_value", file, key, reason)
        return tuple(suite for suite in suites if suite in families)

    def _suite(self, edition: str, role: str, suite: str | None) -> str:
        families = self.suites(edition, role)
        if suite is None:
            return families[0]
        if suite not in families:
            raise refuse_unknown("profile.unknown_suite", suite, list(families), f"{edition}/{role}")
        return suite

    # -- files ---------------------------------------------------------------------------------

    def _scan(self, root: Path) -> int:
        """Note the edition folders of one folder; returns how many there are."""
        found = 0
        for folder in sorted(root.iterdir()):
            files = frozenset(path.stem for path in folder.glob("*.toml")) if folder.is_dir() else frozenset()
            if files:
                self._contents[folder] = files
                self._places.setdefault(folder.name, []).append(folder)
                found += 1
                if _EDITION not in self._contents[self._places[folder.name][0]]:
                    reason = f"there is no edition {folder.name}, and this folder has no {_EDITION_FILE}"
                    raise refuse("profile.bad_folder", str(folder), "", reason)
                if root != self._lab_file.parent:
                    self._foreign.add(str(folder))
        return found

    def _check_foreign(self, edition: str, role: str) -> None:
        """Check a role as a whole, once, when a user's file takes part in it."""
        key = (edition, role)
        if key in self._checked:
            return
        self._checked.add(key)
        files = self._role_table(edition, role, "").files
        if any(str(Path(file).parent) in self._foreign for file in files):
            self.check(edition, role)

    def _parse(self, path: Path) -> Node:
        table = self._files.get(path)
        if table is None:
            table = self._files[path] = parse_toml(path)
        return table


def built_in_folder() -> Path:
    """The folder of the built-in profiles: the package's own, or the source tree's beside it."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "_profiles"
    if installed.is_dir():
        return installed
    project = package.parent / "pyproject.toml"
    source = package.parent / "profiles"
    if source.is_dir() and project.is_file() and '\nname = "v2gpki"\n' in project.read_text(encoding="utf-8"):
        return source
    raise V2GPKIError(
        "profile.not_installed",
        f"the built-in profiles are missing: neither {installed} nor a source tree around {package}",
        hint="install v2gpki again",
    )


def parse_toml(path: Path) -> Node:
    """Read one TOML file; raises ``profile.unreadable`` with the line where it breaks."""
    try:
        return dict(tomllib.loads(path.read_bytes().decode("utf-8")))
    except OSError as problem:
        reason = f"cannot be read: {problem.strerror or problem}"
    except UnicodeDecodeError:
        reason = "is not UTF-8"
    except tomllib.TOMLDecodeError as problem:
        reason = f"is no TOML: {problem}"
    except RecursionError:
        reason = "is nested too deeply"
    raise refuse("profile.unreadable", str(path), "", reason)


def refuse_unknown(code: str, given: str, known: list[str], where: str) -> V2GPKIError:
    """The error for an edition, role, suite or option (the last word of ``code``) that does not exist."""
    what = code.rpartition("_")[2]
    place = f" in {where}" if where else ""
    return V2GPKIError(
        code,
        f'there is no {what} "{given}"{place}',
        hint=did_you_mean(given, known),
        facts={what: given, "known": tuple(sorted(known))},
    )


def _check_choice(offered: Mapping[str, Option], name: str, choice: str, where: str) -> None:
    if name not in offered:
        raise refuse_unknown("profile.unknown_option", name, list(offered), where)
    if choice not in offered[name].choices:
        raise V2GPKIError(
            "profile.unknown_option",
            f'the option "{name}" of {where} has no choice "{choice}"',
            hint=did_you_mean(choice, list(offered[name].choices)),
            clause=offered[name].clause,
            facts={"option": name, "choice": choice},
        )


def _lay_inner(onto: Layered, source: Layered, path: Iterable[str]) -> None:
    """Lay the table of ``source`` at ``path`` over ``onto``, keeping for each key the file it came from."""
    prefix = ""
    node: object = source.tree
    for part in path:
        node = node.get(part) if isinstance(node, dict) else None
        prefix += f"{part}."
    if not isinstance(node, dict):
        return
    file, _ = source.where(prefix.rstrip("."))
    origins = [(dotted, origin) for dotted, origin in source.origins.items() if dotted.startswith(prefix)]
    onto.lay(node, Origin(file, prefix))
    for dotted, origin in origins:
        onto.origins[dotted[len(prefix) :]] = origin.inside(prefix)
