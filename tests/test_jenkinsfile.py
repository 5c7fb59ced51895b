"""The Jenkinsfile keeps to the declarative grammar, and calls nothing but targets that exist.

Only a Jenkins server can validate one for good; Groovy's syntax and the structure can be checked
without.  The rules are those of https://www.jenkins.io/doc/book/pipeline/syntax/.
"""

import re
import shlex
from dataclasses import dataclass

import pytest
import tree_sitter
import tree_sitter_groovy

PIPELINE = {
    "agent",
    "environment",
    "libraries",
    "options",
    "parameters",
    "post",
    "stages",
    "tools",
    "triggers",
}
STAGE = {"agent", "environment", "failFast", "input", "options", "post", "tools", "when"}
WORK = {"matrix", "parallel", "stages", "steps"}
OPTIONS = {
    "buildDiscarder",
    "checkoutToSubdirectory",
    "disableConcurrentBuilds",
    "disableResume",
    "newContainerPerStage",
    "overrideIndexTriggers",
    "parallelsAlwaysFailFast",
    "preserveStashes",
    "quietPeriod",
    "retry",
    "skipDefaultCheckout",
    "skipStagesAfterUnstable",
    "timeout",
    "timestamps",
}
TRIGGERS = {"cron", "pollSCM", "upstream"}
PARAMETERS = {"booleanParam", "choice", "password", "string", "text"}
POST = {
    "aborted",
    "always",
    "changed",
    "cleanup",
    "failure",
    "fixed",
    "regression",
    "success",
    "unstable",
    "unsuccessful",
}
# Fields of a time: *, a number, H, ranges and steps of them.
CRON = re.compile(r"(\*|H|H\(\d+-\d+\)|\d+(-\d+)?)(/\d+)?(,\d+)*")


@dataclass(frozen=True)
class Block:
    """A name with what stands in its round and curly brackets."""

    name: str
    arguments: str
    body: tuple | None


def source_text(node):
    """Return the source of a node."""
    return node.text.decode()


def blocks_of(node):
    """Return the statements of a file or of curly brackets; a comment is none."""
    return tuple(block_of(child) for child in node.named_children if "comment" not in child.type)


def block_of(statement):
    """Return a statement as a block."""
    node = statement.named_children[0] if statement.type == "expression_statement" else statement
    name, *others = node.named_children
    bodies = [each for each in others if each.type == "closure"]
    given = [source_text(each) for each in others if each.type != "closure"]
    return Block(source_text(name), " ".join(given), blocks_of(bodies[0]) if bodies else None)


def problems_of(text, targets):
    """Return what is wrong with a Jenkinsfile, one phrase each."""
    language = tree_sitter.Language(tree_sitter_groovy.language())
    root = tree_sitter.Parser(language).parse(text.encode()).root_node
    if root.has_error:
        return ["no Groovy"]
    top = blocks_of(root)
    if [each.name for each in top] != ["pipeline"]:
        return ["not exactly one pipeline"]
    return [*pipeline_problems(top[0]), *step_problems(top[0], targets)]


def inside(block, allowed, required=()):
    """Yield what a section should not have, has twice, or lacks."""
    names = [each.name for each in block.body or ()]
    for name in dict.fromkeys(names):
        if name not in allowed:
            yield f"{name} in {block.name}"
        elif names.count(name) > 1:
            yield f"{name} twice in {block.name}"
    for name in required:
        if name not in names:
            yield f"no {name} in {block.name}"


def section(block, name):
    """Return a section of a block, empty where there is none."""
    found = [each for each in block.body or () if each.name == name]
    return found[0] if found else Block(name, "", ())


def pipeline_problems(pipeline):
    """Yield what is wrong with the sections of the pipeline."""
    yield from inside(pipeline, PIPELINE, ("agent", "stages", "options", "triggers", "post"))
    options = section(pipeline, "options")
    yield from inside(options, OPTIONS, ("timeout", "disableConcurrentBuilds", "buildDiscarder"))
    if not re.search(r"time: *[1-9]", section(options, "timeout").arguments):
        yield "timeout without time"
    triggers = section(pipeline, "triggers")
    yield from inside(triggers, TRIGGERS, ("cron",))
    fields = section(triggers, "cron").arguments.strip("()'\"").split()
    if len(fields) != 5 or not all(map(CRON.fullmatch, fields)):
        yield "cron without five fields"
    for each in section(pipeline, "parameters").body:
        if each.name not in PARAMETERS:
            yield f"{each.name} in parameters"
    yield from stages_problems(section(pipeline, "stages"))
    post = section(pipeline, "post")
    yield from inside(post, POST, ("always", "cleanup"))
    always = section(post, "always")
    yield from inside(
        always, {each.name for each in always.body}, ("junit", "archiveArtifacts", "publishHTML")
    )
    if not {each.name for each in section(post, "cleanup").body} & {"cleanWs", "deleteDir"}:
        yield "no cleanWs in cleanup"


def stages_problems(stages):
    """Yield what is wrong with stages, and with what is below them."""
    if not stages.body:
        yield f"no stage in {stages.name}"
    titles = [each.arguments for each in stages.body or ()]
    if len(set(titles)) < len(titles):
        yield f"a stage twice in {stages.name}"
    for stage in stages.body or ():
        if stage.name != "stage" or not re.fullmatch(r"\(?(['\"]).+\1\)?", stage.arguments):
            yield f"{stage.name} without a name in {stages.name}"
        yield from inside(stage, STAGE | WORK)
        work = [each for each in stage.body or () if each.name in WORK]
        if len(work) != 1:
            yield "a stage without steps"
        for each in work:
            if each.name == "steps" and not each.body:
                yield "a stage without steps"
            elif each.name in {"stages", "parallel"}:
                yield from stages_problems(each)


def step_problems(block, targets):
    """Yield what is wrong with the shell commands of a block, and with all below it."""
    for each in block.body or ():
        if each.name in {"bat", "powershell", "script", "withCredentials"}:
            yield f"{each.name} is used"
        if each.name == "sh":
            words = shlex.split(each.arguments.strip("()'\""))
            if len(words) < 2 or words[0] != "make" or not set(words[1:]) <= targets:
                yield f"sh calls {' '.join(words)}"
        if "credentials" in each.arguments:
            yield "credentials are used"
        yield from step_problems(each, targets)


@pytest.fixture(scope="module")
def jenkinsfile(repository):
    """Return the text of the Jenkinsfile."""
    return (repository / "Jenkinsfile").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def targets(repository):
    """Return the names of the targets that the Makefile offers."""
    text = (repository / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z-]+):.*## ", text, re.MULTILINE))


def test_jenkinsfile_is_sound(jenkinsfile, targets):
    """Nothing is wrong with the real one."""
    assert problems_of(jenkinsfile, targets) == []


def test_night_is_a_target(targets):
    """What the checks below rely on is found in the Makefile."""
    assert {"env", "nightly"} <= targets


# What is replaced in the real one, by what, and a problem that this makes.
BROKEN = {
    "bracket": ("post {", "post ", "no Groovy"),
    "quote": ("'make env'", "'make env", "no Groovy"),
    "two pipelines": ("// The night", "pipeline { agent any }\n//", "not exactly one pipeline"),
    "scripted": ("pipeline {", "node {", "not exactly one pipeline"),
    "misspelt section": ("parameters {", "paramters {", "paramters in pipeline"),
    "section twice": (
        "parameters {",
        "tools { }\ntools { }\nparameters {",
        "tools twice in pipeline",
    ),
    "no agent": ("agent any", "", "no agent in pipeline"),
    "misspelt option": ("buildDiscarder(", "discardBuilds(", "discardBuilds in options"),
    "no timeout": ("timeout(time: 5, unit: 'HOURS')", "", "no timeout in options"),
    "timeout of nothing": ("time: 5", "time: 0", "timeout without time"),
    "concurrent builds": ("disableConcurrentBuilds()", "", "no disableConcurrentBuilds in options"),
    "no cron": ("cron('H 0 * * *')", "", "no cron in triggers"),
    "cron of four fields": ("H 0 * * *", "H 0 * *", "cron without five fields"),
    "cron in words": ("H 0 * * *", "every night at 0 o'clock", "no Groovy"),
    "unknown parameter": ("string(", "strnig(", "strnig in parameters"),
    "stage without steps": (
        "steps {\n                sh 'make env'",
        "when {\n  branch 'x'",
        "a stage without steps",
    ),
    "empty steps": ("sh 'make env'", "", "a stage without steps"),
    "steps misspelt": (
        "steps {\n                sh 'make env'",
        "step {\n sh 'make env'",
        "step in stage",
    ),
    "stage twice": ("stage('Night')", "stage('Environment')", "a stage twice in stages"),
    "stage without name": ("stage('Night')", "stage()", "stage without a name in stages"),
    "unknown condition": ("always {", "everytime {", "everytime in post"),
    "no test results": ("junit(testResults:", "echo(message:", "no junit in always"),
    "no artefacts": ("archiveArtifacts(", "fingerprint(", "no archiveArtifacts in always"),
    "no pages": ("publishHTML(", "println(", "no publishHTML in always"),
    "nothing cleaned": ("cleanWs(", "echo(", "no cleanWs in cleanup"),
    "unknown target": ("make nightly", "make nigthly", "sh calls make nigthly"),
    "not make": ("make nightly", "pytest tests", "sh calls pytest tests"),
    "more than make": ("make nightly", "make nightly; rm x", "sh calls make nightly; rm x"),
    "script": ("sh 'make nightly'", "script { sh 'make nightly' }", "script is used"),
    "credentials": (
        "sh 'make nightly'",
        "withCredentials([]) { sh 'make nightly' }",
        "withCredentials is used",
    ),
    "credentials in the environment": (
        "stages {",
        "environment { TOKEN = credentials('token') }\nstages {",
        "credentials are used",
    ),
}


@pytest.mark.parametrize(("old", "new", "problem"), BROKEN.values(), ids=list(BROKEN))
def test_broken_jenkinsfile_is_rejected(old, new, problem, jenkinsfile, targets):
    """Each of these is refused, and for its reason."""
    assert old in jenkinsfile
    assert problem in problems_of(jenkinsfile.replace(old, new, 1), targets)
