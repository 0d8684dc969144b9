package org.winnow.cuda;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.winnow.Backend;
import org.winnow.BackendProvider;

/**
 * Opens a {@link CudaBackend}. It is available if the driver finds a device that can run the
 * kernels.
 */
public final class CudaBackendProvider implements BackendProvider {
  @Override
  public String name() {
    return CudaBackend.NAME;
  }

  @Override
  public int preference() {
    return 100;
  }

  @Override
  public @Nullable String unavailabilityCause() {
    return CudaDriver.unavailabilityCause();
  }

  @Override
  public List<String> devices() {
    return CudaDevice.all().stream().map(CudaDevice::toString).toList();
  }

  @Override
  public Backend open() {
    return new CudaBackend();
  }
}
