package org.winnow.cuda;

import org.winnow.Backend;
import org.winnow.BackendUnavailableException;

/**
 * {@link CudaDriverTest} runs this in a separate process. It prints why there is no CUDA backend.
 */
final class ProbeMain {
  private ProbeMain() {}

  public static void main(String[] arguments) {
    System.out.println(CudaDriver.unavailabilityCause());
    for (int attempt = 0; attempt < 2; attempt++) { // class initialisation fails only once
      try {
        Backend.require("cuda").close();
        System.out.println("opened");
      } catch (BackendUnavailableException e) {
        System.out.println(e.getMessage());
      }
    }
    try (Backend best = Backend.best()) {
      System.out.println(best.name());
    }
  }
}
