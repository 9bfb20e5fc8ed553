# The shape of Snakemake's tutorial with nothing but awk and sort: map reads to a genome, sort, index, call, plot.
SAMPLES = ["A", "B", "C"]


localrules:
    data,


rule all:
    input:
        "plots/quals.svg",


rule data:
    output:
        genome="data/genome.txt",
        reads=expand("data/samples/{sample}.txt", sample=SAMPLES),
    run:
        genome = "ACGTTGCAAGCTTACGGATCCATGCAAT"
        with open(output.genome, "w") as out:
            print(genome, file=out)
        for shift, path in enumerate(output.reads):
            with open(path, "w") as out:
                for start in range(shift, len(genome) - 10, 3):
                    # all samples differ from the genome at one place
                    print((genome[:12] + "G" + genome[13:])[start : start + 10], file=out)


rule map:
    input:
        "data/genome.txt",
        "data/samples/{sample}.txt",
    output:
        temp("mapped_reads/{sample}.txt"),
    params:
        mismatches=1,
    log:
        "logs/map/{sample}.log",
    threads: 2
    shell:
        r"""awk 'NR == FNR {{ genome = $0; next }}
        {{ for (at = 1; at <= length(genome) - length($0) + 1; at++) {{
            bad = 0; for (i = 1; i <= length($0); i++) bad += substr($0, i, 1) != substr(genome, at + i - 1, 1)
            if (bad <= {params.mismatches}) print at, $0 }} }}' {input} > {output} 2> {log}"""


rule sort:
    input:
        "mapped_reads/{sample}.txt",
    output:
        protected("sorted_reads/{sample}.txt"),
    shell:
        "sort -n {input} > {output}"


rule index:
    input:
        "sorted_reads/{sample}.txt",
    output:
        "sorted_reads/{sample}.txt.idx",
    shell:
        "wc -l < {input} > {output}"


rule call:
    input:
        genome="data/genome.txt",
        mapped=expand("sorted_reads/{sample}.txt", sample=SAMPLES),
        index=expand("sorted_reads/{sample}.txt.idx", sample=SAMPLES),
    output:
        "calls/all.txt",
    shell:
        r"""awk 'NR == FNR {{ genome = $0; next }}
        {{ for (i = 1; i <= length($2); i++) if (substr($2, i, 1) != substr(genome, $1 + i - 1, 1))
            seen[$1 + i - 1 " " substr($2, i, 1)]++ }}
        END {{ for (one in seen) print one, seen[one] }}' {input.genome} {input.mapped} > {output}"""


rule plot:
    input:
        "calls/all.txt",
    output:
        "plots/quals.svg",
    script:
        "scripts/plot_quals.py"
