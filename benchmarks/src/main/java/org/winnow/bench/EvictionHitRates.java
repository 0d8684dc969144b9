package org.winnow.bench;

import java.io.IOException;
import java.util.Locale;
import org.winnow.memory.EvictionPolicy;
import org.winnow.memory.RoutingTrace;

/**
 * Hit rates of every policy beside Belady's bound, on the recorded routing of models/kjv-moe: 4
 * layers of 32 experts, 4 chosen per token and layer.
 */
public final class EvictionHitRates {
  private EvictionHitRates() {}

  public static void main(String[] args) throws IOException {
    Usage usage = new Usage("EvictionHitRates [TOKENS]");
    usage.require(args.length <= 1);
    RoutingTrace trace = RoutingTrace.ofKjvMoe(usage.count(args, 0, Integer.MAX_VALUE));
    int numExperts = trace.numLayers * trace.expertsPerLayer;
    System.out.printf(
        "%d tokens%n%8s %8s %8s %8s %8s %8s %8s %8s %8s%n",
        trace.numTokens,
        "budget",
        "LRU",
        "LFU",
        "LFRU 16",
        "LFRU 64",
        "LFRU 128",
        "LFRU 256",
        "default",
        "Belady");
    for (int percent : new int[] {10, 25, 50, 75}) {
      int numSlots = numExperts * percent / 100;
      System.out.printf(
          Locale.ROOT,
          "%7d%% %8.3f %8.3f %8.3f %8.3f %8.3f %8.3f %8.3f %8.3f%n",
          percent,
          trace.hitRate(EvictionPolicy.lru(), numSlots),
          trace.hitRate(EvictionPolicy.lfu(), numSlots),
          trace.hitRate(EvictionPolicy.lfru(16), numSlots),
          trace.hitRate(EvictionPolicy.lfru(64), numSlots),
          trace.hitRate(EvictionPolicy.lfru(128), numSlots),
          trace.hitRate(EvictionPolicy.lfru(256), numSlots),
          trace.hitRate(EvictionPolicy.lfru(), numSlots),
          trace.beladyHitRate(numSlots));
    }
  }
}
