#!/usr/bin/env bash
# Package: gcc-12 12.2.0-14+deb12u1 (Debian 12), x86-64; unpacked into a temporary folder, nothing is run on AMX hardware.
#
# Behaviour: the intrinsics _tile_loadd and _tile_loadconfig are assembly that does not say that it reads memory. With -O2 a store to the memory of the
# tile is dropped if a later store overwrites it, although the tile load in between reads it.
#
# Expected: stores before a tile load are made before it, as for every other load intrinsic of the same compiler.
#
# Output seen:
#   _mm_loadu_si128: stores before the load: 1
#   _tile_loadd: stores before the load: 0
#
# Why it matters: a kernel that fills a buffer for a tile and uses the buffer again multiplies other numbers, depending on what the optimiser sees. An
# asm volatile("" ::: "memory") before loads and after stores of tiles keeps the order; native/cpu has them.
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

cat >stores.c <<'C'
#include <immintrin.h>

__m128i by_vector(volatile __m128i *sink, char *buffer) {
  buffer[0] = 42;
  __m128i loaded = _mm_loadu_si128((const __m128i *)buffer);
  buffer[0] = 7;
  return loaded;
}

void by_tile(char *buffer) {
  buffer[0] = 42;
  _tile_loadd(0, buffer, 64);
  buffer[0] = 7;
}
C
"${gcc[@]}" -O2 -mamx-tile -S -o stores.s stores.c

# stores FUNCTION LOAD: how often 42 is stored in it before that instruction.
stores() {
  sed -n "/^$1:/,/ret/p" stores.s | sed "/$2/q" | grep -c '\$42' || true
}
vector=$(stores by_vector movdqu)
tile=$(stores by_tile tileloadd)
echo "_mm_loadu_si128: stores before the load: $vector"
echo "_tile_loadd: stores before the load: $tile"
[[ "$vector" == 1 && "$tile" == 0 ]]
