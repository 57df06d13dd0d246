#!/usr/bin/env bash
# The tests of the rooms that hold pointers under AddressSanitizer, and of those that hold threads
# under ThreadSanitizer. Build folders of their own, so that the release build stays.
set -euo pipefail
cd "$(dirname "$0")/.."
export ASAN_OPTIONS=detect_leaks=0
common=(-c release -Xswiftc -enable-testing --disable-xctest)
swift test "${common[@]}" --sanitize=address --scratch-path .build-address \
  --filter '^(Kernels|Formats|Transformer|Protocol|Transport)Tests'
swift test "${common[@]}" --sanitize=thread --scratch-path .build-thread \
  --filter '^(Kernels|Transformer|Transport|Store|Coordinator|Worker)Tests'
