#!/bin/sh
# Makes Sources/CProtocol from proto/*.proto with protoc-c (Debian: protobuf-c-compiler).
# With an argument: into that folder instead (a test compares the two).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
target=${1:-$here/../Sources/CProtocol}
mkdir -p "$target/include"
cd "$here"
protoc-c --c_out="$target" common.proto worker.proto coordinator.proto bulk.proto
mv "$target"/*.pb-c.h "$target/include/"
