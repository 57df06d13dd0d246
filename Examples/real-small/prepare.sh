#!/usr/bin/env bash
# Makes everything that Examples/real-small.yaml names, in models/real-small: fetches the weights,
# assembles teacher and student, and turns the pictures and questions of a data folder into pools.
# usage: prepare.sh DATA      (DATA holds scienceqa/ and flickr8k_1000/; default: $COMD_DATA_DIR)
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
top="$(cd "$here/../.." && pwd)"
data="${1:-${COMD_DATA_DIR:-}}"
[ -n "$data" ] || { echo "prepare.sh: say where the data is: prepare.sh DATA" >&2; exit 2; }
out="$top/models/real-small"
python="${PYTHON:-python3}"
comd="${COMD:-$top/.build/release/comd}"

"$python" "$here/fetch.py" "$out/weights"
"$python" "$here/pools.py" "$data" "$out/data"
# SmolLM2 has no token for pictures: one of its control tokens that no dialogue uses stands for them.
assemble() {
  [ -e "$out/$1/config.json" ] && return
  "$comd" model assemble --language "$out/weights/SmolLM2-135M-Instruct.Q4_1.gguf" \
    --vision "$out/weights/dinov2-vit-s14" --projector mlp2x_gelu --image-token "<empty_output>" \
    --seed 1 "${@:2}" --out "$out/$1"
}
assemble teacher
assemble student --layers 12
echo "ready: $comd run --config Examples/real-small.yaml --dir runs/real-small --workers 2"
