# Shared by start.sh, stop.sh and the tests. HOST is resolved late: slurmd compares it with its own short name.
DIR=${LMRNN_SLURM_DIR:-/var/tmp/lmrnn-slurm}
ETC=/etc/slurm
NODES=4
GPUS=2
HOST=$(hostname -s)
FIRST_PORT=36901
DATABASE_PORT=33061
