"""How verbs are described, grouped, found and refused: click, with help of our own order."""

from difflib import get_close_matches

import click

from miri_background.outcomes import SetUpWrong

__all__ = ["Topic", "Verb", "Verbs", "no_such", "refusal"]

# An underscore is a hyphen: parameters are written as in the notebook, or as is usual here.
_SETTINGS = {
    "help_option_names": ["--help", "-h"],
    "max_content_width": 100,
    "token_normalize_func": lambda name: name.replace("_", "-"),
}
# Where an option belongs that is of no topic.
_OTHERS = "Options"


class Topic(click.Option):
    """An option that belongs to a topic of the help.

    Parameters
    ----------
    *declarations
        Names, as click takes them.
    topic : str, optional
        Head that it stands below.
    many : bool, optional
        Whether several values may follow, up to the next option.
    **attributes
        As click takes them.
    """

    def __init__(self, *declarations, topic=_OTHERS, many=False, **attributes):
        super().__init__(*declarations, multiple=many, **attributes)
        self.topic, self.many = topic, many


class _Helped(click.Command):
    """What has examples, and options by topic."""

    examples = ()

    def format_help_text(self, ctx, formatter):
        """Write the text, and the examples below it."""
        super().format_help_text(ctx, formatter)
        if self.examples:
            with formatter.section("Examples"):
                for line in self.examples:
                    # Not wrapped: an example is there to be copied.
                    formatter.write(f"{'':{formatter.current_indent}}{line}\n")

    def format_options(self, ctx, formatter):
        """Write the options, those of a topic together."""
        topics = {}
        for option in self.get_params(ctx):
            if isinstance(option, click.Option):
                record = option.get_help_record(ctx)
                topics.setdefault(getattr(option, "topic", _OTHERS), []).append(record)
        others = topics.pop(_OTHERS, [])
        for topic, records in [*topics.items(), (_OTHERS, others)]:
            with formatter.section(topic):
                formatter.write_dl(records, col_max=34)


class Verb(_Helped):
    """A verb, which click calls a command.

    Parameters
    ----------
    *arguments
        As click takes them.
    examples : sequence of str, optional
        Command lines.
    **attributes
        As click takes them.
    """

    def __init__(self, *arguments, examples=(), **attributes):
        super().__init__(*arguments, context_settings=_SETTINGS, **attributes)
        self.examples = examples

    def parse_args(self, ctx, args):
        """Parse a command line, in which several values may follow one option."""
        many = {
            name for option in self.params if getattr(option, "many", False) for name in option.opts
        }
        spread, repeated = [], None
        for each in args:
            if each.startswith("-"):
                repeated = each if each in many else None
                at_once = [] if repeated else [each]
            else:
                at_once = [repeated, each] if repeated else [each]
            spread += at_once
        # An option without a value is left to click, which refuses it.
        spread += [each for each in many if each in args and each not in spread]
        try:
            return super().parse_args(ctx, spread)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx  # click leaves it out where a value is missing
            raise


class Verbs(_Helped, click.Group):
    """Verbs in sections of the help.

    Parameters
    ----------
    *arguments
        As click takes them.
    sections : dict of str to list of click.Command
        Verbs by the head that they stand below.
    examples : sequence of str, optional
        Command lines.
    **attributes
        As click takes them.
    """

    def __init__(self, *arguments, sections, examples=(), **attributes):
        verbs = {verb.name: verb for section in sections.values() for verb in section}
        super().__init__(
            *arguments,
            commands=verbs,
            context_settings=_SETTINGS,
            subcommand_metavar="VERB ...",
            **attributes,
        )
        self.sections, self.examples = sections, examples

    def list_commands(self, ctx):  # noqa: ARG002 - as click calls it
        """Return the names of the verbs, in the order of the help."""
        return list(self.commands)

    def format_options(self, ctx, formatter):
        """Write the verbs, then the options of all."""
        for head, verbs in self.sections.items():
            with formatter.section(head):
                formatter.write_dl(
                    [(verb.name, verb.get_short_help_str(limit=100)) for verb in verbs]
                )
        _Helped.format_options(self, ctx, formatter)

    def format_epilog(self, ctx, formatter):  # noqa: ARG002 - as click calls it
        """Write the last lines as they are: each has a meaning of its own."""
        if self.epilog:
            formatter.write_paragraph()
            formatter.write(self.epilog)


def refusal(error):
    """Return in one sentence why a command line was refused.

    Parameters
    ----------
    error : click.UsageError
        As click refuses it.

    Returns
    -------
    SetUpWrong
        With the verb, what is wrong, what was meant perhaps, and where the help is.
    """
    path = error.ctx.command_path if error.ctx else "miri-background"
    if isinstance(error, click.NoSuchOption):
        known = [name for option in error.ctx.command.get_params(error.ctx) for name in option.opts]
        said = no_such(f"option of {path}", error.option_name, known)
    elif isinstance(error, click.exceptions.NoSuchCommand):
        said = no_such(f"verb of {path}", error.command_name, error.ctx.command.commands)
    else:
        said = error.format_message().rstrip(".")
        said = f"{path}: {said[0].lower()}{said[1:]}"
    return SetUpWrong(f"{said} (see `{path} --help`).")


def no_such(kind, name, known):
    """Return in words that a name is not known, and which similar ones are.

    Parameters
    ----------
    kind : str
        What it should be, such as ``verb of miri-background``.
    name : str
        As it was given.
    known : iterable of str
        What there is.

    Returns
    -------
    str
        Without a stop at its end.
    """
    # Compared without their hyphens, which all options share.
    plain = {each.strip("-"): each for each in known}
    close = get_close_matches(name.replace("_", "-").strip("-"), plain, 3, 0.6)
    similar = [plain[each] for each in close]
    meant = f"; did you mean {' or '.join(similar)}?" if similar else ""
    return f"{name} is not {'an' if kind[0] in 'aeiou' else 'a'} {kind}{meant}"
