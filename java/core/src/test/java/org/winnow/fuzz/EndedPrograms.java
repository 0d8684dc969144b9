package org.winnow.fuzz;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.winnow.AnotherMemory;
import org.winnow.Backend;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.attention.MlaAttention;
import org.winnow.attention.MlaWorkspace;
import org.winnow.cpu.CpuBackend;
import org.winnow.cpu.InstructionSet;
import org.winnow.cpu.Probe;
import org.winnow.layer.Linear;
import org.winnow.moe.ResidentExperts;
import org.winnow.op.Activation;
import org.winnow.op.Add;
import org.winnow.op.ExpertPlan;
import org.winnow.op.GroupedGemm;
import org.winnow.op.KvCache;
import org.winnow.op.Rope;
import org.winnow.op.Routing;

/**
 * Programs that once ended the JVM, each of a few lines: now an exception tells them what is wrong.
 */
final class EndedPrograms {
  // freed memory of 2 MiB and more is unmapped at once: a read of it cannot go unnoticed
  private static final int ROWS = 1024;
  private static final int COLUMNS = 1024;

  private EndedPrograms() {}

  /** Exit status 0 if the named program got the exception that it should. */
  public static void main(String[] arguments) {
    Backend backend = new CpuBackend();
    try {
      run(arguments[0], backend);
    } catch (IllegalStateException | IllegalArgumentException e) {
      System.out.println(e.getMessage());
      System.exit(0);
    }
    System.out.println("no exception");
    System.exit(2);
  }

  private static void run(String program, Backend backend) {
    switch (program) {
      case "addendOfOneElement" -> Add.run(backend, Tensor.f32(64_000, 1000), Tensor.f32(1, 1));
      case "closedWeightOfExperts" -> closedWeight(backend);
      case "closedLatentUp" -> closedLatentUp(backend);
      case "closedActiveExperts" -> closedActiveExperts(backend);
      case "closedExpertIds" -> closedExpertIds();
      case "probeOfAnotherMemory" -> probeOfAnotherMemory(backend);
      case "indicesThatChange" -> indicesThatChange(backend);
      case "outputOverIndices" -> outputOverIndices();
      case "offsetsThatDoNotAscend" -> offsetsThatDoNotAscend();
      default -> throw new AssertionError("no such program: " + program);
    }
  }

  private static void closedWeight(Backend backend) {
    Tensor gate = Tensor.f32(1, ROWS, COLUMNS);
    ResidentExperts experts =
        ResidentExperts.stacked(gate, Tensor.f32(1, ROWS, COLUMNS), Tensor.f32(1, COLUMNS, ROWS));
    gate.close();
    GroupedGemm.runSingle(
        backend, Tensor.f32(4, COLUMNS), experts.gateUp(), Activation.SILU, Tensor.f32(4, ROWS));
  }

  private static void closedLatentUp(Backend backend) {
    int latent = COLUMNS;
    int half = ROWS / 2;
    Tensor latentUp = Tensor.f32(ROWS, latent);
    MlaAttention attention =
        new MlaAttention(
            new MlaAttention.Geometry(1, half, 2, half, 1f, 1e-5f, Rope.Layout.INTERLEAVED),
            new MlaAttention.Weights(
                null,
                null,
                new Linear(Tensor.f32(half + 2, 8), null),
                new Linear(Tensor.f32(latent + 2, 8), null),
                Tensor.f32(latent),
                latentUp,
                new Linear(Tensor.f32(8, half), null)));
    latentUp.close();
    attention.run(
        backend,
        Tensor.f32(1, 8),
        KvCache.ofLatents(1, latent, 2, 10),
        0,
        Tensor.f32(1, 1),
        Tensor.f32(1, 1),
        new MlaWorkspace(),
        Tensor.f32(1, 8));
  }

  private static void closedActiveExperts(Backend backend) {
    int experts = 1 << 20;
    Routing routing = new Routing();
    routing.set(new int[] {0, 1}, new int[] {experts - 1}, new float[] {1});
    ExpertPlan plan = new ExpertPlan();
    plan.build(backend, routing, experts);
    plan.activeExperts().close();
    plan.activeExpert(0);
  }

  private static void closedExpertIds() {
    int rows = 1 << 20;
    Routing routing = new Routing();
    routing.set(new int[] {0, rows}, new int[rows], new float[rows]);
    routing.expertIds().close();
    routing.distinctExperts(new int[1]);
  }

  private static void probeOfAnotherMemory(Backend backend) {
    Tensor elsewhere = Tensor.allocate(AnotherMemory.create(), DType.F32, 1024);
    Probe.readBytesPerSecond((CpuBackend) backend, elsewhere);
  }

  /** Another thread writes a row that is not there while the operation runs, after its check. */
  private static void indicesThatChange(Backend backend) {
    int rows = 4096;
    Tensor sourceRows = Tensor.allocate(DType.I32, rows);
    Thread writer =
        new Thread(
            () -> {
              for (; ; ) {
                sourceRows.setInt(rows - 1, 1 << 30);
                sourceRows.setInt(rows - 1, 0);
              }
            });
    writer.setDaemon(true);
    writer.start();
    Tensor weight = Tensor.f32(1, 16, 16);
    ResidentExperts experts = ResidentExperts.stacked(weight, null, weight);
    Tensor input = Tensor.f32(1, 16);
    Tensor output = Tensor.f32(rows, 16);
    Tensor offsets = Tensor.of(new int[] {0, rows}, 2);
    Tensor active = Tensor.of(new int[] {0}, 1);
    for (int call = 0; call < 20_000; call++) {
      try {
        GroupedGemm.run(
            backend,
            input,
            sourceRows,
            offsets,
            active,
            1,
            experts.gateUp(),
            Activation.NONE,
            output);
      } catch (RuntimeException e) { // seen by the check
        continue;
      }
    }
    throw new IllegalStateException("20000 calls, none of which read outside");
  }

  /** What the first expert computes lands where the second one's number is. */
  private static void outputOverIndices() {
    ByteBuffer shared = ByteBuffer.allocateDirect(64).order(ByteOrder.nativeOrder());
    Tensor active = Tensor.wrap(shared, DType.I32, 2).copyFrom(new int[] {0, 1});
    Tensor output =
        Tensor.wrap(shared.duplicate().order(shared.order()).position(4), DType.F32, 2, 1);
    Tensor weight = Tensor.of(new float[] {1e9f, 1e9f}, 2, 1, 1);
    GroupedGemm.run(
        new CpuBackend(InstructionSet.best(), 1),
        Tensor.of(new float[] {1, 1}, 2, 1),
        null,
        Tensor.of(new int[] {0, 1, 2}, 3),
        active,
        2,
        ResidentExperts.stacked(weight, null, weight).gateUp(),
        Activation.NONE,
        output);
  }

  private static void offsetsThatDoNotAscend() {
    int tokens = 1000;
    int[] offsets = new int[tokens + 1];
    for (int t = 0; t <= tokens; t++) offsets[t] = t;
    Routing routing = new Routing();
    routing.set(offsets, new int[tokens], new float[tokens]);
    routing.tokenOffsets().copyFrom(new int[tokens + 1]);
    routing.distinctExperts(new int[1]);
  }
}
