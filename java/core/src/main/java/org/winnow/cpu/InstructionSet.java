package org.winnow.cpu;

import java.util.Locale;
import org.winnow.internal.NativeLoader;
import org.winnow.internal.NativeOperations;

/**
 * Instruction sets of the CPU kernels, narrowest first. The order is that of {@code
 * winnow::InstructionSet} in {@code winnow/base/cpu.h}.
 */
public enum InstructionSet {
  /** Plain x86-64. */
  PORTABLE,
  /** AVX2 with FMA and F16C. */
  AVX2,
  /** AVX-512 F, BW, VL, DQ. */
  AVX512,
  /** AVX-512 with BF16 dot products. */
  AVX512_BF16,
  /** AVX-512 with AMX tiles of bf16. */
  AMX_BF16;

  /** Whether this machine's processor and operating system support it. */
  public boolean isSupported() {
    NativeLoader.load();
    return NativeOperations.winnow_cpu_supports(code()) != 0;
  }

  /** The number of this instruction set in native contracts. */
  int code() {
    return ordinal();
  }

  /**
   * The instruction set whose kernels are fastest on this machine: the widest that it supports, but
   * {@link #AVX512} on processors whose bf16 dot products are slower than f32 arithmetic.
   */
  public static InstructionSet best() {
    NativeLoader.load();
    return values()[NativeOperations.winnow_cpu_best_instruction_set()];
  }

  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
