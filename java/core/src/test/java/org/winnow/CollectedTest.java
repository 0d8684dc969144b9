package org.winnow;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.winnow.cpu.CpuBackend;
import org.winnow.cpu.InstructionSet;
import org.winnow.moe.ResidentExperts;

/** What is collected without having been closed is released, and nothing that is still used. */
@Timeout(60)
class CollectedTest {
  private static final int NUM_ELEMENTS = 1 << 20; // 4 MiB: given back to the system when freed

  @Test
  void aTensorFreesItsMemoryWithItsLastView() throws Exception {
    ScarceMemory memory = new ScarceMemory();
    Tensor view = Tensor.of(memory.memory(), new float[] {1, 2, 3, 4}, 4).slice(1, 3);
    collect();
    assertThat(view.toFloatArray()).containsExactly(2, 3);
    assertThat(memory.usedBytes()).isEqualTo(16);
    view = null;
    awaitTrue(() -> memory.usedBytes() == 0);
  }

  @Test
  void aClosedTensorIsFreedOnce() throws Exception {
    ScarceMemory memory = new ScarceMemory();
    for (int i = 0; i < 100; i++) Tensor.f32(4).close();
    for (int i = 0; i < 100; i++) Tensor.allocate(memory.memory(), DType.F32, 4).close();
    collect(); // to free an address again throws in this memory
    assertThat(memory.usedBytes()).isZero();
  }

  @Test
  void aBufferOutlivesItsTensor() throws Exception {
    ByteBuffer buffer = Tensor.f32(NUM_ELEMENTS).fill(7).asByteBuffer();
    collect(); // memory that was freed would end the JVM
    assertThat(buffer.getFloat(4 * (NUM_ELEMENTS - 1))).isEqualTo(7);
  }

  @Test
  void expertsKeepTheirMatrices() throws Exception {
    ScarceMemory memory = new ScarceMemory();
    ResidentExperts experts = experts(memory.memory());
    collect();
    assertThat(memory.usedBytes()).isGreaterThanOrEqualTo(3 * 16);
    experts.acquireAll();
    experts.release();
  }

  private static ResidentExperts experts(TensorMemory memory) {
    return ResidentExperts.stacked(
        Tensor.allocate(memory, DType.F32, 1, 2, 2),
        Tensor.allocate(memory, DType.F32, 1, 2, 2),
        Tensor.allocate(memory, DType.F32, 1, 2, 2));
  }

  @Test
  void theThreadsOfABackendEnd() throws Exception {
    collect();
    long before = numThreads();
    for (int i = 0; i < 5; i++) new CpuBackend(InstructionSet.best(), 9);
    awaitTrue(() -> numThreads() <= before + 4);
  }

  private static long numThreads() throws Exception {
    try (Stream<Path> tasks = Files.list(Path.of("/proc/self/task"))) {
      return tasks.count();
    }
  }

  private static void collect() throws InterruptedException {
    for (int i = 0; i < 5; i++) {
      System.gc();
      Thread.sleep(20);
    }
  }

  private static void awaitTrue(Callable<Boolean> condition) throws Exception {
    for (int i = 0; !condition.call(); i++) {
      assertThat(i).as("rounds of collection").isLessThan(200);
      System.gc();
      Thread.sleep(50);
    }
  }
}
