#!/bin/sh
# Runs every fuzz target for so many seconds, from the golden files as seeds.
# usage: Fuzz/run.sh [SECONDS] [TARGET...]      (60 seconds, all targets)
# A failing input is left in Fuzz/.build/crashes; feed it to the binary again to see it fail.
set -eu
cd "$(dirname "$0")"
seconds=${1:-60}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- FuzzGGUF FuzzSafetensors FuzzTokenizer FuzzImages FuzzWire FuzzJournal
fixtures=../Tests/Fixtures/Formats

# Swift's own crash reports hang under libFuzzer.
export SWIFT_BACKTRACE=enable=no
# Of two -sanitize options swiftc forgets that the first one asks for coverage.
swift build -c release --sanitize=fuzzer --sanitize=address \
  -Xswiftc -sanitize-coverage=edge,inline-8bit-counters,trace-cmp
mkdir -p .build/crashes
for target in "$@"; do
  case $target in
  FuzzGGUF) seeds=$(find $fixtures -name '*.gguf') ;;
  FuzzSafetensors) seeds=$(find $fixtures -name '*.safetensors' -size -16k) ;;
  FuzzTokenizer) seeds=$(find $fixtures -name '*.json' ! -name '*golden*' ! -name 'unicode*') ;;
  FuzzImages) seeds=$(find $fixtures -name '*.png' -o -name '*.jpg') ;;
  FuzzWire | FuzzJournal) seeds= ;;
  *) echo "unknown target $target" >&2; exit 2 ;;
  esac
  corpus=.build/corpus/$target
  mkdir -p "$corpus"
  for seed in $seeds; do cp "$seed" "$corpus/seed-$(echo "$seed" | tr / _)"; done
  echo "== $target, $seconds s"
  log=.build/$target.log
  if ! .build/release/"$target" "$corpus" -max_total_time="$seconds" -max_len=32768 -timeout=20 \
    -rss_limit_mb=4096 -print_final_stats=1 -verbosity=0 \
    -artifact_prefix=.build/crashes/"$target"- >"$log" 2>&1; then
    cat "$log"
    exit 1
  fi
  if grep -q 'instrumented for coverage' "$log"; then
    echo "$target does not see what an input reaches: it is built without coverage" >&2
    exit 1
  fi
  grep -E '^stat::' "$log"
done
