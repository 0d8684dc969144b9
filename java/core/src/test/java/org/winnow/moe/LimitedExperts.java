package org.winnow.moe;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.winnow.ExpertReadException;
import org.winnow.op.ExpertMatrices;

/**
 * Real experts with a limit on how many can be acquired at once. Those acquired last count as
 * resident. The n-th acquire fails on demand.
 */
class LimitedExperts implements Experts {
  final List<List<Integer>> waves = new ArrayList<>();
  List<Integer> lastOfFirstRound;
  int numAcquired;
  int failAt = Integer.MAX_VALUE;
  private final ResidentExperts all;
  private final int slots;
  private List<Integer> resident = List.of();

  LimitedExperts(ResidentExperts all, int slots) {
    this.all = all;
    this.slots = slots;
  }

  @Override
  public int numExperts() {
    return all.numExperts();
  }

  @Override
  public long hiddenSize() {
    return all.hiddenSize();
  }

  @Override
  public long intermediateSize() {
    return all.intermediateSize();
  }

  @Override
  public int maxPinned() {
    return slots;
  }

  @Override
  public boolean isResident(int expert) {
    return resident.contains(expert);
  }

  @Override
  public void acquire(int[] expertIds, int count) {
    assertThat(count).isBetween(1, slots);
    if (waves.size() + 1 == failAt)
      throw new ExpertReadException(Path.of("experts"), "expert " + expertIds[0], 0, 1, 0, null);
    all.acquire(expertIds, count);
    numAcquired++;
    resident = Arrays.stream(expertIds, 0, count).boxed().toList();
    waves.add(resident);
  }

  @Override
  public void hint(int[] expertIds, int count) {
    throw new AssertionError("reading ahead is the caller's to ask for");
  }

  @Override
  public ExpertMatrices gateUp() {
    return all.gateUp();
  }

  @Override
  public ExpertMatrices down() {
    return all.down();
  }

  @Override
  public void release() {
    numAcquired--;
    all.release();
  }
}
