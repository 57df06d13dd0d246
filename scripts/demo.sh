#!/usr/bin/env bash
# A whole run of competitive distillation on the embedded world: three workers, of which one is killed
# in the middle and a fourth joins. Usage: demo.sh COMD [RUN]
set -euo pipefail
comd="$1"
run="${2:-runs/demo}"
cd "$(dirname "$0")/.."
if [ ! -f Models/shapes/teacher/model.safetensors ]; then
  echo "demo: Models/shapes is not there; \`$comd shapes build\` makes it" >&2
  exit 1
fi
rm -rf "$run"
mkdir -p "$run"

[ -f runs/shapes-data/evaluation.jsonl ] ||
  "$comd" shapes sample --count 1050 --questions 6 --captions 1200 --evaluation 12 --out runs/shapes-data
"$comd" run --config Examples/shapes/cluster.yaml --dir "$run" --workers 3 &
run_pid=$!
trap 'kill -TERM "$run_pid" 2>/dev/null || true' INT TERM

phase() { "$comd" status --dir "$run" --json 2>/dev/null | sed -nE 's/.*"phase":"([^"]*)".*/\1/p'; }

# Kill one worker with SIGKILL in the middle of the first tuning, and let another join.
killed=""
joined=""
while kill -0 "$run_pid" 2>/dev/null; do
  if [ -z "$killed" ] && phase | grep -q 'tuning'; then
    victim=$(sed -nE 's/.*"w2": *([0-9]+).*/\1/p' "$run/pids.json")
    kill -KILL "$victim"
    killed=yes
    echo "demo: killed worker w2 (process $victim) with SIGKILL" >&2
    "$comd" worker --access "$run/keys/workers/w4.access" --dir "$run/workers/w4" \
      >"$run/workers/w4.log" 2>&1 &
    joined=$!
    echo "demo: worker w4 joins (process $joined)" >&2
  fi
  sleep 0.5
done
status=0
wait "$run_pid" || status=$?
if [ -n "$joined" ]; then kill -TERM "$joined" 2>/dev/null || true; fi
exit "$status"
