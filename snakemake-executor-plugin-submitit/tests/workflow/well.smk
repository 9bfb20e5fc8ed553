# All that a workflow may be made of and that ends well; the tests look at what it leaves.
LONG = [f"in/{'x' * 80}{index}.txt" for index in range(3000)]
ODD = "results/r'$(touch EXECUTED)"


envvars:
    "ODD",


wildcard_constraints:
    i=r"\d",


rule all:
    input:
        *("last.txt", "dir", "z (1).txt", "shadow.txt", "piped.txt", "run.txt", "background.txt", "many.txt"),
        *("retried.txt", "resumed.txt", "served.txt", "software.txt"),
        expand("g{i}.txt", i=range(3)),
        f"{ODD}/b `touch EXECUTED` ü.txt",
        "it's $(touch EXECUTED).group",


checkpoint split:
    output:
        directory("dir"),
    shell:
        "mkdir {output}; touch {output}/1.part {output}/2.part"


def parts(wildcards):
    """What only the checkpoint knows."""
    folder = checkpoints.split.get().output[0]
    return expand(folder + "/{n}.part", n=glob_wildcards(folder + "/{n}.part").n)


rule last:
    input:
        parts,
    output:
        "last.txt",
    shell:
        "ls {input} > {output}"


rule passing:
    output:
        temp("passing.txt"),
    shell:
        "touch {output}"


rule marked:
    input:
        "passing.txt",
    output:
        update("z (1).txt"),
    shell:
        "echo x >> {output:q}"


rule shadowed:
    output:
        "shadow.txt",
    shadow:
        "minimal"
    shell:
        "touch litter.txt {output}"


rule writer:
    output:
        pipe("fifo"),
    shell:
        "echo hello > {output}"


rule reader:
    input:
        "fifo",
    output:
        "piped.txt",
    shell:
        "cat {input} > {output}"


rule server:
    output:
        service("socket"),
    shell:
        "echo served > {output}; trap 'touch server-ended; exit' TERM; while :; do sleep 0.2; done"


rule client:
    input:
        "socket",
    output:
        "served.txt",
    shell:
        "cp {input} {output}"


rule software:
    output:
        "software.txt",
    envmodules:
        "tool/1.0",
    shell:
        "touch {output}"


rule grouped:
    output:
        "g{i}.txt",
    group:
        "g"
    shell:
        "sleep 0.2; touch {output}"


rule run:
    output:
        "run.txt",
    run:
        open(output[0], "w").close()


rule background:
    output:
        "background.txt",
    shell:
        "sleep 300 & echo $! > pid; touch {output}"


rule many:
    input:
        LONG,
    output:
        "many.txt",
    run:
        with open(output[0], "w") as out:
            print(len(input), file=out)


rule retried:
    output:
        "retried.txt",
    retries: 2
    resources:
        runtime=lambda wildcards, attempt: 10 * attempt,
        mem_mb=lambda wildcards, attempt: 100 * attempt,
    shell:
        "echo {resources.runtime} >> retried.tries; [ $(wc -l < retried.tries) = 3 ] && touch {output}"


rule resumed:
    output:
        "resumed.txt",
    resources:
        resumable=1,
    shell:
        "echo x >> resumed.tries; [ $(wc -l < resumed.tries) -ge 3 ] && touch {output} || exit 75"


rule odd_a:
    output:
        f"{ODD}/a.txt",
    shell:
        'printf %s "$ODD" > {output:q}'


rule odd_b:
    input:
        f"{ODD}/a.txt",
    output:
        f"{ODD}/b {{name}} ü.txt",
    shell:
        "cp {input:q} {output:q}"


rule hostile_a:
    output:
        "{name}.tmp",
    group:
        "h"
    run:
        open(output[0], "w").close()


rule hostile_b:
    input:
        "{name}.tmp",
    output:
        "{name}.group",
    group:
        "h"
    shadow:
        "minimal"
    shell:
        'touch litter.txt; printf %s "$ODD" > {output:q}'
