#!/usr/bin/env bash
# Makes .build/peers, the Python that runs the peers, unless $COMD_PYTHON names one.
# llama.cpp is compiled for this very processor: several minutes. By clang, which Swift brings: what
# gcc 12 makes of its tiles (AMX) ends with an illegal instruction. PIP_EXTRA_INDEX_URL may name
# PyTorch's index of builds without CUDA, which are smaller.
set -euo pipefail
cd "$(dirname "$0")/../.."
if [ -n "${COMD_PYTHON:-}" ]; then
  echo "peers: $COMD_PYTHON"
  exit 0
fi
peers=.build/peers
if cmp -s Benchmarks/peers/requirements.txt "$peers/requirements.txt"; then exit 0; fi
python3 -m venv "$peers"
CC=clang CXX=clang++ CMAKE_ARGS="-DGGML_NATIVE=ON -DLLAVA_BUILD=OFF" "$peers/bin/pip" install --quiet \
  --no-binary llama-cpp-python -r Benchmarks/peers/requirements.txt
cp Benchmarks/peers/requirements.txt "$peers/requirements.txt"
