#!/usr/bin/env bash
# Package: gcc-12 12.2.0-14+deb12u1 (Debian 12), x86-64; unpacked into a temporary folder, nothing is run.
#
# Behaviour: a function that does nothing but prefetch counts as one without effects. Where it is not inlined, its calls are removed: at every level for
# a function that must not be inlined, at -O1 for any static one that holds a loop. No warning says so.
#
# Expected: what __builtin_prefetch and _mm_prefetch request is requested, as it is where the same loop stands in the caller.
#
# Output seen:
#   loop in the caller, -O2: prefetches 4
#   loop in a function that must not be inlined, -O2: prefetches requested by the caller 0
#   loop in a static function, -O1: prefetches 0
#
# Why it matters: a kernel whose requests sit in a helper measures as if prefetching had no use, and a comparison of prefetch distances compares equal
# programs. native/cpu keeps requests in loops that also compute, or unrolled in place; count them in the object file before measuring.
set -euo pipefail
version=12.2.0-14+deb12u1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

apt-get download -q "gcc-12=$version" "cpp-12=$version" "libgcc-12-dev=$version" libisl23 libmpc3 libmpfr6 libgmp10 libzstd1 >/dev/null 2>&1
for package in *.deb; do dpkg -x "$package" root; done
LD_LIBRARY_PATH=$(dirname "$(find "$work/root" -name "libisl.so*" | head -n 1)")
export LD_LIBRARY_PATH
gcc=("$(find root -name x86_64-linux-gnu-gcc-12)" -B "$(dirname "$(find root -name cc1)")/")

# program QUALIFIER: a sum that requests what it reads later, by a helper of that kind.
program() {
  cat <<C
$1 void request(const char *at, int lines) {
  for (int i = 0; i < lines; i++) __builtin_prefetch(at + 64 * i, 0, 2);
}

float sum(const float *values, long size) {
  float sum = 0;
  for (long i = 0; i < size; i++) {
    sum += values[i];
    request((const char *)(values + i), 4);
  }
  return sum;
}
C
}

# prefetches LEVEL QUALIFIER: prefetches in sum, and calls of the helper.
prefetches() {
  program "$2" >program.c
  "${gcc[@]}" "$1" -S -o program.s program.c
  sed -n '/^sum:/,/\.size\tsum/p' program.s | grep -cE 'prefetch|call.*request' || true
}
inlined=$(prefetches -O2 'static inline __attribute__((always_inline))')
apart=$(prefetches -O2 'static __attribute__((noinline))')
small=$(prefetches -O1 'static')
echo "loop in the caller, -O2: prefetches $inlined"
echo "loop in a function that must not be inlined, -O2: prefetches requested by the caller $apart"
echo "loop in a static function, -O1: prefetches $small"
[[ "$inlined" == 4 && "$apart" == 0 && "$small" == 0 ]]
