package org.winnow.cuda;

import org.bytedeco.javacpp.Pointer;

/** An address of the host's as the presets want it; owns nothing. */
final class HostPointer extends Pointer {
  HostPointer(long address) {
    this.address = address;
  }
}
