# All that goes wrong by itself; the tests look at how often it was tried and what is said of it.
STATUSES = {"plain75": (0, 75), "plain140": (0, 140), "plain1": (0, 1), "resumable1": (1, 1)}


rule all:
    input:
        expand("{how}.status", how=STATUSES),
        *("x,y.name", "ok.name", "good.txt", "bad.txt"),


rule status:
    output:
        "{how}.status",
    params:
        status=lambda wildcards: STATUSES[wildcards.how][1],
    resources:
        resumable=lambda wildcards: STATUSES[wildcards.how][0],
    shell:
        "echo x >> {wildcards.how}.tries; exit {params.status}"


rule named:
    output:
        "{name}.name",
    shell:
        "touch {output:q}"


rule good:
    output:
        "good.txt",
    group:
        "g"
    retries: 1
    shell:
        "echo start >> diary; sleep 3; echo end >> diary; touch {output}"


rule bad:
    output:
        "bad.txt",
    group:
        "g"
    retries: 1
    shell:
        "sleep 0.5; exit 3"
