package org.winnow.cpu;

import org.jspecify.annotations.Nullable;
import org.winnow.Backend;
import org.winnow.BackendProvider;

/** Opens a {@link CpuBackend}. It is available if the native library can be loaded. */
public final class CpuBackendProvider implements BackendProvider {
  @Override
  public String name() {
    return CpuBackend.NAME;
  }

  @Override
  public int preference() {
    return 0;
  }

  @Override
  public @Nullable String unavailabilityCause() {
    return NativeLibrary.unavailabilityCause();
  }

  @Override
  public Backend open() {
    return new CpuBackend();
  }
}
