"""From Snakemake's text for a shell to words, without a shell."""

import json
import subprocess
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from snakemake.target_jobs import parse_target_jobs_cli_args
from snakemake_executor_plugin_submitit.identity import uncarried
from snakemake_executor_plugin_submitit.words import words
from snakemake_interface_executor_plugins.utils import (
    TargetSpec,
    encode_target_jobs_cli_args,
    format_cli_arg,
    join_cli_args,
)

TEXT = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), min_size=1)


def is_taken_for_quoted(text):
    """Snakemake passes on as it is what looks quoted to it."""
    return text[0] in "'\"" and ("'" in text[2:] or '"' in text[2:])


@given(st.lists(TEXT.filter(lambda text: not is_taken_for_quoted(text)), min_size=1))
def test_every_text_arrives_as_it_was(texts):
    line = join_cli_args([format_cli_arg("--config", texts), format_cli_arg("--retries", 3)])
    assert words(line) == ["--config", *texts, "--retries", "3"]


@given(st.lists(st.text("abc ./'\"$`(){};&|<>*?~#!", min_size=1).map(lambda name: Path("/") / name), min_size=1))
def test_every_path_arrives_as_it_was(paths):
    assert words(format_cli_arg("--configfiles", paths)) == ["--configfiles", *map(str, paths)]


def test_nothing_is_evaluated(tmp_path):
    value = f"it's $(touch {tmp_path}/EXECUTED) `touch {tmp_path}/EXECUTED` \\n"
    line = format_cli_arg("--config", [value])
    assert words(line) == ["--config", value]
    done = subprocess.run(["printf", "%s", words(line)[1]], capture_output=True, text=True, check=True)
    assert done.stdout == value
    assert not (tmp_path / "EXECUTED").exists()


class Job:
    """A job of one rule with some wildcards, as Snakemake names it to another Snakemake."""

    def __init__(self, wildcards):
        self.specs = [TargetSpec("rule", wildcards)]

    def get_target_spec(self):
        return self.specs


@given(st.dictionaries(st.from_regex(r"[a-z]\w*", fullmatch=True), st.text(st.sampled_from("ab ,='\"\n:ü$`\\"))))
def test_wildcards_arrive_as_they_were_or_are_refused(wildcards):
    job = Job(wildcards)
    if uncarried(job) is not None:
        return
    [words_of_job] = json.loads(json.dumps(encode_target_jobs_cli_args(job.get_target_spec())))
    [spec] = parse_target_jobs_cli_args([words_of_job])
    assert (spec.rulename, dict(spec.wildcards_dict)) == ("rule", wildcards)
