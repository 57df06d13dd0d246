#!/usr/bin/env bash
# The tests of the rooms that hold pointers under AddressSanitizer, and of those that hold threads
# under ThreadSanitizer. Build folders of their own, so that the release build stays.
set -euo pipefail
cd "$(dirname "$0")/.."
export ASAN_OPTIONS=detect_leaks=0
common=(-c release -Xswiftc -enable-testing --disable-xctest)
swift test "${common[@]}" --sanitize=address --scratch-path .build-address \
  --filter '^(Kernels|Formats|Transformer|Protocol|Transport|Journal)Tests'
# THREAD_SANITIZER: a lock that it understands, see Transport/Guarded.swift. What it takes for a race on
# the one empty array that all of Swift shares is the same value written again.
mkdir -p .build-thread
echo 'race:_swiftEmptyArrayStorage' >.build-thread/suppressions
export TSAN_OPTIONS="suppressions=$PWD/.build-thread/suppressions"
swift test "${common[@]}" -Xswiftc -DTHREAD_SANITIZER --sanitize=thread --scratch-path .build-thread \
  --filter '^(Kernels|Transformer|Transport|Store|Coordinator|Worker)Tests'
