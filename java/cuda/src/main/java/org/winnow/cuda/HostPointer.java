package org.winnow.cuda;

import org.bytedeco.javacpp.Pointer;

/** A host address as a JavaCPP pointer, which does not own the memory. */
final class HostPointer extends Pointer {
  HostPointer(long address) {
    this.address = address;
  }
}
