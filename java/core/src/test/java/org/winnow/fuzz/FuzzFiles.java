package org.winnow.fuzz;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.winnow.DType;
import org.winnow.memory.TensorInfo;

/** The files of a fuzzer, and the tensors that it says are in them. */
final class FuzzFiles {
  static final int NUM_EXPERTS = 4;
  static final int HIDDEN_SIZE = 8;
  static final int INTERMEDIATE_SIZE = 4;
  private static final String[] NAMES = {"weights", "short", "empty", "missing", "folder"};

  private FuzzFiles() {}

  /** Writes them once per child. */
  static void write(Path folder) {
    try {
      java.nio.file.Files.createDirectories(folder.resolve("folder"));
      byte[] bytes = new byte[(4 << 20) + 4096];
      for (int i = 0; i < bytes.length; i++) bytes[i] = (byte) (i % 61);
      java.nio.file.Files.write(folder.resolve("weights"), bytes);
      java.nio.file.Files.write(folder.resolve("short"), new byte[100]);
      java.nio.file.Files.write(folder.resolve("empty"), new byte[0]);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static Path any(World world) {
    return world.folder.resolve(world.chance(0.6) ? "weights" : world.pick(NAMES));
  }

  /** Tensors of the three kinds of expert layers in one file, some of them wrong. */
  static List<TensorInfo> tensors(World world) {
    List<TensorInfo> tensors = new ArrayList<>();
    DType dtype = world.floating();
    long[] offset = {world.oneOf(0, 0, 0, 1, 2, 64, 4096)};
    for (int e = 0; e < NUM_EXPERTS; e++) {
      add(world, tensors, offset, "gate." + e, dtype, INTERMEDIATE_SIZE, HIDDEN_SIZE);
      add(world, tensors, offset, "up." + e, dtype, INTERMEDIATE_SIZE, HIDDEN_SIZE);
      add(world, tensors, offset, "down." + e, dtype, HIDDEN_SIZE, INTERMEDIATE_SIZE);
    }
    int n = NUM_EXPERTS;
    int d = HIDDEN_SIZE;
    int f = INTERMEDIATE_SIZE;
    add(world, tensors, offset, "fused.gateUp", dtype, n, 2 * f, d);
    add(world, tensors, offset, "fused.down", dtype, n, d, f);
    add(world, tensors, offset, "interleaved.gateUp", dtype, n, d, 2 * f);
    add(world, tensors, offset, "interleaved.gateUpBias", world.floating(), n, 2 * f);
    add(world, tensors, offset, "interleaved.down", dtype, n, f, d);
    add(world, tensors, offset, "interleaved.downBias", world.floating(), n, d);
    return tensors;
  }

  private static void add(
      World world,
      List<TensorInfo> tensors,
      long[] offset,
      String name,
      DType dtype,
      long... shape) {
    long bytes = dtype.sizeBytes();
    for (long extent : shape) bytes *= extent;
    Path file = world.folder.resolve(world.chance(0.001) ? "short" : "weights");
    DType declared = world.chance(0.002) ? null : dtype;
    long at = world.chance(0.002) ? world.oneOf(-1, 1 << 30, 5 << 20) : offset[0];
    TensorInfo info = new TensorInfo(name, "F32", declared, shape, file, at, bytes);
    tensors.add(world.keep(info));
    offset[0] += bytes;
  }
}
