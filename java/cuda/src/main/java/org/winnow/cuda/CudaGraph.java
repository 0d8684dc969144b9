package org.winnow.cuda;

import static org.bytedeco.cuda.global.cudart.CU_STREAM_CAPTURE_MODE_RELAXED;
import static org.bytedeco.cuda.global.cudart.cuGraphDestroy;
import static org.bytedeco.cuda.global.cudart.cuGraphExecDestroy;
import static org.bytedeco.cuda.global.cudart.cuGraphInstantiate;
import static org.bytedeco.cuda.global.cudart.cuGraphLaunch;
import static org.bytedeco.cuda.global.cudart.cuStreamBeginCapture;
import static org.bytedeco.cuda.global.cudart.cuStreamEndCapture;

import java.lang.ref.Reference;
import org.bytedeco.cuda.cudart.CUgraphExec_st;
import org.bytedeco.cuda.cudart.CUgraph_st;
import org.winnow.CapturedStep;
import org.winnow.internal.NativeCall;
import org.winnow.internal.Release;

/**
 * A captured step as a CUDA graph, which one launch runs. It keeps the backend and what the step
 * refers to, so that no memory whose address the graph contains is collected.
 */
public final class CudaGraph implements CapturedStep {
  private final CudaBackend backend;
  private final Runnable step;
  private final Executable executable;
  private final Release release;

  private CudaGraph(CudaBackend backend, Runnable step, Executable executable) {
    this.backend = backend;
    this.step = step;
    this.executable = executable;
    this.release = new Release(this, executable::close);
  }

  /** The graph itself, which the context destroys when it is closed. It refers to no tensors. */
  static final class Executable {
    private final CudaContext context;
    private final CUgraphExec_st handle;
    private boolean closed; // accessed inside the context

    Executable(CudaContext context, CUgraphExec_st handle) {
      this.context = context;
      this.handle = handle;
    }

    void run() {
      NativeCall call = NativeCall.enter();
      try (var entry = context.enterOutsideCapture("running a captured step")) {
        if (closed) throw new IllegalStateException("captured step is closed");
        context.check(cuGraphLaunch(handle, entry.stream().handle()), "cuGraphLaunch");
      } finally {
        call.exit();
      }
    }

    void close() {
      if (context.isGone()) return; // closing the context has destroyed the graph
      try (var entry = context.enterOutsideCapture("closing a captured step")) {
        entry.stream().synchronize();
        destroy();
        context.disown(this);
      }
    }

    /** Called inside the context. */
    void destroy() {
      if (closed) return;
      closed = true;
      cuGraphExecDestroy(handle);
    }
  }

  /**
   * See {@link org.winnow.Backend#capture}. Other threads' operations wait until the capture ends.
   * The step must not wait for them, so closing any object fails inside a step.
   */
  static CudaGraph capture(CudaBackend backend, Runnable step) {
    CudaContext context = backend.context();
    NativeCall call = NativeCall.enter();
    try (var entry = context.enterOutsideCapture("capturing a step")) {
      CudaStream stream = entry.stream();
      CUgraph_st graph = new CUgraph_st();
      // Relaxed mode allows loading modules. Our own checks refuse calls that cannot be captured.
      context.check(
          cuStreamBeginCapture(stream.handle(), CU_STREAM_CAPTURE_MODE_RELAXED),
          "cuStreamBeginCapture");
      context.setCapturing(true);
      try {
        step.run();
      } catch (Throwable e) { // also an undeclared checked exception
        cuStreamEndCapture(stream.handle(), graph);
        if (!graph.isNull()) cuGraphDestroy(graph);
        throw e;
      } finally {
        context.setCapturing(false);
      }
      context.check(cuStreamEndCapture(stream.handle(), graph), "cuStreamEndCapture");
      try {
        CUgraphExec_st executable = new CUgraphExec_st();
        context.check(cuGraphInstantiate(executable, graph, 0), "cuGraphInstantiate");
        return new CudaGraph(backend, step, context.adopt(new Executable(context, executable)));
      } finally {
        cuGraphDestroy(graph);
      }
    } finally {
      call.exit();
    }
  }

  @Override
  public void run() {
    executable.run();
    Reference.reachabilityFence(backend);
    Reference.reachabilityFence(step);
  }

  /** Waits for the device. May be called twice. */
  @Override
  public void close() {
    release.run();
  }
}
