package org.winnow;

/** Element types. The order is that of {@code winnow::DType} in {@code winnow/base/dtype.h}. */
public enum DType {
  F32(4),
  BF16(2),
  F16(2),
  I8(1),
  I32(4),
  I64(8),
  U64(8);

  private final int sizeBytes;

  DType(int sizeBytes) {
    this.sizeBytes = sizeBytes;
  }

  /** Bytes per element. */
  public int sizeBytes() {
    return sizeBytes;
  }

  /** The number of this type in native contracts. */
  public int code() {
    return ordinal();
  }

  public boolean isFloating() {
    return this == F32 || this == BF16 || this == F16;
  }

  @Override
  public String toString() {
    return name().toLowerCase(java.util.Locale.ROOT);
  }
}
