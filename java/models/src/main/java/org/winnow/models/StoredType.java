package org.winnow.models;

import org.jspecify.annotations.Nullable;
import org.winnow.DType;

/**
 * The element types of the safetensors format, by the names that files use. Types that no kernel
 * supports are included, so that their tensors can be listed and counted.
 */
enum StoredType {
  F64(64, null),
  F32(32, DType.F32),
  F16(16, DType.F16),
  BF16(16, DType.BF16),
  F8_E4M3(8, null),
  F8_E5M2(8, null),
  F8_E8M0(8, null),
  F8_E4M3FNUZ(8, null),
  F8_E5M2FNUZ(8, null),
  F6_E2M3(6, null),
  F6_E3M2(6, null),
  F4(4, null),
  I64(64, DType.I64),
  I32(32, DType.I32),
  I16(16, null),
  I8(8, DType.I8),
  U64(64, DType.U64),
  U32(32, null),
  U16(16, null),
  U8(8, null),
  C64(64, null),
  BOOL(8, null);

  private final int bits;
  private final @Nullable DType dtype;

  StoredType(int bits, @Nullable DType dtype) {
    this.bits = bits;
    this.dtype = dtype;
  }

  /** The type of this name, or null. */
  static @Nullable StoredType find(String name) {
    for (StoredType type : values()) {
      if (type.name().equals(name)) return type;
    }
    return null;
  }

  /** The type of the tensors that are read, or null if no kernel supports it. */
  @Nullable DType dtype() {
    return dtype;
  }

  /**
   * Size of a row-major array in bytes.
   *
   * @throws ArithmeticException if the size is not a whole number of bytes, or overflows
   */
  long sizeBytes(long[] shape) {
    long elements = 1;
    for (long extent : shape) elements = Math.multiplyExact(elements, extent);
    long sizeBits = Math.multiplyExact(elements, bits);
    if (sizeBits % 8 != 0)
      throw new ArithmeticException(sizeBits + " bits are not a whole number of bytes");
    return sizeBits / 8;
  }
}
