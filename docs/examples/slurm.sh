#!/bin/bash
# The DiT on two machines of eight GPUs under Slurm: sbatch docs/examples/slurm.sh, from the repository's root.
# One launcher a machine. Ten minutes before the time is over all processes finish their step and save; the job
# goes back into the queue and continues from there.
#SBATCH --job-name=sao-dit
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=64
#SBATCH --time=24:00:00
#SBATCH --signal=USR1@600
#SBATCH --requeue
#SBATCH --open-mode=append
set -u

export PER_MACHINE=${PER_MACHINE:-8}
export RUN_COMMAND=${RUN_COMMAND:-pipelines/train_dit.py --config manifests/training/dit.toml --data /data/sao --vae /runs/vae --out /runs/dit}
export TORCH_ELASTIC_SHUTDOWN_TIMEOUT=540  # seconds that a launcher gives its processes; its default is 30
MAIN=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
export MAIN

machine() {
  stopped=0
  # SIGUSR1 ends a launcher and leaves its processes behind: it has to ignore it, and is told SIGTERM instead,
  # which it passes on. The processes may get both; the second is of no effect.
  (
    trap "" USR1
    exec accelerate launch --multi_gpu --num_machines "$SLURM_NNODES" --machine_rank "$SLURM_NODEID" \
      --num_processes $((SLURM_NNODES * PER_MACHINE)) --main_process_ip "$MAIN" --main_process_port "${PORT:-29500}" \
      --same_network --mixed_precision no --dynamo_backend no $RUN_COMMAND
  ) &
  launcher=$!
  trap 'stopped=1; kill -TERM $launcher' USR1 TERM
  wait $launcher
  status=$?
  while kill -0 $launcher 2>/dev/null; do # a signal ends the wait, not the launcher
    wait $launcher
    status=$?
  done
  if [ $status -ne 0 ] && [ $stopped -eq 1 ]; then exit 4; fi
  exit $status
}

srun --kill-on-bad-exit=1 bash -c "$(declare -f machine); machine" # one that fails ends the others, which wait for it
status=$?
if [ $status -eq 4 ]; then scontrol requeue "$SLURM_JOB_ID"; fi
exit $status
