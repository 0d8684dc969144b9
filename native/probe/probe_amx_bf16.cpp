#include "base/amx_tiles.h"
#include "probe_loops.h"

namespace winnow {

namespace {

constexpr int kChains = 4;

double multiply_add(int64_t num_rounds) {
  const Tiles tiles([](int) { return kTileRows; });
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_zero(4);
  _tile_zero(5);
  _tile_zero(6);
  _tile_zero(7);
  for (int64_t i = 0; i < num_rounds * kProbeRoundLength; ++i) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  alignas(64) float sums[256];
  _tile_stored(0, sums, 64);
  order_memory();
  return sums[0];
}

}  // namespace

// Reads with avx512's loop.
ProbeLoops probe_loops_amx_bf16() { return {multiply_add, kChains * 16 * 16 * 32 * 2, probe_loops_avx512().read}; }

}  // namespace winnow
